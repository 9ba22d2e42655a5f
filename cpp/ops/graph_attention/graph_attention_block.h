// SPDX-License-Identifier: GPL-2.0-or-later
//
// What egraff::graph_attention does with a few centres and all their edges.
#pragma once

#include "ops/edges/dense_kernels.h"
#include "ops/edges/edge_block.h"
#include "ops/edges/radial_kernels.h"
#include "ops/graph_attention/graph_attention_plan.h"

#include <vector>

namespace egraff::graph {

using edges::EdgeBlock;
using edges::Grouping;

inline edges::EdgeList edge_list(const Inputs &in) {
    return {OPERATOR, in.edge_index, in.species, in.n_local(), in.constant(PAIR_SCALE).size(0)};
}

// One block of centres; one object for each thread, used again for each block.
template <typename T> class Worker {
  public:
    Worker(const Inputs &in, const Plan<T> &plan, const Grouping &grouping);

    // The result's rows of the centres begin..end.
    void forward(int64_t begin, int64_t end, T *result);
    // From derivatives by them to those by target, by the edge vectors and by the messages of the
    // edges, [edge][width]; all pointers are to the block's first row.
    void backward(int64_t begin, int64_t end, const T *by_result, T *d_target, T *d_vec,
                  T *d_message);

  private:
    // All up to the attention weights, from which both directions go on.
    void form_weights(int64_t begin, int64_t end);
    void prepare(int64_t begin, int64_t end);
    void make_matrices();
    void make_messages(int64_t begin);
    void make_inner();
    void attend();
    void attend_backward();
    void result_backward(const T *by_result);
    void inner_backward(T *d_message);
    void geometry_backward(T *d_vec);

    edges::RadialArgs<T> table_args(const T *basis, T *rows);
    PathMatrix<T> path_matrix(const Path &path);
    // what any product with a path's matrices reads of each edge
    template <typename Args> Args path_args(const Path &path, const T *features, T *d_features);
    ProductArgs<T> product_args(const Path &path, T *d_message);
    ValueArgs<T> value_args(const Path &path);
    GateArgs<T> gate_args(T *out);
    T *weights(const InnerGroup &g) { return weights_.data() + g.first_weight * n_edges_; }
    T *mapped(const InnerGroup &g) {
        return g.block == 0 ? scalars_.data() : mapped_.data() + n_edges_ * block_of(g).first;
    }
    const Block &block_of(const InnerGroup &g) const { return plan_.blocks[g.block]; }
    T *sums(const OuterGroup &g) { return sums_.data() + heads_ * n_nodes_ * g.first_sum; }
    void dense(int64_t n_rows, int64_t n_in, int64_t n_out, const T *in, int64_t in_row,
               int64_t matrix, T *out, int64_t out_row, bool add = false) {
        dense_kernel_.dense({static_cast<int>(n_rows), static_cast<int>(n_in),
                             static_cast<int>(n_out), in, in_row, matrices_ + matrix, out, out_row,
                             add});
    }

    const Inputs &in_;
    const Plan<T> &plan_;
    const Grouping &grouping_;
    const Kernels<T> &kernel_ = simd::kernels<Kernels<T>>();
    const edges::DenseKernels<T> &dense_kernel_ = simd::kernels<edges::DenseKernels<T>>();
    const edges::RadialKernels<T> &radial_kernel_ = simd::kernels<edges::RadialKernels<T>>();
    const edges::GeometryKernels<T> &geometry_kernel_ = simd::kernels<edges::GeometryKernels<T>>();
    EdgeBlock<T> block_;
    const T *const matrices_;
    const int64_t heads_;
    simd::Buffer<T> matrix_, radial_, message_, weights_, product_, scalars_, mapped_, gated_,
        score_, alpha_, share_, ratio_, sums_, rows_, d_gated_, d_alpha_, d_harmonics_, d_radial_,
        d_rows_;
    std::vector<edges::RadialColumns<T>> columns_;
    std::vector<GatedBlock<T>> gated_blocks_;
    std::vector<int32_t> first_; // of the edges of each node, from the block's first edge
    int64_t n_edges_ = 0, n_nodes_ = 0;
    int64_t n_harmonics_ = 0;
};

} // namespace egraff::graph
