// SPDX-License-Identifier: GPL-2.0-or-later
//
// The three passes over the edges. Each writes to nodes or edges that one block owns, so that
// threads need neither atomics nor an order.
//   forward     by centre     output_i  = sum_e  C w x_j Y
//   by x        by neighbour  dx_j      = sum_e  C w g_i Y      (the same loops, legs reversed)
//   by vectors  by centre     dr_e      = sum    g_i C x_j (w' Y r + w dY/dr)
// Where a linear map follows, the sums of a tile of nodes go through it while they are in the
// cache; only the pass by x, which gathers gradients of sums, needs them in memory.
#include "ops/edge_convolution_cpu.h"

#include "ops/edge_convolution_blocks.h"
#include "ops/irreps_linear_map.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <optional>

namespace egraff::convolution {

namespace {

// Edges in a block: geometry, one chunk of the table and the sums of a block stay in the cache.
constexpr int64_t NODE_BLOCK_EDGES = 128;
constexpr int64_t EDGE_BLOCK_EDGES = 64;
// Edges of the nodes that go through a linear map together.
constexpr int64_t TILE_EDGES = 512;

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

// The linear map that follows the sums, in both directions.
template <typename T> struct After {
    std::vector<linear::Block> there, back;
    const T *weights, *weights_back;

    explicit After(const Inputs &in)
        : there(blocks(in, BLOCKS, in.width_out, in.width_after)),
          back(blocks(in, BLOCKS_BACK, in.width_after, in.width_out)),
          weights(in.after[WEIGHTS].const_data_ptr<T>()),
          weights_back(in.after[WEIGHTS_BACK].const_data_ptr<T>()) {}

  private:
    static std::vector<linear::Block> blocks(const Inputs &in, int table, int64_t from,
                                             int64_t to) {
        return linear::read_blocks("egraff::edge_convolution", in.after[table], from, to,
                                   in.after[table - 1].size(1), LANES<T>);
    }
};

// What a pass of sums reads, and the room that a thread needs for it.
template <typename T> struct SumPass {
    const Inputs &in;
    const Grouping &grouping;
    const std::vector<Leg<T>> &legs;
    const at::Tensor &source;
    bool read_centres;
};

template <typename T> struct SumScratch {
    EdgeBlock<T> block;
    Buffer<T> sums;
    std::vector<int32_t> first;
};

// Adds the sums over the edges of nodes begin to end to rows of the inside layout.
template <typename T>
void add_sums(const SumPass<T> &pass, SumScratch<T> &scratch, int64_t begin, int64_t end, T *rows,
              int64_t width) {
    const std::vector<int32_t> &first = pass.grouping.first;
    const at::Tensor &source = pass.source;
    if (first[begin] == first[end]) {
        return;
    }
    scratch.block.fill(pass.grouping, first[begin], first[end], pass.read_centres, source.size(1));
    block_offsets(pass.grouping, begin, end, scratch.first);
    for (const Leg<T> &leg : pass.legs) {
        for (int64_t chunk = 0; chunk < leg.n_chunks; ++chunk) {
            AccumulateArgs<T> args = leg_args(leg, scratch.block, scratch.first,
                                              source.const_data_ptr<T>(), pass.in.tables, chunk);
            args.dest = rows + leg.dest.inside + chunk * LANES<T>;
            args.dest_row = width;
            kernels<T>().accumulate[leg.l_source][leg.l_harmonics](args);
        }
    }
}

// dest[node] = sum over the node's edges of all legs, in the outside layout; columns that no leg
// reaches are zero.
template <typename T>
at::Tensor accumulate(const SumPass<T> &pass, const Plan<T> &plan, const Layout &dest_layout,
                      int64_t dest_width) {
    const std::vector<int64_t> blocks = cut(pass.grouping, NODE_BLOCK_EDGES);
    at::Tensor dest = at::empty({pass.grouping.n_nodes(), dest_width}, pass.source.options());
    T *const outside = dest.mutable_data_ptr<T>();
    const int64_t n_blocks = static_cast<int64_t>(blocks.size()) - 1, width = dest_layout.width;
    at::parallel_for(0, n_blocks, 1, [&](int64_t from, int64_t to) {
        SumScratch<T> scratch{EdgeBlock<T>(edge_source(pass.in, plan)), {}, {}};
        for (int64_t k = from; k < to; ++k) {
            const int64_t begin = blocks[k], end = blocks[k + 1];
            std::fill(outside + begin * dest_width, outside + end * dest_width, T(0));
            if (dest_layout.channels_last) {
                add_sums(pass, scratch, begin, end, outside + begin * dest_width, width);
                continue;
            }
            T *inside = scratch.sums.resize((end - begin) * width);
            std::fill(inside, inside + (end - begin) * width, T(0));
            add_sums(pass, scratch, begin, end, inside, width);
            for (int64_t node = begin; node < end; ++node) {
                to_outside(dest_layout, inside + (node - begin) * width,
                           outside + node * dest_width);
            }
        }
    });
    return dest;
}

// Blocks of a tile, from tile to tile: as many as have about TILE_EDGES edges together.
struct Tiles {
    std::vector<int64_t> blocks; // first node of each block, and the end
    int64_t per_tile;

