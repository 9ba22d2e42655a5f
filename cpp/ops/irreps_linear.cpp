// SPDX-License-Identifier: GPL-2.0-or-later
//
// egraff::irreps_linear: an equivariant linear map of the features of each node, with weights in
// common or for each element,
//
//   y[i, o, m] = sum over blocks and channels c of  W[z_i][c, o] x[i, c, m].
//
// One pass over the nodes does what slices, products with each block and a concatenation would do
// in a dozen, each of which writes an array of the size of all features. It is linear: the
// derivative by x is the same map with the other weights, to any order. The weights are constants.
#include "ops/irreps_linear_map.h"

#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace egraff {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using MaybeTensor = std::optional<Tensor>;

#define EGRAFF_LINEAR_ARGUMENTS                                                                    \
    const Tensor &x, const MaybeTensor &species, const Tensor &weights, const Tensor &blocks,      \
        const Tensor &weights_back, const Tensor &blocks_back, c10::SymInt width_out
#define EGRAFF_LINEAR_VALUES x, species, weights, blocks, weights_back, blocks_back, width_out

constexpr const char *OPERATOR = "egraff::irreps_linear";
constexpr const char *NO_GPU =
    "egraff::irreps_linear runs on the CPU only, got tensors on a GPU.\n"
    "  fix: use device cpu, or export the model with --no-fuse for the GPU";

void expect(bool good, const char *name, const char *expected, const Tensor &got) {
    TORCH_CHECK_VALUE(good, "egraff::irreps_linear: ", name, ": expected ", expected, ", got ",
                      got.scalar_type(), " ", got.sizes());
}

void check_features(const Tensor &x) {
    expect((x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble) && x.dim() == 2, "x",
           "float32 or float64 [n, width]", x);
}

// Nodes with those of one element side by side, and where each tile starts: tiles are of one
// element. Without elements, the nodes as they are.
struct Tiles {
    std::vector<int64_t> node;  // [n]
    std::vector<int64_t> first; // [n_tiles + 1]
    std::vector<int64_t> species;
};

Tiles cut_tiles(int64_t n, const int64_t *species, int64_t n_species) {
    Tiles tiles;
    tiles.node.resize(n);
    std::iota(tiles.node.begin(), tiles.node.end(), 0);
    std::vector<int64_t> end{n};
    if (n_species > 1) {
        std::vector<int64_t> next(n_species + 1, 0);
        for (int64_t k = 0; k < n; ++k) {
            ++next[species[k] + 1];
        }
        std::partial_sum(next.begin(), next.end(), next.begin());
        end.assign(next.begin() + 1, next.end());
        for (int64_t k = 0; k < n; ++k) {
            tiles.node[next[species[k]]++] = k;
        }
    }
    int64_t begin = 0;
    for (size_t z = 0; z < end.size(); ++z) {
        for (; begin < end[z]; begin = std::min(begin + linear::TILE_NODES, end[z])) {
            tiles.first.push_back(begin);
            tiles.species.push_back(static_cast<int64_t>(z));
        }
    }
    tiles.first.push_back(n);
    return tiles;
}

template <typename T>
Tensor apply(const Tensor &x, const MaybeTensor &species, const Tensor &weights,
             const Tensor &table, int64_t width_out) {
    const int64_t n = x.size(0), width_in = x.size(1), n_species = weights.size(0);
    const auto blocks = linear::read_blocks(OPERATOR, table, width_in, width_out, weights.size(1),
                                            convolution::LANES<T>);
    const Tensor elements = n_species > 1 ? species->contiguous() : Tensor();
    const int64_t *z = n_species > 1 ? elements.const_data_ptr<int64_t>() : nullptr;
    for (int64_t k = 0; z && k < n; ++k) {
        TORCH_CHECK_VALUE(z[k] >= 0 && z[k] < n_species,
                          "egraff::irreps_linear: species: expected 0 <= species < ", n_species,
                          ", got ", z[k], " at node ", k);
    }
    const Tiles tiles = cut_tiles(n, z, n_species);
    Tensor result = at::empty({n, width_out}, x.options());
    const T *const from = x.const_data_ptr<T>(), *const w = weights.const_data_ptr<T>();
    T *const to = result.mutable_data_ptr<T>();
    at::parallel_for(0, int64_t(tiles.species.size()), 1, [&](int64_t begin, int64_t end) {
        linear::Tile<T> tile(blocks, width_in, width_out);
        for (int64_t k = begin; k < end; ++k) {
            tile.apply(w + tiles.species[k] * weights.size(1), tiles.node.data() + tiles.first[k],
                       tiles.first[k + 1] - tiles.first[k], from, to);
        }
    });
    return result;
}

