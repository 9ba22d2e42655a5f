// SPDX-License-Identifier: GPL-2.0-or-later
//
// The three passes over the edges. Each writes to nodes or edges that one block owns, so that
// threads need neither atomics nor an order.
//   forward     by centre     output_i  = sum_e  C w x_j Y
//   by x        by neighbour  dx_j      = sum_e  C w g_i Y      (the same loops, legs reversed)
//   by vectors  by centre     dr_e      = sum    g_i C x_j (w' Y r + w dY/dr)
#include "ops/edge_convolution_cpu.h"

#include "ops/edge_convolution_blocks.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>

namespace egraff::convolution {

namespace {

// Edges in a block: geometry, one chunk of the table and the sums of a block stay in the cache.
constexpr int64_t NODE_BLOCK_EDGES = 128;
constexpr int64_t EDGE_BLOCK_EDGES = 64;

template <typename T> EdgeSource<T> edge_source(const Inputs &in, const Plan<T> &plan) {
    const int64_t *centre = in.edge_index.const_data_ptr<int64_t>();
    const at::Tensor &tables = in.tables;
    return {centre,
            centre + in.edge_index.size(1),
            in.species.const_data_ptr<int64_t>(),
            in.edge_vec.const_data_ptr<T>(),
            in.pair_scale.const_data_ptr<double>(),
            in.pair_table.const_data_ptr<int64_t>(),
            in.pair_scale.size(0),
            tables.size(1) * tables.size(2) * tables.size(3) * tables.size(4),
            tables.size(3) * tables.size(4),
            tables.size(2),
            make_grid(in.grid_start, in.grid_stretch),
            plan.l_max,
            plan.norm.data()};
}

// Rows of the inside layout of all nodes.
template <typename T> at::Tensor inside_rows(const Layout &layout, const at::Tensor &outside) {
    if (layout.channels_last) {
        return outside;
    }
    const int64_t n = outside.size(0);
    at::Tensor inside = at::empty({n, layout.width}, outside.options());
    const T *from = outside.const_data_ptr<T>();
    T *to = inside.mutable_data_ptr<T>();
    const int64_t width = outside.size(1);
    at::parallel_for(0, n, 64, [&](int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k) {
            to_inside(layout, from + k * width, to + k * layout.width);
        }
    });
    return inside;
}

// int32 offsets of the edges of a block's nodes, from the block's first edge
void block_offsets(const Grouping &grouping, int64_t begin, int64_t end,
                   std::vector<int32_t> &first) {
    first.resize(end - begin + 1);
    for (int64_t node = begin; node <= end; ++node) {
        first[node - begin] = grouping.first[node] - grouping.first[begin];
    }
}

template <typename T>
AccumulateArgs<T> leg_args(const Leg<T> &leg, EdgeBlock<T> &block,
                           const std::vector<int32_t> &first, const T *source,
                           const at::Tensor &tables, int64_t chunk) {
    AccumulateArgs<T> args{};
    args.n_nodes = static_cast<int>(first.size()) - 1;
    args.first = first.data();
    args.stride = block.stride();
    args.source = source + leg.source.inside + chunk * LANES<T>;
    args.row = block.row();
    args.source_stride = leg.source.padded;
    args.table = tables.const_data_ptr<T>() + (leg.first_chunk + chunk) * tables.stride(1);
    args.knot = block.knot();
    args.basis = block.geometry().basis;
    args.harmonics = block.harmonics(leg.l_harmonics);
    args.coupling = leg.coupling.data();
    args.n_coupling = static_cast<int>(leg.coupling.size());
    args.dest_stride = leg.dest.padded;
    return args;
}

// dest[node] = sum over the node's edges of all legs, in the outside layout; columns that no leg
// reaches are zero.
template <typename T>
at::Tensor accumulate(const Inputs &in, const Plan<T> &plan, const Grouping &grouping,
                      const std::vector<Leg<T>> &legs, const at::Tensor &source,
                      const Layout &dest_layout, int64_t dest_width, bool read_centres) {
    const Kernels<T> &kernel = kernels<T>();
    const std::vector<int64_t> blocks = cut(grouping, NODE_BLOCK_EDGES);
    at::Tensor dest = at::empty({grouping.n_nodes(), dest_width}, source.options());
    T *const outside = dest.mutable_data_ptr<T>();
    const T *const rows = source.const_data_ptr<T>();
    const int64_t n_blocks = static_cast<int64_t>(blocks.size()) - 1, width = dest_layout.width;
    at::parallel_for(0, n_blocks, 1, [&](int64_t from, int64_t to) {
        EdgeBlock<T> block(edge_source(in, plan));
        Buffer<T> sums;
        std::vector<int32_t> first;
        for (int64_t k = from; k < to; ++k) {
            const int64_t begin = blocks[k], end = blocks[k + 1];
            std::fill(outside + begin * dest_width, outside + end * dest_width, T(0));
            if (grouping.first[begin] == grouping.first[end]) {
                continue;
            }
            block.fill(grouping, grouping.first[begin], grouping.first[end], read_centres,
                       source.size(1));
            block_offsets(grouping, begin, end, first);
            T *inside = outside + begin * dest_width;
            if (!dest_layout.channels_last) {
                inside = sums.resize((end - begin) * width);
                std::fill(inside, inside + (end - begin) * width, T(0));
            }
            for (const Leg<T> &leg : legs) {
                for (int64_t chunk = 0; chunk < leg.n_chunks; ++chunk) {
                    AccumulateArgs<T> args = leg_args(leg, block, first, rows, in.tables, chunk);
                    args.dest = inside + leg.dest.inside + chunk * LANES<T>;
                    args.dest_row = width;
                    kernel.accumulate[leg.l_source][leg.l_harmonics](args);
                }
            }
            for (int64_t node = begin; node < end && !dest_layout.channels_last; ++node) {
                to_outside(dest_layout, inside + (node - begin) * width,
                           outside + node * dest_width);
            }
        }
    });
    return dest;
}

// Sums the lanes of [edge][row][LANES] into [row][stride].
template <typename T>
void sum_lanes(const T *lanes, int64_t n_edges, int64_t n_rows, int64_t stride, T *sums) {
    for (int64_t row = 0; row < n_rows; ++row) {
        for (int64_t e = 0; e < stride; ++e) {
            T total = T(0);
            if (e < n_edges) {
                const T *from = lanes + (e * n_rows + row) * LANES<T>;
                for (int lane = 0; lane < LANES<T>; ++lane) {
                    total += from[lane];
                }
            }
            sums[row * stride + e] = total;
        }
    }
}

template <typename T>
at::Tensor edge_gradient(const Inputs &in, const Plan<T> &plan, const Grouping &grouping,
                         const at::Tensor &x, const at::Tensor &gradient) {
    const Kernels<T> &kernel = kernels<T>();
    const std::vector<int64_t> blocks = cut(grouping, EDGE_BLOCK_EDGES);
    at::Tensor result = at::empty(in.edge_vec.sizes(), in.edge_vec.options());
    T *const d_vec = result.mutable_data_ptr<T>();
    const T *const rows = x.const_data_ptr<T>(), *const g = gradient.const_data_ptr<T>();
    const int64_t n_blocks = static_cast<int64_t>(blocks.size()) - 1, width = plan.out.width;
    // one row for each harmonic and one for the length
    const int64_t n_rows = (plan.l_max + 1) * (plan.l_max + 1) + 1;
    // harmonics of one order at a time: what is added to stays in the cache
    std::vector<const Leg<T> *> legs;
    for (const Leg<T> &leg : plan.forward) {
        legs.push_back(&leg);
    }
    std::stable_sort(legs.begin(), legs.end(), [](const Leg<T> *a, const Leg<T> *b) {
        return a->l_harmonics < b->l_harmonics;
    });
    at::parallel_for(0, n_blocks, 1, [&](int64_t from, int64_t to) {
        EdgeBlock<T> block(edge_source(in, plan));
        Buffer<T> lanes, sums;
        std::vector<int32_t> first;
        for (int64_t k = from; k < to; ++k) {
            const int64_t begin = blocks[k], end = blocks[k + 1];
            const int64_t first_edge = grouping.first[begin];
            const int64_t n_edges = grouping.first[end] - first_edge;
            if (n_edges == 0) {
                continue;
            }
            block.fill(grouping, first_edge, first_edge + n_edges, false, x.size(1));
            block_offsets(grouping, begin, end, first);
            const int64_t stride = block.stride();
            T *added = lanes.resize(n_edges * n_rows * LANES<T>);
            std::fill(added, added + n_edges * n_rows * LANES<T>, T(0));
            for (const Leg<T> *leg : legs) {
                for (int64_t chunk = 0; chunk < leg->n_chunks; ++chunk) {
                    EdgeGradientArgs<T> args{};
                    args.forward = leg_args(*leg, block, first, rows, in.tables, chunk);
                    args.forward.dest_row = width;
                    args.slope = block.geometry().slope;
                    args.gradient = g + begin * width + leg->dest.inside + chunk * LANES<T>;
                    args.d_harmonics = added + leg->l_harmonics * leg->l_harmonics * LANES<T>;
                    args.d_length = added + (n_rows - 1) * LANES<T>;
                    args.d_row = n_rows * LANES<T>;
                    kernel.edge_gradient[leg->l_source][leg->l_harmonics](args);
                }
            }
            T *total = sums.resize((n_rows + 3) * stride);
            sum_lanes(added, n_edges, n_rows, stride, total);
            T *vec = total + n_rows * stride;
            kernel.geometry_backward({block.geometry(), total, total + (n_rows - 1) * stride, vec});
            for (int64_t e = 0; e < n_edges; ++e) {
                for (int a = 0; a < 3; ++a) {
                    d_vec[3 * (first_edge + e) + a] = vec[a * stride + e];
                }
            }
        }
    });
    return result;
}

EdgeList edge_list(const Inputs &in) {
    return {"egraff::edge_convolution", in.edge_index, in.species, in.n_local,
            in.pair_scale.size(0)};
}

template <typename T> at::Tensor forward(const Inputs &in) {
    const Plan<T> plan(in);
    const Grouping by_centre = group_by_centre(edge_list(in));
    const at::Tensor x = inside_rows<T>(plan.in, in.x);
    return accumulate(in, plan, by_centre, plan.forward, x, plan.out, in.width_out, false);
}

template <typename T>
std::tuple<at::Tensor, at::Tensor> backward(const at::Tensor &gradient, const Inputs &in,
                                            bool wants_x, bool wants_edge_vec) {
    const Plan<T> plan(in);
    const Grouping by_centre = group_by_centre(edge_list(in));
    const at::Tensor g = inside_rows<T>(plan.out, gradient);
    at::Tensor d_x, d_vec;
    if (wants_edge_vec) {
        d_vec = edge_gradient(in, plan, by_centre, inside_rows<T>(plan.in, in.x), g);
    }
    if (wants_x) {
        d_x = accumulate(in, plan, group_by_neighbour(edge_list(in)), plan.backward, g, plan.in,
                         in.x.size(1), true);
    }
    return {d_x, d_vec};
}

} // namespace

at::Tensor forward_cpu(const Inputs &inputs) {
    return inputs.x.scalar_type() == at::kFloat ? forward<float>(inputs) : forward<double>(inputs);
}

std::tuple<at::Tensor, at::Tensor> backward_cpu(const at::Tensor &gradient, const Inputs &inputs,
                                                bool wants_x, bool wants_edge_vec) {
    return inputs.x.scalar_type() == at::kFloat
               ? backward<float>(gradient, inputs, wants_x, wants_edge_vec)
               : backward<double>(gradient, inputs, wants_x, wants_edge_vec);
}

} // namespace egraff::convolution
