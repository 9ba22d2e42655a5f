// SPDX-License-Identifier: GPL-2.0-or-later
#include "ops/edges/edge_block.h"

#include <algorithm>

namespace egraff::edges {

Grouping group_by_centre(const EdgeList &edges) {
    const int64_t n_edges = edges.edge_index.size(1), n_nodes = edges.species.size(0);
    const int64_t n_local = edges.n_local, n_species = edges.n_species;
    const int64_t *species = edges.species.const_data_ptr<int64_t>();
    for (int64_t k = 0; k < n_nodes; ++k) {
        TORCH_CHECK_VALUE(species[k] >= 0 && species[k] < n_species, edges.op,
                          ": species: expected 0 <= species < ", n_species, ", got ", species[k],
                          " at node ", k);
    }
    const int64_t *centre = edges.edge_index.const_data_ptr<int64_t>();
    const int64_t *neighbour = centre + n_edges;
    Grouping grouping;
    grouping.first.resize(n_local + 1);
    int64_t node = 0;
    for (int64_t e = 0; e < n_edges; ++e) {
        const int64_t i = centre[e];
        TORCH_CHECK_VALUE(i >= 0 && i < n_local && i + 1 >= node, edges.op,
                          ": edge_index: expected centres in ascending "
                          "order, 0 <= i < n_local = ",
                          n_local, ", got ", i, " at edge ", e);
        TORCH_CHECK_VALUE(neighbour[e] >= 0 && neighbour[e] < n_nodes, edges.op,
                          ": edge_index: expected neighbours "
                          "0 <= j < n_nodes = ",
                          n_nodes, ", got ", neighbour[e], " at edge ", e);
        while (node <= i) {
            grouping.first[node++] = static_cast<int32_t>(e);
        }
    }
    while (node <= n_local) {
        grouping.first[node++] = static_cast<int32_t>(n_edges);
    }
    return grouping;
}

Grouping group_by_neighbour(const EdgeList &edges) {
    const int64_t n_edges = edges.edge_index.size(1), n_nodes = edges.species.size(0);
    const int64_t *neighbour = edges.edge_index.const_data_ptr<int64_t>() + n_edges;
    Grouping grouping;
    grouping.first.assign(n_nodes + 1, 0);
    for (int64_t e = 0; e < n_edges; ++e) {
        ++grouping.first[neighbour[e] + 1];
    }
    for (int64_t j = 0; j < n_nodes; ++j) {
        grouping.first[j + 1] += grouping.first[j];
    }
    grouping.order.resize(n_edges);
    std::vector<int32_t> next(grouping.first.begin(), grouping.first.end() - 1);
    for (int64_t e = 0; e < n_edges; ++e) {
        grouping.order[next[neighbour[e]]++] = static_cast<int32_t>(e);
    }
    return grouping;
}

std::vector<int64_t> cut(const Grouping &grouping, int64_t n_edges) {
    std::vector<int64_t> blocks{0};
    const int64_t n_nodes = grouping.n_nodes();
    for (int64_t node = 0; node < n_nodes;) {
        const int64_t start = node++;
        while (node < n_nodes && grouping.first[node + 1] - grouping.first[start] <= n_edges &&
               node - start < n_edges) {
            ++node;
        }
        blocks.push_back(node);
    }
    return blocks;
}

template <typename T> EdgeBlock<T>::EdgeBlock(const EdgeSource<T> &source) : source_(source) {
    geometry_.l_max = source.l_max;
    geometry_.norm = source.norm;
    geometry_.grid = source.grid;
    geometry_.n_intervals = static_cast<T>(source.n_knots - 1);
}

template <typename T> void EdgeBlock<T>::reserve(int64_t n) {
    const int64_t stride = std::max<int64_t>(1, (n + LANES<T> - 1) / LANES<T>) * LANES<T>;
    const int l_max = geometry_.l_max, n_harmonics = (l_max + 1) * (l_max + 1);
    geometry_.stride = static_cast<int>(stride);
    geometry_.vec = vec_rows_.resize(3 * stride);
    geometry_.scale = scale_.resize(stride);
    T *rows =
        rows_.resize((3 + 5 + 2 * INTERVAL_ROWS + n_harmonics + scratch_rows(l_max)) * stride);
    const auto take = [&](int64_t count) {
        T *start = rows;
        rows += count * stride;
        return start;
    };
    geometry_.unit = take(3);
    geometry_.inverse_length = take(1);
    geometry_.interval = take(1);
    geometry_.basis = take(INTERVAL_ROWS);
    geometry_.slope = take(INTERVAL_ROWS);
    geometry_.offset = take(1);
    geometry_.inside = take(1);
    geometry_.density = take(1);
    geometry_.harmonics = take(n_harmonics);
    geometry_.scratch = take(scratch_rows(l_max));
    row_.resize(stride);
    knot_.resize(stride);
    table_.resize(stride);
}

template <typename T> void EdgeBlock<T>::fill(int64_t first, int64_t last, int64_t width) {
    const int64_t n = last - first;
    reserve(n);
    const int64_t s = geometry_.stride;
    T *vec = vec_rows_.data(), *scale = scale_.data();
    const EdgeSource<T> &in = source_;
    for (int64_t k = 0; k < n; ++k) {
        const int64_t e = first + k;
        for (int a = 0; a < 3; ++a) {
            vec[a * s + k] = in.vec[3 * e + a];
        }
        const int64_t pair = in.species[in.centre[e]] * in.n_species + in.species[in.neighbour[e]];
        scale[k] = static_cast<T>(in.pair_scale[pair]);
        table_.data()[k] = in.pair_table[pair] * in.table_size;
        row_.data()[k] = in.neighbour[e] * width;
    }
    for (int64_t k = n; k < s; ++k) { // beyond the cutoff, where all is zero
        vec[k] = T(2);
        vec[s + k] = vec[2 * s + k] = T(0);
        scale[k] = T(1);
        table_.data()[k] = row_.data()[k] = 0;
    }
    kernels_.forward(geometry_);
    for (int64_t k = 0; k < s; ++k) {
        knot_.data()[k] =
            table_.data()[k] + static_cast<int64_t>(geometry_.interval[k]) * in.knot_size;
    }
}

template class EdgeBlock<float>;
template class EdgeBlock<double>;

} // namespace egraff::edges