    Tiles(const Grouping &grouping, int64_t block_edges)
        : blocks(cut(grouping, block_edges)), per_tile(TILE_EDGES / block_edges) {}

    int64_t n_blocks() const { return static_cast<int64_t>(blocks.size()) - 1; }
    int64_t n_tiles() const { return (n_blocks() + per_tile - 1) / per_tile; }
    int64_t first(int64_t tile) const { return tile * per_tile; }
    int64_t last(int64_t tile) const { return std::min(first(tile) + per_tile, n_blocks()); }
    int64_t begin(int64_t tile) const { return blocks[first(tile)]; }
    int64_t end(int64_t tile) const { return blocks[last(tile)]; }
};

// The same for sums that go through a linear map: they are never in memory.
template <typename T> at::Tensor accumulate_mapped(const SumPass<T> &pass, const Plan<T> &plan) {
    const After<T> after(pass.in);
    const Tiles tiles(pass.grouping, NODE_BLOCK_EDGES);
    const int64_t width = plan.out.width, width_after = pass.in.width_after;
    at::Tensor dest = at::empty({pass.grouping.n_nodes(), width_after}, pass.source.options());
    T *const mapped = dest.mutable_data_ptr<T>();
    at::parallel_for(0, tiles.n_tiles(), 1, [&](int64_t from, int64_t to) {
        SumScratch<T> scratch{EdgeBlock<T>(edge_source(pass.in, plan)), {}, {}};
        linear::Tile<T> map(after.there, width, width_after);
        for (int64_t tile = from; tile < to; ++tile) {
            const int64_t begin = tiles.begin(tile), n_nodes = tiles.end(tile) - begin;
            T *sums = scratch.sums.resize(n_nodes * width);
            std::fill(sums, sums + n_nodes * width, T(0));
            for (int64_t k = tiles.first(tile); k < tiles.last(tile); ++k) {
                const int64_t node = tiles.blocks[k];
                add_sums(pass, scratch, node, tiles.blocks[k + 1], sums + (node - begin) * width,
                         width);
            }
            map.apply(after.weights, nullptr, n_nodes, sums, mapped + begin * width_after);
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

// Derivatives of one edge's sums by harmonics and length, added up by the kernels.
template <typename T> struct GradientScratch {
    EdgeBlock<T> block;
    Buffer<T> lanes, sums;
    std::vector<int32_t> first;
};

// Writes the gradient by the vectors of the edges of nodes begin to end; `gradient` is the first of
// their rows.
template <typename T>
void edge_gradient_block(const Inputs &in, const Plan<T> &plan, const Grouping &grouping,
                         const std::vector<const Leg<T> *> &legs, const at::Tensor &x,
                         const T *gradient, int64_t begin, int64_t end, GradientScratch<T> &scratch,
                         T *d_vec) {
    const Kernels<T> &kernel = kernels<T>();
    const int64_t first_edge = grouping.first[begin];
    const int64_t n_edges = grouping.first[end] - first_edge;
    if (n_edges == 0) {
        return;
    }
    EdgeBlock<T> &block = scratch.block;
    // one row for each harmonic and one for the length
    const int64_t n_rows = (plan.l_max + 1) * (plan.l_max + 1) + 1;
    block.fill(grouping, first_edge, first_edge + n_edges, false, x.size(1));
    block_offsets(grouping, begin, end, scratch.first);
    const int64_t stride = block.stride();
    T *added = scratch.lanes.resize(n_edges * n_rows * LANES<T>);
    std::fill(added, added + n_edges * n_rows * LANES<T>, T(0));
    for (const Leg<T> *leg : legs) {
        for (int64_t chunk = 0; chunk < leg->n_chunks; ++chunk) {
            EdgeGradientArgs<T> args{};
            args.forward =
                leg_args(*leg, block, scratch.first, x.const_data_ptr<T>(), in.tables, chunk);
            args.forward.dest_row = plan.out.width;
            args.slope = block.geometry().slope;
            args.gradient = gradient + leg->dest.inside + chunk * LANES<T>;
            args.d_harmonics = added + leg->l_harmonics * leg->l_harmonics * LANES<T>;
            args.d_length = added + (n_rows - 1) * LANES<T>;
            args.d_row = n_rows * LANES<T>;
            kernel.edge_gradient[leg->l_source][leg->l_harmonics](args);
        }
    }
    T *total = scratch.sums.resize((n_rows + 3) * stride);
    sum_lanes(added, n_edges, n_rows, stride, total);
    T *vec = total + n_rows * stride;
    kernel.geometry_backward({block.geometry(), total, total + (n_rows - 1) * stride, vec});
    for (int64_t e = 0; e < n_edges; ++e) {
        for (int a = 0; a < 3; ++a) {
            d_vec[3 * (first_edge + e) + a] = vec[a * stride + e];
        }
    }
}

// The gradient by edge vectors. Rows of `gradient`, if they come from behind a linear map, go back
// through it tile by tile: into `unmapped`, the gradient by the sums, if that is defined.
template <typename T>
at::Tensor edge_gradient(const Inputs &in, const Plan<T> &plan, const Grouping &grouping,
                         const at::Tensor &x, const at::Tensor &gradient,
                         const at::Tensor &unmapped) {
    const std::optional<After<T>> after =
        in.after.empty() ? std::nullopt : std::make_optional<After<T>>(in);
    const Tiles tiles(grouping, EDGE_BLOCK_EDGES);
    at::Tensor result = at::empty(in.edge_vec.sizes(), in.edge_vec.options());
    T *const d_vec = result.mutable_data_ptr<T>();
    const T *const g = gradient.const_data_ptr<T>();
    T *const kept = unmapped.defined() ? unmapped.mutable_data_ptr<T>() : nullptr;
    const int64_t width = plan.out.width, row = gradient.size(1);
    // harmonics of one order at a time: what is added to stays in the cache
    std::vector<const Leg<T> *> legs;
    for (const Leg<T> &leg : plan.forward) {
        legs.push_back(&leg);
    }
    std::stable_sort(legs.begin(), legs.end(), [](const Leg<T> *a, const Leg<T> *b) {
        return a->l_harmonics < b->l_harmonics;
    });
    at::parallel_for(0, tiles.n_tiles(), 1, [&](int64_t from, int64_t to) {
        GradientScratch<T> scratch{EdgeBlock<T>(edge_source(in, plan)), {}, {}, {}};
        Buffer<T> back;
        for (int64_t tile = from; tile < to; ++tile) {
            const int64_t begin = tiles.begin(tile), n_nodes = tiles.end(tile) - begin;
            const T *rows = g + begin * row;
            if (after) {
                T *sums = kept ? kept + begin * width : back.resize(n_nodes * width);
                linear::Tile<T>(after->back, row, width)
                    .apply(after->weights_back, nullptr, n_nodes, rows, sums);
                rows = sums;
            }
            for (int64_t k = tiles.first(tile); k < tiles.last(tile); ++k) {
                const int64_t node = tiles.blocks[k];
                edge_gradient_block(in, plan, grouping, legs, x, rows + (node - begin) * width,
                                    node, tiles.blocks[k + 1], scratch, d_vec);
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
    const SumPass<T> pass{in, by_centre, plan.forward, x, false};
    return in.after.empty() ? accumulate(pass, plan, plan.out, in.width_out)
                            : accumulate_mapped(pass, plan);
}

template <typename T>
std::tuple<at::Tensor, at::Tensor> backward(const at::Tensor &gradient, const Inputs &in,
                                            bool wants_x, bool wants_edge_vec) {
    const Plan<T> plan(in);
    const Grouping by_centre = group_by_centre(edge_list(in));
    const bool mapped = !in.after.empty();
    const at::Tensor g = mapped ? gradient : inside_rows<T>(plan.out, gradient);
    // the gradient by the sums, which the first pass makes of `g` if a map follows them
    at::Tensor by_sums = g, d_x, d_vec;
    if (mapped) {
        by_sums = wants_x ? at::empty({in.n_local, plan.out.width}, g.options()) : at::Tensor();
    }
    if (wants_edge_vec || mapped) {
        d_vec = edge_gradient(in, plan, by_centre, inside_rows<T>(plan.in, in.x), g,
                              mapped ? by_sums : at::Tensor());
    }
    if (wants_x) {
        const Grouping by_neighbour = group_by_neighbour(edge_list(in));
        d_x = accumulate<T>({in, by_neighbour, plan.backward, by_sums, true}, plan, plan.in,
                            in.x.size(1));
    }
    return {d_x, wants_edge_vec ? d_vec : at::Tensor()};
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
