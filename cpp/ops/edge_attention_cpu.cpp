// SPDX-License-Identifier: GPL-2.0-or-later
//
// The three passes over the edges, each writing to nodes or edges that one block owns, so that
// threads need neither atomics nor an order. With the score s_h = sum over head h of q_i k_j K:
//   forward       by centre     x_i = sum_e act(s) a_j A ;   v_i = sum_e t_j T v_j + p_j P u
//   by centre     dq_i = sum_e ds k_j K ;   dr_e from K', A', T', P' and u
//   by neighbour  dk_j, da_j, dt_j, dp_j, dv_j, where ds = act'(s) sum over head h of dx_i a_j A
// Both backward passes form the scores again, which costs less than to store them.
#include "ops/edge_attention_cpu.h"

#include "ops/edge_convolution_blocks.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>

namespace egraff::attention {

using convolution::Buffer;
using convolution::GeometryArgs;
using convolution::Grouping;
using convolution::HERMITE;
using convolution::Kernels;
using convolution::LANES;

namespace {

// Edges in a block: their geometry, scores and one chunk of the table stay in the cache.
constexpr int64_t BLOCK_EDGES = 128;

// Packed rows of nodes, [n][chunk][row][LANES].
template <typename T> struct Packed {
    Packed(const HeadLayout &layout, int64_t n, int64_t n_rows)
        : layout(layout), n_rows(n_rows), width(layout.n_chunks * n_rows * LANES<T>) {
        data.resize(n * width);
    }

    // Fills all rows of nodes begin..end; `row(node, k)` is where row k of a node lies outside.
    template <typename Row> void fill(int64_t begin, int64_t end, const Row &row) {
        for (int64_t node = begin; node < end; ++node) {
            T *to = data.data() + node * width;
            if (layout.padded) {
                std::fill(to, to + width, T(0));
            }
            for (int64_t k = 0; k < n_rows; ++k) {
                pack(layout, row(node, k), to + k * LANES<T>, n_rows);
            }
        }
    }

    const HeadLayout &layout;
    int64_t n_rows, width;
    Buffer<T> data;
};

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

// The edges of a block of nodes, with one from each local node to itself in front of its others.
template <typename T> class Block {
  public:
    explicit Block(const Inputs &in)
        : in_(in), kernels_(convolution::kernels<T>()),
          knot_size_(HERMITE / 2 * FUNCTIONS * LANES<T>), norm_(1) {
        geometry_.l_max = 0;
        geometry_.norm = &norm_;
        geometry_.grid = convolution::make_grid(in.grid_start, in.grid_stretch);
        geometry_.n_intervals = static_cast<T>(in.table.size(1) - 3);
    }

    // Nodes begin..end of the grouping. Edges read rows of `far_width` numbers of their centre, or
    // of their neighbour.
    void fill(const Grouping &grouping, int64_t begin, int64_t end, bool read_centres,
              int64_t far_width) {
        const int64_t *centre = in_.edge_index.template const_data_ptr<int64_t>();
        const int64_t *neighbour = centre + in_.edge_index.size(1);
        const int64_t *far = read_centres ? centre : neighbour;
        const int64_t *species = in_.species.template const_data_ptr<int64_t>();
        const double *pair_scale = in_.pair_scale.template const_data_ptr<double>();
        const T *edge_vec = in_.edge_vec.template const_data_ptr<T>();
        const int64_t n_species = in_.pair_scale.size(0), n_local = in_.n_local();
        reserve(grouping.first[end] - grouping.first[begin] + end - begin);
        const int64_t s = geometry_.stride;
        T *vec = vec_.data(), *scale = scale_.data();
        first_.assign(1, 0);
        selves_.clear();
        int32_t k = 0;
        for (int64_t node = begin; node < end; ++node) {
            if (node < n_local) {
                selves_.push_back(k);
                vec[k] = vec[s + k] = vec[2 * s + k] = T(0);
                scale[k] = T(1);
                edges_[k++].far = node * far_width;
            }
            for (int64_t place = grouping.first[node]; place < grouping.first[node + 1]; ++place) {
                const int64_t e = grouping.order.empty() ? place : grouping.order[place];
                for (int a = 0; a < 3; ++a) {
                    vec[a * s + k] = edge_vec[3 * e + a];
                }
                const int64_t pair = species[centre[e]] * n_species + species[neighbour[e]];
                scale[k] = static_cast<T>(pair_scale[pair]);
                edges_[k++].far = far[e] * far_width;
            }
            first_.push_back(k);
        }
        for (int64_t rest = k; rest < s; ++rest) { // beyond the cutoff, where all is zero
            vec[rest] = T(2);
            vec[s + rest] = vec[2 * s + rest] = T(0);
            scale[rest] = T(1);
        }
        kernels_.geometry(geometry_);
        fill_edges(k);
    }

    AttentionArgs<T> args(const Packed<T> &near, int64_t first_node, const Packed<T> &far,
                          T *result) {
        AttentionArgs<T> a{};
        a.n_nodes = static_cast<int>(first_.size()) - 1;
        a.first = first_.data();
        a.head_lanes = static_cast<int>(near.layout.head_lanes);
        a.n_chunks = static_cast<int>(near.layout.n_chunks);
        a.near = near.data.data() + first_node * near.width;
        a.near_rows = near.n_rows;
        a.far = far.data.data();
        a.far_rows = far.n_rows;
        a.edges = edges_.data();
        a.table = in_.table.template const_data_ptr<T>();
        a.table_rows = in_.table.size(1);
        a.activation = in_.activation;
        // loads may go beyond the last score
        const size_t n_scores = (geometry_.stride + 1) * LANES<T>;
        a.weight = weight_.resize(n_scores);
        a.d_score = d_score_.resize(n_scores);
        a.more_scores[0] = more_scores_.resize(2 * n_scores);
        a.more_scores[1] = a.more_scores[0] + n_scores;
        a.result = result;
        return a;
    }

    // Derivatives by the edge vectors of the block, which go to `d_vec` one after another.
    void edge_vectors(const AttentionArgs<T> &a, T *d_vec) {
        const int n = first_.back();
        T *all = d_vec_.resize(3 * n);
        kernels_.attention_edge_vectors(
            {n, edges_.data(), a.edge_lanes, geometry_.inverse_length, all});
        size_t self = 0;
        for (int32_t e = 0; e < n; ++e) {
            if (self < selves_.size() && selves_[self] == e) {
                ++self;
                continue;
            }
            d_vec = std::copy_n(all + 3 * e, 3, d_vec);
        }
    }

    int stride() const { return geometry_.stride; }

  private:
    void reserve(int64_t n) {
        const int64_t s = std::max<int64_t>(1, (n + LANES<T> - 1) / LANES<T>) * LANES<T>;
        geometry_.stride = static_cast<int>(s);
        geometry_.vec = vec_.resize(3 * s);
        geometry_.scale = scale_.resize(s);
        T *rows = rows_.resize((3 + 4 + 2 * HERMITE + 1 + convolution::scratch_rows(0)) * s);
        const auto take = [&](int64_t count) {
            T *start = rows;
            rows += count * s;
            return start;
        };
        geometry_.unit = take(3);
        geometry_.inverse_length = take(1);
        geometry_.interval = take(1);
        geometry_.basis = take(HERMITE);
        geometry_.slope = take(HERMITE);
        geometry_.position = take(2);
        geometry_.harmonics = take(1);
        geometry_.scratch = take(convolution::scratch_rows(0));
        edges_.resize(s + EDGES_AHEAD);
    }

    // What follows from the geometry of the block's n edges.
    void fill_edges(int64_t n) {
        const int64_t s = geometry_.stride;
        for (int64_t e = 0; e < n; ++e) {
            Edge<T> &edge = edges_[e];
            edge.knot = static_cast<int64_t>(geometry_.interval[e]) * knot_size_;
            for (int k = 0; k < HERMITE; ++k) {
                edge.basis[k] = geometry_.basis[k * s + e];
                edge.slope[k] = geometry_.slope[k * s + e];
            }
            for (int a = 0; a < 3; ++a) {
                edge.unit[a] = geometry_.unit[a * s + e];
            }
        }
        for (const int32_t self : selves_) {
            Edge<T> &edge = edges_[self];
            // behind the knots the table has the functions at distance zero
            edge.knot = (in_.table.size(1) - 2) * knot_size_;
            for (int k = 0; k < HERMITE; ++k) {
                edge.basis[k] = k == 0 ? T(1) : T(0);
                edge.slope[k] = T(0);
            }
        }
    }

    const Inputs &in_;
    const Kernels<T> &kernels_;
    int64_t knot_size_;
    T norm_;
    GeometryArgs<T> geometry_{};
    std::vector<int32_t> first_, selves_;
    Buffer<T> rows_, vec_, scale_, weight_, d_score_, more_scores_, d_vec_;
    std::vector<Edge<T>> edges_;
};

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
