// SPDX-License-Identifier: GPL-2.0-or-later
//
// The three passes over the edges, each writing to nodes or edges that one block owns, so that
// threads need neither atomics nor an order. With the score s_h = sum over head h of q_i k_j K:
//   forward       by centre     x_i = sum_e act(s) a_j A ;   v_i = sum_e t_j T v_j + p_j P u
//   by centre     dq_i = sum_e ds k_j K ;   dr_e from K', A', T', P' and u
//   by neighbour  dk_j, da_j, dt_j, dp_j, dv_j, where ds = act'(s) sum over head h of dx_i a_j A
// Both backward passes form the scores again, which costs less than to store them.
#include "ops/edge_attention_cpu.h"

#include "ops/edge_attention_blocks.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>

namespace egraff::attention {

namespace {

// Edges in a block: their geometry, scores and one chunk of the table stay in the cache.
constexpr int64_t BLOCK_EDGES = 128;

template <typename T> Packed<T> pack_source(const Inputs &in, const HeadLayout &layout) {
    Packed<T> packed(layout, in.n_nodes(), in.source_rows());
    const T *source = in.source.const_data_ptr<T>(), *vectors = in.vectors.const_data_ptr<T>();
    const int64_t width = in.width();
    at::parallel_for(0, in.n_nodes(), 64, [&](int64_t begin, int64_t end) {
        packed.fill(begin, end, [&](int64_t node, int64_t k) {
            return k < FUNCTIONS ? source + (node * FUNCTIONS + k) * width
                                 : vectors + (node * 3 + k - FUNCTIONS) * width;
        });
    });
    return packed;
}

// Queries, and if there are any gradients, these too.
template <typename T>
Packed<T> pack_centre(const Inputs &in, const HeadLayout &layout, const T *by_scalar,
                      const T *by_vector) {
    Packed<T> packed(layout, in.n_local(), by_scalar == nullptr ? 1 : CENTRE_ROWS);
    const T *query = in.query.const_data_ptr<T>();
    const int64_t width = in.width();
    at::parallel_for(0, in.n_local(), 64, [&](int64_t begin, int64_t end) {
        packed.fill(begin, end, [&](int64_t node, int64_t k) {
            return k == QUERY       ? query + node * width
                   : k == BY_SCALAR ? by_scalar + node * width
                                    : by_vector + (node * 3 + k - BY_VECTOR_X) * width;
        });
    });
    return packed;
}

// kind of head, as the kernels are sorted
template <typename T> int run_index(const HeadLayout &layout) {
    int index = 0;
    while ((1 << index) < std::min<int64_t>(layout.head_lanes, LANES<T>)) {
        ++index;
    }
    return index;
}

convolution::EdgeList edge_list(const Inputs &in) {
    return {OPERATOR, in.edge_index, in.species, in.n_local(), in.pair_scale.size(0)};
}

template <typename T> std::tuple<at::Tensor, at::Tensor> forward(const Inputs &in) {
    const HeadLayout layout(in.n_heads, in.width(), LANES<T>);
    const auto kernel =
        convolution::kernels<T>().attention_forward[run_index<T>(layout)][in.has_vectors()];
    const Grouping grouping = convolution::group_by_centre(edge_list(in));
    const Packed<T> source = pack_source<T>(in, layout);
    const Packed<T> centre = pack_centre<T>(in, layout, nullptr, nullptr);
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
            kernel(block.args(centre, begin, source, sum));
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
void backward_centre(const Inputs &in, const HeadLayout &layout, const Grouping &grouping,
                     const Packed<T> &centre, const Packed<T> &source, Gradients &gradients) {
    const Kernels<T> &kernels = convolution::kernels<T>();
    const auto kernel = kernels.attention_centre[run_index<T>(layout)][in.has_vectors()];
    const int64_t width = in.width();
    gradients.query = at::empty_like(in.query);
    gradients.edge_vec = at::empty_like(in.edge_vec);
    T *const d_query = gradients.query.mutable_data_ptr<T>();
    T *const d_vec = gradients.edge_vec.mutable_data_ptr<T>();
    const std::vector<int64_t> blocks = cut(grouping, BLOCK_EDGES);
    at::parallel_for(0, static_cast<int64_t>(blocks.size()) - 1, 1, [&](int64_t from, int64_t to) {
        Block<T> block(in);
        Buffer<T> sums, lanes;
        const int64_t row = layout.n_chunks * LANES<T>;
        for (int64_t k = from; k < to; ++k) {
            const int64_t begin = blocks[k], end = blocks[k + 1];
            block.fill(grouping, begin, end, false, source.width);
            T *sum = sums.resize((end - begin) * row);
            AttentionArgs<T> args = block.args(centre, begin, source, sum);
            args.edge_lanes = lanes.resize(block.stride() * EDGE_ROWS * LANES<T>);
            kernel(args);
            block.edge_vectors(args, d_vec + 3 * grouping.first[begin]);
            for (int64_t node = begin; node < end; ++node, sum += row) {
                unpack(layout, sum, d_query + node * width, 1);
            }
        }
    });
}

template <typename T>
void backward_neighbour(const Inputs &in, const HeadLayout &layout, const Packed<T> &centre,
                        const Packed<T> &source, Gradients &gradients) {
    const Kernels<T> &kernels = convolution::kernels<T>();
    const auto kernel = kernels.attention_neighbour[run_index<T>(layout)][in.has_vectors()];
    const Grouping grouping = convolution::group_by_neighbour(edge_list(in));
    const int64_t width = in.width(), n_rows = source.n_rows;
    gradients.source = at::empty_like(in.source);
    gradients.vectors = at::empty_like(in.vectors);
    T *const d_source = gradients.source.mutable_data_ptr<T>();
    T *const d_vectors = gradients.vectors.mutable_data_ptr<T>();
    const std::vector<int64_t> blocks = cut(grouping, BLOCK_EDGES);
    at::parallel_for(0, static_cast<int64_t>(blocks.size()) - 1, 1, [&](int64_t from, int64_t to) {
        Block<T> block(in);
        Buffer<T> sums;
        for (int64_t k = from; k < to; ++k) {
            const int64_t begin = blocks[k], end = blocks[k + 1];
            block.fill(grouping, begin, end, true, centre.width);
            T *sum = sums.resize((end - begin) * source.width);
            kernel(block.args(source, begin, centre, sum));
            for (int64_t node = begin; node < end; ++node, sum += source.width) {
                for (int64_t r = 0; r < n_rows; ++r) {
                    T *to_row = r < FUNCTIONS ? d_source + (node * FUNCTIONS + r) * width
                                              : d_vectors + (node * 3 + r - FUNCTIONS) * width;
                    unpack(layout, sum + r * LANES<T>, to_row, n_rows);
                }
            }
        }
    });
}

template <typename T>
Gradients backward(const at::Tensor &by_scalar, const at::Tensor &by_vector, const Inputs &in,
                   bool wants_centre, bool wants_neighbour) {
    const HeadLayout layout(in.n_heads, in.width(), LANES<T>);
    const Grouping by_centre = convolution::group_by_centre(edge_list(in));
    const Packed<T> source = pack_source<T>(in, layout);
    const Packed<T> centre =
        pack_centre<T>(in, layout, by_scalar.const_data_ptr<T>(), by_vector.const_data_ptr<T>());
    Gradients gradients;
    if (wants_centre) {
        backward_centre<T>(in, layout, by_centre, centre, source, gradients);
    }
    if (wants_neighbour) {
        backward_neighbour<T>(in, layout, centre, source, gradients);
    }
    return gradients;
}

} // namespace

std::tuple<at::Tensor, at::Tensor> forward_cpu(const Inputs &inputs) {
    return inputs.query.scalar_type() == at::kFloat ? forward<float>(inputs)
                                                    : forward<double>(inputs);
}

Gradients backward_cpu(const at::Tensor &by_scalar, const at::Tensor &by_vector,
                       const Inputs &inputs, bool wants_centre, bool wants_neighbour) {
    return inputs.query.scalar_type() == at::kFloat
               ? backward<float>(by_scalar, by_vector, inputs, wants_centre, wants_neighbour)
               : backward<double>(by_scalar, by_vector, inputs, wants_centre, wants_neighbour);
}

} // namespace egraff::attention