Tensor kernel_cpu(EGRAFF_LINEAR_ARGUMENTS) {
    (void)std::tie(weights_back, blocks_back); // of the derivative
    check_features(x);
    expect(weights.scalar_type() == x.scalar_type() && weights.dim() == 2 && weights.size(0) > 0,
           "weights", "[n_species, n_weights] of the type of x", weights);
    if (weights.size(0) > 1) {
        TORCH_CHECK_VALUE(species.has_value(), "egraff::irreps_linear: species: expected int64 [",
                          x.size(0), "], got none");
        expect(species->scalar_type() == at::kLong && species->dim() == 1 &&
                   species->size(0) == x.size(0),
               "species", "int64 [n] as in x", *species);
    }
    const auto call = x.scalar_type() == at::kFloat ? apply<float> : apply<double>;
    return call(x.contiguous(), species, weights.contiguous(), blocks, width_out.expect_int());
}

Tensor no_gpu(EGRAFF_LINEAR_ARGUMENTS) {
    (void)std::make_tuple(EGRAFF_LINEAR_VALUES);
    TORCH_CHECK_NOT_IMPLEMENTED(false, NO_GPU);
}

Tensor meta(EGRAFF_LINEAR_ARGUMENTS) {
    (void)std::make_tuple(EGRAFF_LINEAR_VALUES);
    return x.new_empty_symint({x.sym_size(0), width_out});
}

Tensor call(EGRAFF_LINEAR_ARGUMENTS) {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("egraff::irreps_linear", "")
                               .typed<Tensor(EGRAFF_LINEAR_ARGUMENTS)>();
    return op.call(EGRAFF_LINEAR_VALUES);
}

struct Linear : torch::autograd::Function<Linear> {
    static Tensor forward(AutogradContext *ctx, EGRAFF_LINEAR_ARGUMENTS) {
        ctx->save_for_backward(
            {species.value_or(Tensor()), weights, blocks, weights_back, blocks_back});
        ctx->saved_data["width_in"] = x.sym_size(1);
        at::AutoDispatchBelowADInplaceOrView below_autograd;
        return call(EGRAFF_LINEAR_VALUES);
    }

    static variable_list backward(AutogradContext *ctx, const variable_list &gradients) {
        const variable_list s = ctx->get_saved_variables();
        variable_list result(7);
        result[0] = call(gradients[0], s[0].defined() ? MaybeTensor(s[0]) : std::nullopt, s[3],
                         s[4], s[1], s[2], ctx->saved_data["width_in"].toSymInt());
        return result;
    }
};

Tensor autograd(EGRAFF_LINEAR_ARGUMENTS) {
    check_features(x);
    return Linear::apply(EGRAFF_LINEAR_VALUES);
}

} // namespace
} // namespace egraff

TORCH_LIBRARY_FRAGMENT(egraff, library) {
    library.def("irreps_linear(Tensor x, Tensor? species, Tensor weights, Tensor blocks, "
                "Tensor weights_back, Tensor blocks_back, SymInt width_out) -> Tensor",
                {at::Tag::pt2_compliant_tag});
}

TORCH_LIBRARY_IMPL(egraff, CPU, library) { library.impl("irreps_linear", egraff::kernel_cpu); }

TORCH_LIBRARY_IMPL(egraff, CUDA, library) { library.impl("irreps_linear", egraff::no_gpu); }

TORCH_LIBRARY_IMPL(egraff, Meta, library) { library.impl("irreps_linear", egraff::meta); }

TORCH_LIBRARY_IMPL(egraff, Autograd, library) { library.impl("irreps_linear", egraff::autograd); }
