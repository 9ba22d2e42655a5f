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

void Grouping::offsets(int64_t begin, int64_t end, std::vector<int32_t> &to) const {
    to.resize(end - begin + 1);
    for (int64_t node = begin; node <= end; ++node) {
        to[node - begin] = first[node] - first[begin];
    }
}

template <typename T>
EdgeBlock<T>::EdgeBlock(const EdgeSource<T> &source)
    : source_(source), geometry_(source.l_max, source.norm, source.grid, source.n_knots) {}

template <typename T> void EdgeBlock<T>::fill(int64_t first, int64_t last, int64_t width) {
    const int64_t n = n_edges_ = last - first;
    geometry_.resize(n);
    const int64_t s = stride();
    T *vec = geometry_.vec(), *scale = geometry_.scale();
    int64_t *row = row_.resize(s), *knot = knot_.resize(s), *table = table_.resize(s);
    const EdgeSource<T> &in = source_;
    for (int64_t k = 0; k < n; ++k) {
        const int64_t e = first + k;
        for (int a = 0; a < 3; ++a) {
            vec[a * s + k] = in.vec[3 * e + a];
        }
        const int64_t pair = in.species[in.centre[e]] * in.n_species + in.species[in.neighbour[e]];
        scale[k] = static_cast<T>(in.pair_scale[pair]);
        table[k] = in.pair_table[pair] * in.table_size;
        row[k] = in.neighbour[e] * width;
    }
    for (int64_t k = n; k < s; ++k) {
        table[k] = row[k] = 0;
    }
    geometry_.make(n);
    for (int64_t k = 0; k < s; ++k) {
        knot[k] = table[k] + static_cast<int64_t>(geometry().interval[k]) * in.knot_size;
    }
}

template class EdgeBlock<float>;
template class EdgeBlock<double>;

} // namespace egraff::edges
