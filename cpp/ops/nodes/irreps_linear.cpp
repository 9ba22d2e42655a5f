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
#include "ops/torch/described_operator.h"
#include "ops/torch/expect.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace egraff {
namespace {

constexpr const char *OPERATOR = "egraff::irreps_linear";
constexpr Expect expect(OPERATOR);

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

struct Linear {
    struct Inputs {
        Tensor x;                         // [n, width]
        std::optional<Tensor> species;    // int64 [n]; not read if there is one set of weights
        Tensor weights;                   // [n_species, n_weights]
        Tensor blocks;                    // int64 [n_blocks, 9], see linear::Block
        Tensor weights_back, blocks_back; // of the derivative by x
        Size width_out;
        bool sent;

        static constexpr auto list() {
            return std::tuple{Argument{"x", &Inputs::x},
                              Argument{"species", &Inputs::species},
                              Argument{"weights", &Inputs::weights},
                              Argument{"blocks", &Inputs::blocks},
                              Argument{"weights_back", &Inputs::weights_back},
                              Argument{"blocks_back", &Inputs::blocks_back},
                              Argument{"width_out", &Inputs::width_out},
                              Argument{"sent", &Inputs::sent, "False"}};
        }
    };
    static constexpr const char *NAME = "irreps_linear";

    static const Tensor &like(const Inputs &in) { return in.x; }
    static std::array<Shape, 1> shapes(const Inputs &in) {
        return {Shape{in.x.sym_size(0), in.width_out.symbol}};
    }
    static void check(const Inputs &in) {
        const auto &[x, species, weights, blocks, weights_back, blocks_back, width_out, sent] = in;
        check_features(x);
        expect(weights.scalar_type() == x.scalar_type() && weights.dim() == 2 &&
                   weights.size(0) > 0,
               "weights", "[n_species, n_weights] of the type of x", weights);
        if (weights.size(0) > 1) {
            TORCH_CHECK_VALUE(species.has_value(), OPERATOR, ": species: expected int64 [",
                              x.size(0), "], got none");
            expect(species->scalar_type() == at::kLong && species->dim() == 1 &&
                       species->size(0) == x.size(0),
                   "species", "int64 [n] as in x", *species);
        }
    }
    static void check_features(const Tensor &x) {
        expect((x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble) && x.dim() == 2,
               "x", "float32 or float64 [n, width]", x);
    }

    struct Cpu {
        template <typename T> static Tensors<1> forward(const Inputs &in);
    };

    static auto keep(const Inputs &in) {
        check_features(in.x);
        return std::tuple(in.species, in.weights, in.blocks, in.weights_back, in.blocks_back,
                          in.x.sym_size(1));
    }
    static variable_list derivative(AutogradContext *, const variable_list &gradients,
                                    const std::optional<Tensor> &species, const Tensor &weights,
                                    const Tensor &blocks, const Tensor &weights_back,
                                    const Tensor &blocks_back, const c10::SymInt &width_in) {
        return {call<Described<Linear>>(gradients[0], species, weights_back, blocks_back, weights,
                                        blocks, width_in, false)};
    }
};

template <typename T> Tensors<1> Linear::Cpu::forward(const Inputs &in) {
    const Tensor &x = in.x, &weights = in.weights;
    const int64_t n = x.size(0), width_in = x.size(1), n_species = weights.size(0);
    const int64_t width_out = in.width_out;
    const auto blocks = linear::read_blocks(OPERATOR, in.blocks, width_in, width_out,
                                            weights.size(1), simd::LANES<T>);
    const int64_t *z = n_species > 1 ? in.species->const_data_ptr<int64_t>() : nullptr;
    for (int64_t k = 0; z && k < n; ++k) {
        TORCH_CHECK_VALUE(z[k] >= 0 && z[k] < n_species, OPERATOR,
                          ": species: expected 0 <= species < ", n_species, ", got ", z[k],
                          " at node ", k);
    }
    const Tiles tiles = cut_tiles(n, z, n_species);
    Tensor result =
        in.sent ? rows_to_send(n, width_out, x.options()) : at::empty({n, width_out}, x.options());
    const T *const from = x.const_data_ptr<T>(), *const w = weights.const_data_ptr<T>();
    T *const to = result.mutable_data_ptr<T>();
    at::parallel_for(0, int64_t(tiles.species.size()), 1, [&](int64_t begin, int64_t end) {
        linear::Tile<T> tile(blocks, width_in, width_out);
        for (int64_t k = begin; k < end; ++k) {
            tile.apply(w + tiles.species[k] * weights.size(1), tiles.node.data() + tiles.first[k],
                       tiles.first[k + 1] - tiles.first[k], from, to);
        }
    });
    return {result};
}

} // namespace

TORCH_LIBRARY_FRAGMENT(egraff, library) { define<Described<Linear>>(library); }

} // namespace egraff
