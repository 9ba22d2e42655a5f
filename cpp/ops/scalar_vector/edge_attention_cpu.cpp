// SPDX-License-Identifier: GPL-2.0-or-later
//
// The three passes over the edges, each writing to nodes or edges that one block owns, so that
// threads need neither atomics nor an order. With the score s_h = sum over head h of q_i k_j K:
//   forward       by centre     x_i = sum_e act(s) a_j A ;   v_i = sum_e T w_j + p_j P u
//   by centre     dq_i = sum_e ds k_j K ;   dr_e from K', A', T', P' and u
//   by neighbour  dk_j, da_j, dp_j, dw_j, where ds = act'(s) sum over head h of dx_i a_j A
// Both backward passes form the scores again, which costs less than to store them.
#include "ops/scalar_vector/edge_attention_cpu.h"

#include "ops/scalar_vector/edge_attention_blocks.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <tuple>

namespace egraff::attention {

namespace {

// Edges in a block: their geometry, scores and one chunk of the table stay in the cache.
constexpr int64_t BLOCK_EDGES = 128;

// What edges read of their neighbours comes packed.
template <typename T> Packed<T> source_rows(const Inputs &in, const HeadLayout &layout) {
    return {layout, in.source.const_data_ptr<T>(), in.source_rows()};
}

// Fills `buffer` with rows of the local atoms; `row(node, k)` is where row k of a node lies
// outside.
template <typename T, typename Row>
Packed<T> pack_centres(const Inputs &in, const HeadLayout &layout, int64_t n_rows, const Row &row,
                       Buffer<T> &buffer) {
    const int64_t width = layout.n_chunks * n_rows * LANES<T>;
    T *const packed = buffer.resize(in.n_local() * width);
    at::parallel_for(0, in.n_local(), 64, [&](int64_t begin, int64_t end) {
        for (int64_t node = begin; node < end; ++node) {
            T *to = packed + node * width;
            if (layout.padded) {
                std::fill_n(to, width, T(0));
            }
            for (int64_t k = 0; k < n_rows; ++k) {
                pack(layout, row(node, k), to + k * LANES<T>, n_rows);
            }
        }
    });
    return {layout, packed, n_rows};
}

template <typename T>
Packed<T> queries(const Inputs &in, const HeadLayout &layout, Buffer<T> &buffer) {
    const T *query = in.query.const_data_ptr<T>();
    if (!layout.padded) { // a single row is packed already
        return {layout, query, 1};
    }
    const int64_t width = in.width();
    return pack_centres<T>(
        in, layout, 1, [&](int64_t node, int64_t) { return query + node * width; }, buffer);
}

template <typename T>
Packed<T> queries_and_gradients(const Inputs &in, const HeadLayout &layout,
                                const at::Tensor &by_scalar, const at::Tensor &by_vector,
                                Buffer<T> &buffer) {
    const T *query = in.query.const_data_ptr<T>(), *scalar = by_scalar.const_data_ptr<T>();
    const T *vector = by_vector.const_data_ptr<T>();
    const int64_t width = in.width();
    const auto row = [&](int64_t node, int64_t k) {
        return k == QUERY       ? query + node * width
               : k == BY_SCALAR ? scalar + node * width
                                : vector + (node * 3 + k - BY_VECTOR_X) * width;
    };
    return pack_centres<T>(in, layout, CENTRE_ROWS, row, buffer);
}

// kind of head, as the kernels are sorted
template <typename T> int run_index(const HeadLayout &layout) {
    int index = 0;
    while ((1 << index) < std::min<int64_t>(layout.head_lanes, LANES<T>)) {
        ++index;
    }
    return index;
}

edges::EdgeList edge_list(const Inputs &in) {
    return {OPERATOR, in.edge_index, in.species, in.n_local(), in.pair_scale.size(0)};
}

// Derivatives by query and edge_vec.
template <typename T>
std::tuple<at::Tensor, at::Tensor>
backward_centre(const Inputs &in, const HeadLayout &layout, const Grouping &grouping,
                const Packed<T> &centre, const Packed<T> &source) {
    const auto kernel = simd::kernels<Kernels<T>>().centre[run_index<T>(layout)][in.has_vectors()];
    const int64_t width = in.width();
    at::Tensor by_query = at::empty_like(in.query), by_vec = at::empty_like(in.edge_vec);
    T *const d_query = by_query.mutable_data_ptr<T>(), *const d_vec = by_vec.mutable_data_ptr<T>();
    const std::vector<int64_t> blocks = cut(grouping, BLOCK_EDGES);
    at::parallel_for(0, static_cast<int64_t>(blocks.size()) - 1, 1, [&](int64_t from, int64_t to) {
        Block<T> block(in);
        Buffer<T> sums, lanes;
        const int64_t row = layout.n_chunks * LANES<T>;
        for (int64_t k = from; k < to; ++k) {
            const int64_t begin = blocks[k], end = blocks[k + 1];
            block.fill(grouping, begin, end, false, source.width);
            T *sum = sums.resize((end - begin) * row);
            AttentionArgs<T> args = block.args(layout, centre, begin, source, sum);
            args.edge_lanes = lanes.resize(block.stride() * EDGE_ROWS * LANES<T>);
            kernel(args);
            block.edge_vectors(args, d_vec + 3 * grouping.first[begin]);
            for (int64_t node = begin; node < end; ++node, sum += row) {
                unpack(layout, sum, d_query + node * width, 1);
            }
        }
    });
    return {by_query, by_vec};
}

// The derivative by source.
template <typename T>
at::Tensor backward_neighbour(const Inputs &in, const HeadLayout &layout, const Packed<T> &centre,
                              const Packed<T> &source) {
    const auto kernel =
        simd::kernels<Kernels<T>>().neighbour[run_index<T>(layout)][in.has_vectors()];
    const Grouping grouping = edges::group_by_neighbour(edge_list(in));
    at::Tensor by_source = at::empty_like(in.source);
    T *const d_source = by_source.mutable_data_ptr<T>();
    const std::vector<int64_t> blocks = cut(grouping, BLOCK_EDGES);
    at::parallel_for(0, static_cast<int64_t>(blocks.size()) - 1, 1, [&](int64_t from, int64_t to) {
        Block<T> block(in);
        for (int64_t k = from; k < to; ++k) {
            block.fill(grouping, blocks[k], blocks[k + 1], true, centre.width);
            kernel(
                block.args(layout, source, blocks[k], centre, d_source + blocks[k] * source.width));
        }
    });
    return by_source;
}

} // namespace

template <typename T> std::array<at::Tensor, 2> Cpu::forward(const Inputs &in) {
    const HeadLayout layout(in.n_heads, in.width(), LANES<T>);
    const auto kernel = simd::kernels<Kernels<T>>().forward[run_index<T>(layout)][in.has_vectors()];
    const Grouping grouping = edges::group_by_centre(edge_list(in));
    Buffer<T> buffer;
    const Packed<T> source = source_rows<T>(in, layout), centre = queries<T>(in, layout, buffer);
    const int64_t width = in.width();
    at::Tensor scalars = at::empty_like(in.query);
    at::Tensor vectors = at::empty({in.n_local(), 3, width}, in.query.options());
    T *const scalar = scalars.mutable_data_ptr<T>(), *const vector = vectors.mutable_data_ptr<T>();
    const std::vector<int64_t> blocks = cut(grouping, BLOCK_EDGES);
    at::parallel_for(0, static_cast<int64_t>(blocks.size()) - 1, 1, [&](int64_t from, int64_t to) {
        Block<T> block(in);
        Buffer<T> sums;
        const int64_t row = layout.n_chunks * SUM_ROWS * LANES<T>;
        for (int64_t k = from; k < to; ++k) {
            const int64_t begin = blocks[k], end = blocks[k + 1];
            block.fill(grouping, begin, end, false, source.width);
            T *sum = sums.resize((end - begin) * row);
            kernel(block.args(layout, centre, begin, source, sum));
            for (int64_t node = begin; node < end; ++node, sum += row) {
                unpack(layout, sum, scalar + node * width, SUM_ROWS);
                for (int a = 0; a < 3; ++a) {
                    unpack(layout, sum + (1 + a) * LANES<T>, vector + (3 * node + a) * width,
                           SUM_ROWS);
                }
            }
        }
    });
    return {scalars, vectors};
}

template <typename T>
std::array<at::Tensor, 3> Cpu::backward(const std::array<at::Tensor, 2> &gradients,
                                        const Inputs &in, const std::array<bool, 3> &wanted) {
    const HeadLayout layout(in.n_heads, in.width(), LANES<T>);
    const Grouping by_centre = edges::group_by_centre(edge_list(in));
    Buffer<T> buffer;
    const Packed<T> source = source_rows<T>(in, layout);
    const Packed<T> centre =
        queries_and_gradients<T>(in, layout, gradients[0], gradients[1], buffer);
    std::array<at::Tensor, 3> made;
    if (wanted[0] || wanted[2]) {
        std::tie(made[0], made[2]) = backward_centre<T>(in, layout, by_centre, centre, source);
    }
    if (wanted[1]) {
        made[1] = backward_neighbour<T>(in, layout, centre, source);
    }
    return made;
}

template std::array<at::Tensor, 2> Cpu::forward<float>(const Inputs &);
template std::array<at::Tensor, 2> Cpu::forward<double>(const Inputs &);
template std::array<at::Tensor, 3> Cpu::backward<float>(const std::array<at::Tensor, 2> &,
                                                        const Inputs &,
                                                        const std::array<bool, 3> &);
template std::array<at::Tensor, 3> Cpu::backward<double>(const std::array<at::Tensor, 2> &,
                                                         const Inputs &,
                                                         const std::array<bool, 3> &);

} // namespace egraff::attention
