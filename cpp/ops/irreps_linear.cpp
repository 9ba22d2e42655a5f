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
#include "ops/edge_convolution_blocks.h"

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
using convolution::LANES;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using MaybeTensor = std::optional<Tensor>;

#define EGRAFF_LINEAR_ARGUMENTS                                                                    \
    const Tensor &x, const MaybeTensor &species, const Tensor &weights, const Tensor &blocks,      \
        const Tensor &weights_back, const Tensor &blocks_back, c10::SymInt width_out
#define EGRAFF_LINEAR_VALUES x, species, weights, blocks, weights_back, blocks_back, width_out

constexpr const char *NO_GPU =
    "egraff::irreps_linear runs on the CPU only, got tensors on a GPU.\n"
    "  fix: use device cpu, or export the model with --no-fuse for the GPU";

// Nodes whose features, with the weights of a block, stay in the cache.
constexpr int64_t TILE_NODES = 32;

void expect(bool good, const char *name, const char *expected, const Tensor &got) {
    TORCH_CHECK_VALUE(good, "egraff::irreps_linear: ", name, ": expected ", expected, ", got ",
                      got.scalar_type(), " ", got.sizes());
}

void check_features(const Tensor &x) {
    expect((x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble) && x.dim() == 2, "x",
           "float32 or float64 [n, width]", x);
}

// The channels of one irrep, at either side: columns start + channel * dim + component, or, with
// channels last, start + component * channels + channel. `weights` is where the matrix [channels of
// the other side][these, padded] starts.
struct Side {
    int64_t start, channels, weights, channels_last;

    int64_t step(int64_t dim) const { return channels_last ? 1 : dim; }
    int64_t column(int64_t component) const {
        return start + component * (channels_last ? channels : 1);
    }
};

struct Block {
    Side in, out;
    int64_t dim;
};

int64_t padded(int64_t channels, int64_t lanes) { return (channels + lanes - 1) / lanes * lanes; }

std::vector<Block> read_blocks(const Tensor &table, int64_t width_in, int64_t width_out,
                               int64_t n_weights, int64_t lanes) {
    expect(table.scalar_type() == at::kLong && table.dim() == 2 && table.size(1) == 9, "blocks",
           "int64 [n_blocks, 9]", table);
    const Tensor rows = table.contiguous();
    std::vector<Block> blocks;
    for (int64_t k = 0; k < rows.size(0); ++k) {
        const int64_t *r = rows.const_data_ptr<int64_t>() + 9 * k;
        const Block block{{r[0], r[1], r[2], r[3]}, {r[4], r[5], r[6], r[7]}, r[8]};
        const auto inside = [&block](const Side &side, int64_t width) {
            return side.start >= 0 && side.channels > 0 &&
                   side.start + side.channels * block.dim <= width;
        };
        TORCH_CHECK_VALUE(block.dim > 0 && inside(block.in, width_in) &&
                              inside(block.out, width_out) && block.out.weights >= 0 &&
                              block.out.weights +
                                      block.in.channels * padded(block.out.channels, lanes) <=
                                  n_weights,
                          "egraff::irreps_linear: blocks: expected columns below ", width_in,
                          " of x and ", width_out, " of the result and weights below ", n_weights,
                          ", got others in row ", k, "\n  fix: export the model again");
        blocks.push_back(block);
    }
    return blocks;
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
        for (; begin < end[z]; begin = std::min(begin + TILE_NODES, end[z])) {
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
    const auto blocks = read_blocks(table, width_in, width_out, weights.size(1), LANES<T>);
    const auto &kernel = convolution::kernels<T>();
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
        std::vector<const T *> input;
        std::vector<T *> output;
        for (int64_t tile = begin; tile < end; ++tile) {
            const int64_t *node = tiles.node.data() + tiles.first[tile];
            const int64_t n_nodes = tiles.first[tile + 1] - tiles.first[tile];
            for (int64_t k = 0; k < n_nodes; ++k) {
                std::fill_n(to + node[k] * width_out, width_out, T(0));
            }
            for (const Block &block : blocks) {
                input.clear();
                output.clear();
                for (int64_t k = 0; k < n_nodes; ++k) {
                    for (int64_t m = 0; m < block.dim; ++m) {
                        input.push_back(from + node[k] * width_in + block.in.column(m));
                        output.push_back(to + node[k] * width_out + block.out.column(m));
                    }
                }
                linear::LinearArgs<T> args{};
                args.n_valid = static_cast<int>(input.size());
                args.n_rows = static_cast<int>(padded(args.n_valid, linear::ROWS));
                input.resize(args.n_rows, input.front());
                args.input = input.data();
                args.output = output.data();
                args.in_step = block.in.step(block.dim);
                args.out_step = block.out.step(block.dim);
                args.n_in = static_cast<int>(block.in.channels);
                args.n_out = static_cast<int>(block.out.channels);
                args.weights = w + tiles.species[tile] * weights.size(1) + block.out.weights;
                args.n_chunks = static_cast<int>(padded(block.out.channels, LANES<T>) / LANES<T>);
                kernel.linear_block(args);
            }
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
