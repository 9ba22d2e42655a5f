// SPDX-License-Identifier: GPL-2.0-or-later
//
// Two passes over the edges, both centre by centre:
//   forward   output_i = sum_e  C w x_j Y
//   backward  dx_j     = sum_e  C w g_i Y
//             dr_e     = sum    g_i C x_j (w' Y r + w dY/dr)
// Rows of centres and edges belong to one block, so that threads need neither atomics nor an order;
// rows of neighbours are NeighbourSums. Gathering g_i neighbour by neighbour instead would move far
// more memory, for g_i is several times as wide as x_j. Where a linear map follows, the sums of a
// tile of nodes go through it, and their gradients back, while they are in the cache: neither is
// ever in memory.
#include "ops/convolution/edge_convolution_cpu.h"

#include "ops/edges/edge_block.h"
#include "ops/edges/neighbour_sums.h"
#include "ops/nodes/irreps_linear_map.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <optional>

namespace egraff::convolution {

namespace {

using edges::EdgeBlock;
using edges::EdgeList;
using edges::EdgeSource;
using edges::Grouping;
using edges::NeighbourSums;
using simd::Buffer;

// Edges in a block: geometry, one chunk of the table and the sums of a block stay in the cache.
constexpr int64_t NODE_BLOCK_EDGES = 128;
constexpr int64_t EDGE_BLOCK_EDGES = 64;
// Edges of the nodes that go through a linear map together.
constexpr int64_t TILE_EDGES = 512;

EdgeList edge_list(const Inputs &in) {
    return {"egraff::edge_convolution", in.edge_index, in.species, in.n_local,
            in.pair_scale.size(0)};
}

template <typename T> EdgeSource<T> edge_source(const Inputs &in, const Plan<T> &plan) {
    return edges::edge_source<T>(
        edge_list(in), in.edge_vec, in.pair_scale, in.pair_table, in.tables, 2,
        edges::make_grid(in.grid_start, in.grid_stretch, in.grid_kink), plan.l_max, plan.norm);
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

// The way back; columns of no block are zero.
template <typename T>
at::Tensor outside_rows(const Layout &layout, const at::Tensor &inside, int64_t width) {
    if (layout.channels_last) {
        return inside;
    }
    at::Tensor outside = at::zeros({inside.size(0), width}, inside.options());
    const T *from = inside.const_data_ptr<T>();
    T *to = outside.mutable_data_ptr<T>();
    at::parallel_for(0, inside.size(0), 64, [&](int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k) {
            to_outside(layout, from + k * layout.width, to + k * width);
        }
    });
    return outside;
}

template <typename T>
AccumulateArgs<T> path_args(const Path<T> &path, EdgeBlock<T> &block,
                            const std::vector<int32_t> &first, const T *source,
                            const at::Tensor &tables, int64_t chunk) {
    AccumulateArgs<T> args{};
    args.n_nodes = static_cast<int>(first.size()) - 1;
    args.first = first.data();
    args.stride = block.stride();
    args.source = source + path.source.inside + chunk * LANES<T>;
    args.row = block.row();
    args.source_stride = path.source.padded;
    args.table = tables.const_data_ptr<T>() + (path.first_chunk + chunk) * tables.stride(1);
    args.knot = block.knot();
    args.basis = block.geometry().basis;
    args.harmonics = block.harmonics(path.l_harmonics);
    args.coupling = path.coupling.data();
    args.n_coupling = static_cast<int>(path.coupling.size());
    args.dest_stride = path.dest.padded;
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

// What the sums are made of, and the room that a thread needs for them.
template <typename T> struct SumPass {
    const Inputs &in;
    const Plan<T> &plan;
    const Grouping &grouping;
    const at::Tensor &x; // in the inside layout
};

template <typename T> struct SumScratch {
    EdgeBlock<T> block;
    Buffer<T> sums;
    std::vector<int32_t> first;
};

// Adds the sums over the edges of nodes begin to end to rows of the inside layout.
template <typename T>
void add_sums(const SumPass<T> &pass, SumScratch<T> &scratch, int64_t begin, int64_t end, T *rows) {
    const std::vector<int32_t> &first = pass.grouping.first;
    if (first[begin] == first[end]) {
        return;
    }
    scratch.block.fill(first[begin], first[end], pass.x.size(1));
    pass.grouping.offsets(begin, end, scratch.first);
    for (const Path<T> &path : pass.plan.paths) {
        for (int64_t chunk = 0; chunk < path.n_chunks; ++chunk) {
            AccumulateArgs<T> args =
                path_args(path, scratch.block, scratch.first, pass.x.template const_data_ptr<T>(),
                          pass.in.tables, chunk);
            args.dest = rows + path.dest.inside + chunk * LANES<T>;
            args.dest_row = pass.plan.out.width;
            simd::kernels<Kernels<T>>().accumulate[path.l_source][path.l_harmonics](args);
        }
    }
}

// The sums over each node's edges, in the outside layout; columns that no path reaches are zero.
template <typename T> at::Tensor accumulate(const SumPass<T> &pass) {
    const std::vector<int64_t> blocks = edges::cut(pass.grouping, NODE_BLOCK_EDGES);
    const Layout &layout = pass.plan.out;
    const int64_t n_blocks = static_cast<int64_t>(blocks.size()) - 1, width = pass.in.width_out;
    at::Tensor dest = at::empty({pass.grouping.n_nodes(), width}, pass.x.options());
    T *const outside = dest.mutable_data_ptr<T>();
    at::parallel_for(0, n_blocks, 1, [&](int64_t from, int64_t to) {
        SumScratch<T> scratch{EdgeBlock<T>(edge_source(pass.in, pass.plan)), {}, {}};
        for (int64_t k = from; k < to; ++k) {
            const int64_t begin = blocks[k], end = blocks[k + 1];
            std::fill(outside + begin * width, outside + end * width, T(0));
            if (layout.channels_last) {
                add_sums(pass, scratch, begin, end, outside + begin * width);
                continue;
            }
            T *inside = scratch.sums.resize((end - begin) * layout.width);
            std::fill(inside, inside + (end - begin) * layout.width, T(0));
            add_sums(pass, scratch, begin, end, inside);
            for (int64_t node = begin; node < end; ++node) {
                to_outside(layout, inside + (node - begin) * layout.width, outside + node * width);
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
        : blocks(edges::cut(grouping, block_edges)), per_tile(TILE_EDGES / block_edges) {}

    int64_t n_blocks() const { return static_cast<int64_t>(blocks.size()) - 1; }
    int64_t n_tiles() const { return (n_blocks() + per_tile - 1) / per_tile; }
    int64_t first(int64_t tile) const { return tile * per_tile; }
    int64_t last(int64_t tile) const { return std::min(first(tile) + per_tile, n_blocks()); }
    int64_t begin(int64_t tile) const { return blocks[first(tile)]; }
    int64_t end(int64_t tile) const { return blocks[last(tile)]; }
};

// The same for sums that go through a linear map.
template <typename T> at::Tensor accumulate_mapped(const SumPass<T> &pass) {
    const After<T> after(pass.in);
    const Tiles tiles(pass.grouping, NODE_BLOCK_EDGES);
    const int64_t width = pass.plan.out.width, width_after = pass.in.width_after;
    at::Tensor dest = at::empty({pass.grouping.n_nodes(), width_after}, pass.x.options());
    T *const mapped = dest.mutable_data_ptr<T>();
    at::parallel_for(0, tiles.n_tiles(), 1, [&](int64_t from, int64_t to) {
        SumScratch<T> scratch{EdgeBlock<T>(edge_source(pass.in, pass.plan)), {}, {}};
        linear::Tile<T> map(after.there, width, width_after);
        for (int64_t tile = from; tile < to; ++tile) {
            const int64_t begin = tiles.begin(tile), n_nodes = tiles.end(tile) - begin;
            T *sums = scratch.sums.resize(n_nodes * width);
            std::fill(sums, sums + n_nodes * width, T(0));
            for (int64_t k = tiles.first(tile); k < tiles.last(tile); ++k) {
                const int64_t node = tiles.blocks[k];
                add_sums(pass, scratch, node, tiles.blocks[k + 1], sums + (node - begin) * width);
            }
            map.apply(after.weights, nullptr, n_nodes, sums, mapped + begin * width_after);
        }
    });
    return dest;
}

// What the backward reads, and where it writes: `by_x` may be null.
template <typename T> struct GradientPass {
    const Inputs &in;
    const Plan<T> &plan;
    const Grouping &grouping;
    const at::Tensor &x; // in the inside layout
    std::vector<const Path<T> *> paths;
    NeighbourSums<T> *by_x;
    T *by_vec;

    GradientPass(const Inputs &in, const Plan<T> &plan, const Grouping &grouping,
                 const at::Tensor &x, NeighbourSums<T> *by_x, T *by_vec)
        : in(in), plan(plan), grouping(grouping), x(x), by_x(by_x), by_vec(by_vec) {
        for (const Path<T> &path : plan.paths) {
            paths.push_back(&path);
        }
        // harmonics of one order at a time: what is added to stays in the cache
        std::stable_sort(paths.begin(), paths.end(), [](const Path<T> *a, const Path<T> *b) {
            return a->l_harmonics < b->l_harmonics;
        });
    }
};

// The room that a thread needs for it: derivatives by harmonics and length, lane by lane and
// summed.
template <typename T> struct GradientScratch {
    EdgeBlock<T> block;
    Buffer<T> lanes, sums;
    std::vector<int32_t> first;
    std::vector<T *> d_source;
};

// Adds the gradients by x and writes those by the vectors of the edges of nodes begin to end;
// `gradient` is the first of their rows.
template <typename T>
void edge_gradients(const GradientPass<T> &pass, GradientScratch<T> &scratch, int64_t part,
                    const T *gradient, int64_t begin, int64_t end) {
    const Kernels<T> &kernel = simd::kernels<Kernels<T>>();
    const auto &geometry = simd::kernels<edges::GeometryKernels<T>>();
    const int64_t first_edge = pass.grouping.first[begin];
    const int64_t n_edges = pass.grouping.first[end] - first_edge;
    if (n_edges == 0) {
        return;
    }
    EdgeBlock<T> &block = scratch.block;
    // one row for each harmonic and one for the length
    const int64_t n_rows = (pass.plan.l_max + 1) * (pass.plan.l_max + 1) + 1;
    block.fill(first_edge, first_edge + n_edges, pass.x.size(1));
    pass.grouping.offsets(begin, end, scratch.first);
    scratch.d_source.resize(n_edges);
    for (int64_t e = 0; pass.by_x && e < n_edges; ++e) {
        scratch.d_source[e] = pass.by_x->row(part, first_edge + e);
    }
    const int64_t stride = block.stride();
    T *added = scratch.lanes.resize(n_edges * n_rows * LANES<T>);
    std::fill(added, added + n_edges * n_rows * LANES<T>, T(0));
    for (const Path<T> *path : pass.paths) {
        GradientArgs<T> args{};
        args.forward = path_args(*path, block, scratch.first, pass.x.template const_data_ptr<T>(),
                                 pass.in.tables, 0);
        args.forward.dest_row = pass.plan.out.width;
        args.n_chunks = static_cast<int>(path->n_chunks);
        args.table_chunk = pass.in.tables.stride(1);
        args.slope = block.geometry().slope;
        args.gradient = gradient + path->dest.inside;
        args.d_source = pass.by_x ? scratch.d_source.data() : nullptr;
        args.from_source = path->source.inside;
        args.d_harmonics = added + path->l_harmonics * path->l_harmonics * LANES<T>;
        args.d_length = added + (n_rows - 1) * LANES<T>;
        args.d_row = n_rows * LANES<T>;
        kernel.gradient[path->l_source][path->l_harmonics](args);
    }
    T *total = scratch.sums.resize(n_rows * stride);
    geometry.sum_lanes(added, static_cast<int>(n_edges), static_cast<int>(n_rows), block.stride(),
                       total);
    block.backward(total, total + (n_rows - 1) * stride, pass.by_vec + 3 * first_edge);
}

// Rows of `gradient`, if they come from behind a linear map, go back through it tile by tile.
template <typename T>
void part_gradients(const GradientPass<T> &pass, const std::optional<After<T>> &after,
                    const Tiles &tiles, int64_t part, int64_t first_tile, int64_t last_tile,
                    const at::Tensor &gradient) {
    GradientScratch<T> scratch{EdgeBlock<T>(edge_source(pass.in, pass.plan)), {}, {}, {}, {}};
    Buffer<T> back;
    const int64_t width = pass.plan.out.width, row = gradient.size(1);
    std::optional<linear::Tile<T>> map;
    if (after) {
        map.emplace(after->back, row, width);
    }
    if (pass.by_x) {
        pass.by_x->open(part);
    }
    for (int64_t tile = first_tile; tile < last_tile; ++tile) {
        const int64_t begin = tiles.begin(tile), n_nodes = tiles.end(tile) - begin;
        const T *rows = gradient.const_data_ptr<T>() + begin * row;
        if (map) {
            T *sums = back.resize(n_nodes * width);
            map->apply(after->weights_back, nullptr, n_nodes, rows, sums);
            rows = sums;
        }
        for (int64_t k = tiles.first(tile); k < tiles.last(tile); ++k) {
            const int64_t node = tiles.blocks[k];
            edge_gradients(pass, scratch, part, rows + (node - begin) * width, node,
                           tiles.blocks[k + 1]);
        }
    }
}

// Tiles, the same number for each thread.
std::vector<int64_t> tiles_of_threads(int64_t n_tiles) {
    const int64_t n_parts = std::max<int64_t>(1, std::min<int64_t>(at::get_num_threads(), n_tiles));
    std::vector<int64_t> first(n_parts + 1);
    for (int64_t part = 0; part <= n_parts; ++part) {
        first[part] = n_tiles * part / n_parts;
    }
    return first;
}

} // namespace

template <typename T> std::array<at::Tensor, 1> Cpu::forward(const Inputs &in) {
    const Plan<T> plan(in);
    const Grouping grouping = edges::group_by_centre(edge_list(in));
    const at::Tensor x = inside_rows<T>(plan.in, in.x);
    const SumPass<T> pass{in, plan, grouping, x};
    return {in.is_mapped() ? accumulate_mapped(pass) : accumulate(pass)};
}

template <typename T>
std::array<at::Tensor, 2> Cpu::backward(const std::array<at::Tensor, 1> &gradients,
                                        const Inputs &in, const std::array<bool, 2> &wanted) {
    const auto [wants_x, wants_edge_vec] = wanted;
    const Plan<T> plan(in);
    const Grouping grouping = edges::group_by_centre(edge_list(in));
    const at::Tensor x = inside_rows<T>(plan.in, in.x);
    const std::optional<After<T>> after =
        in.is_mapped() ? std::make_optional<After<T>>(in) : std::nullopt;
    const at::Tensor g = after ? gradients[0] : inside_rows<T>(plan.out, gradients[0]);
    const Tiles tiles(grouping, EDGE_BLOCK_EDGES);
    const std::vector<int64_t> parts = tiles_of_threads(tiles.n_tiles());
    const int64_t n_parts = static_cast<int64_t>(parts.size()) - 1;
    std::vector<int64_t> centres;
    for (int64_t tile : parts) {
        centres.push_back(tiles.blocks[std::min(tiles.first(tile), tiles.n_blocks())]);
    }
    std::optional<NeighbourSums<T>> by_x;
    if (wants_x) {
        by_x.emplace(edge_list(in), grouping, centres, plan.in.width, in.x.options());
    }
    at::Tensor d_vec = at::empty(in.edge_vec.sizes(), in.edge_vec.options());
    const GradientPass<T> pass(in, plan, grouping, x, by_x ? &*by_x : nullptr,
                               d_vec.mutable_data_ptr<T>());
    at::parallel_for(0, n_parts, 1, [&](int64_t from, int64_t to) {
        for (int64_t part = from; part < to; ++part) {
            part_gradients(pass, after, tiles, part, parts[part], parts[part + 1], g);
        }
    });
    return {wants_x ? outside_rows<T>(plan.in, by_x->finish(), in.x.size(1)) : at::Tensor(),
            wants_edge_vec ? d_vec : at::Tensor()};
}

template std::array<at::Tensor, 1> Cpu::forward<float>(const Inputs &);
template std::array<at::Tensor, 1> Cpu::forward<double>(const Inputs &);
template std::array<at::Tensor, 2> Cpu::backward<float>(const std::array<at::Tensor, 1> &,
                                                        const Inputs &,
                                                        const std::array<bool, 2> &);
template std::array<at::Tensor, 2> Cpu::backward<double>(const std::array<at::Tensor, 1> &,
                                                         const Inputs &,
                                                         const std::array<bool, 2> &);

} // namespace egraff::convolution
