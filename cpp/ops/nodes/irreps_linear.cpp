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
// `sent` says that the result goes to ghost_exchange.
#include "ops/exchange.h"
#include "ops/nodes/irreps_linear_map.h"
#include "ops/torch/operator.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace egraff {
namespace {

using MaybeTensor = std::optional<Tensor>;

#define EGRAFF_LINEAR_ARGUMENTS                                                                    \
    const Tensor &x, const MaybeTensor &species, const Tensor &weights, const Tensor &blocks,      \
        const Tensor &weights_back, const Tensor &blocks_back, c10::SymInt width_out, bool sent

constexpr const char *OPERATOR = "egraff::irreps_linear";

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
             const Tensor &table, int64_t width_out, bool sent) {
    const int64_t n = x.size(0), width_in = x.size(1), n_species = weights.size(0);
    const auto blocks =
        linear::read_blocks(OPERATOR, table, width_in, width_out, weights.size(1), simd::LANES<T>);
    const Tensor elements = n_species > 1 ? species->contiguous() : Tensor();
    const int64_t *z = n_species > 1 ? elements.const_data_ptr<int64_t>() : nullptr;
    for (int64_t k = 0; z && k < n; ++k) {
        TORCH_CHECK_VALUE(z[k] >= 0 && z[k] < n_species,
                          "egraff::irreps_linear: species: expected 0 <= species < ", n_species,
                          ", got ", z[k], " at node ", k);
    }
    const Tiles tiles = cut_tiles(n, z, n_species);
    Tensor result =
        sent ? rows_to_send(n, width_out, x.options()) : at::empty({n, width_out}, x.options());
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

struct Linear {
    static constexpr const char *SCHEMA =
        "irreps_linear(Tensor x, Tensor? species, Tensor weights, Tensor blocks, "
        "Tensor weights_back, Tensor blocks_back, SymInt width_out, bool sent=False) -> Tensor";

    static Tensor cpu(EGRAFF_LINEAR_ARGUMENTS) {
        check_features(x);
        expect(weights.scalar_type() == x.scalar_type() && weights.dim() == 2 &&
                   weights.size(0) > 0,
               "weights", "[n_species, n_weights] of the type of x", weights);
        if (weights.size(0) > 1) {
            TORCH_CHECK_VALUE(species.has_value(),
                              "egraff::irreps_linear: species: expected int64 [", x.size(0),
                              "], got none");
            expect(species->scalar_type() == at::kLong && species->dim() == 1 &&
                       species->size(0) == x.size(0),
                   "species", "int64 [n] as in x", *species);
        }
        const auto map = x.scalar_type() == at::kFloat ? apply<float> : apply<double>;
        return map(x.contiguous(), species, weights.contiguous(), blocks, width_out.expect_int(),
                   sent);
    }

    static Tensor meta(EGRAFF_LINEAR_ARGUMENTS) {
        return x.new_empty_symint({x.sym_size(0), width_out});
    }

    static auto keep(EGRAFF_LINEAR_ARGUMENTS) {
        check_features(x);
        return std::tuple(species, weights, blocks, weights_back, blocks_back, x.sym_size(1));
    }

    static variable_list derivative(AutogradContext *, const variable_list &gradients,
                                    const MaybeTensor &species, const Tensor &weights,
                                    const Tensor &blocks, const Tensor &weights_back,
                                    const Tensor &blocks_back, const c10::SymInt &width_in) {
        return {call<Linear>(gradients[0], species, weights_back, blocks_back, weights, blocks,
                             width_in, false)};
    }
};

} // namespace

TORCH_LIBRARY_FRAGMENT(egraff, library) { define<Linear>(library); }

} // namespace egraff
