// SPDX-License-Identifier: GPL-2.0-or-later
//
// Edges grouped by node, cut into blocks that fit the cache, with all that follows from the edge
// vectors computed block by block, so that nothing of the size of all edges is stored.
#pragma once

#include "ops/edges/geometry.h"
#include "ops/simd/buffer.h"
#include "ops/simd/kernels.h"

#include <ATen/core/Tensor.h>

#include <vector>

namespace egraff::edges {

using simd::Buffer;
using simd::LANES;

// The edges of each node: by centre they already lie in order; by neighbour `order` sorts them.
struct Grouping {
    std::vector<int32_t> first; // [n_nodes + 1]
    std::vector<int32_t> order; // [n_edges], or empty: edges are in order

    int64_t n_nodes() const { return static_cast<int64_t>(first.size()) - 1; }
    // Where the edges of each of the nodes begin..end start, from the first one's first edge on.
    void offsets(int64_t begin, int64_t end, std::vector<int32_t> &to) const;
};

// Edges, and what their ends may be; the tensors are contiguous.
struct EdgeList {
    const char *op;               // the operator, for messages
    const at::Tensor &edge_index; // int64 [2, n_edges]
    const at::Tensor &species;    // int64 [n_nodes]
    int64_t n_local;
    int64_t n_species;
};

// Throws ValueError if an index of an edge or a species is out of range or centres do not ascend.
Grouping group_by_centre(const EdgeList &edges);
// For indices that group_by_centre has seen.
Grouping group_by_neighbour(const EdgeList &edges);

// First node of each block, and the end: blocks of about `n_edges` edges, at least one node each.
// Blocks do not depend on the number of threads, nor does what is made of each alone.
std::vector<int64_t> cut(const Grouping &grouping, int64_t n_edges);

// Where the geometry of a block comes from.
template <typename T> struct EdgeSource {
    const int64_t *centre, *neighbour; // [n_edges]
    const int64_t *species;            // [n_nodes]
    const T *vec;                      // [n_edges][3]
    const double *pair_scale;          // [n_species][n_species], 1 / cutoff
    const int64_t *pair_table;         // [n_species][n_species], which table
    int64_t n_species;
    int64_t table_size; // from table to table
    int64_t knot_size;  // from knot to knot
    int64_t n_knots;
    Grid grid; // of the tables
    int l_max;
    const T *norm; // of the harmonics
};

// Of an operator's arguments, contiguous; `knot_dim` is the dimension of `tables` that counts
// knots.
template <typename T>
EdgeSource<T> edge_source(const EdgeList &edges, const at::Tensor &edge_vec,
                          const at::Tensor &pair_scale, const at::Tensor &pair_table,
                          const at::Tensor &tables, int knot_dim, const Grid &grid, int l_max,
                          const std::vector<T> &norm) {
    const int64_t *centre = edges.edge_index.const_data_ptr<int64_t>();
    return {centre,
            centre + edges.edge_index.size(1),
            edges.species.const_data_ptr<int64_t>(),
            edge_vec.const_data_ptr<T>(),
            pair_scale.const_data_ptr<double>(),
            pair_table.const_data_ptr<int64_t>(),
            pair_scale.size(0),
            tables.stride(0),
            tables.stride(knot_dim),
            tables.size(knot_dim),
            grid,
            l_max,
            norm.data()};
}

// The geometry of one block of edges; one object for each thread, used again for each block.
template <typename T> class EdgeBlock {
  public:
    explicit EdgeBlock(const EdgeSource<T> &source);

    // Edges first..last. Sets `row` to where the row of each edge's neighbour starts in an array of
    // this width.
    void fill(int64_t first, int64_t last, int64_t width);

    int stride() const { return geometry_.stride(); }
    const GeometryArgs<T> &geometry() const { return geometry_.rows(); }
    const int64_t *row() { return row_.data(); }
    const int64_t *knot() { return knot_.data(); }
    // rows of the harmonics of this order
    const T *harmonics(int l) const { return geometry().harmonics + l * l * stride(); }

    // Derivatives by the block's edge vectors; see Geometry.
    void backward(const T *d_harmonics, const T *d_length, T *d_vec) {
        geometry_.backward(d_harmonics, d_length, n_edges_, d_vec);
    }

  private:
    EdgeSource<T> source_;
    Geometry<T> geometry_;
    int64_t n_edges_ = 0;
    Buffer<int64_t> row_, knot_, table_;
};

} // namespace egraff::edges
