// SPDX-License-Identifier: GPL-2.0-or-later
//
// The blocks of an equivariant linear map, and how a tile of nodes goes through them; shared by
// the operators that end in such a map.
#pragma once

#include "ops/nodes/irreps_linear_kernels.h"

#include <ATen/core/Tensor.h>

#include <vector>

namespace egraff::linear {

// Nodes whose features, with the weights of a block, stay in the cache.
inline constexpr int64_t TILE_NODES = 32;

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

// Throws ValueError, naming the operator, if the table does not fit widths and weights.
std::vector<Block> read_blocks(const char *op, const at::Tensor &table, int64_t width_in,
                               int64_t width_out, int64_t n_weights, int64_t lanes);

// Maps the rows of nodes; one object for each thread, used again for each tile.
template <typename T> class Tile {
  public:
    Tile(const std::vector<Block> &blocks, int64_t width_in, int64_t width_out)
        : blocks_(blocks), width_in_(width_in), width_out_(width_out) {}

    // to = map of from, for n nodes: those of this list, or the first n if there is none.
    void apply(const T *weights, const int64_t *node, int64_t n, const T *from, T *to);

  private:
    const std::vector<Block> &blocks_;
    int64_t width_in_, width_out_;
    std::vector<const T *> input_;
    std::vector<T *> output_;
};

} // namespace egraff::linear
