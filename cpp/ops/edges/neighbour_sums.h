// SPDX-License-Identifier: GPL-2.0-or-later
//
// Sums over edges for their neighbours, made while threads go through the edges centre by centre.
#pragma once

#include "ops/edges/edge_block.h"

#include <ATen/core/Tensor.h>

#include <vector>

namespace egraff::edges {

// Rows [n_nodes, width] that start at zero. The centres are cut into parts, one for a thread. A
// part adds to the rows of its own centres where they are; for any other neighbour it has a row of
// its own. `finish` adds those up, part by part: there are no atomics, and results are the same for
// the same number of parts.
template <typename T> class NeighbourSums {
  public:
    // `first_centre` of each part, and the end.
    NeighbourSums(const EdgeList &edges, const Grouping &by_centre,
                  std::vector<int64_t> first_centre, int64_t width,
                  const at::TensorOptions &options);

    // To be called once for each part, before its rows are asked for.
    void open(int64_t part);
    // Where this edge of an open part adds.
    T *row(int64_t part, int64_t edge) {
        const int64_t node = neighbour_[edge];
        return owns(part, node) ? sums_ + node * width_
                                : parts_[part].rows.data() + parts_[part].row[node] * width_;
    }

    // All sums, once every part has been through its edges.
    at::Tensor finish();

  private:
    static constexpr int32_t NONE = -1;
    struct Part {
        std::vector<int32_t> row; // [n_nodes], in `rows`, or NONE
        Buffer<T> rows;
    };
    int64_t n_parts() const { return static_cast<int64_t>(parts_.size()); }
    // One part alone owns all nodes, those that are nobody's centre included.
    bool owns(int64_t part, int64_t node) const {
        return n_parts() == 1 || (node >= first_centre_[part] && node < first_centre_[part + 1]);
    }

    const Grouping &by_centre_;
    const int64_t *neighbour_;
    std::vector<int64_t> first_centre_;
    int64_t width_;
    at::Tensor result_;
    T *sums_;
    std::vector<Part> parts_;
};

} // namespace egraff::edges
