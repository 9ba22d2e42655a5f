// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/blocks.h"

#include "core/error.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

namespace egraff {

std::vector<Block> cut(const Graph &graph, int64_t n_edges) {
    const int64_t *centre = graph.edge_index.const_data_ptr<int64_t>();
    const int64_t end = graph.edge_vec.size(0);
    std::vector<Block> blocks;
    int64_t edge = 0;
    for (int64_t node = 0; node < graph.n_local;) {
        Block block{node, node, edge, edge};
        // nodes without edges take time and memory, too
        while (node < graph.n_local && edge - block.first_edge < n_edges &&
               node - block.first_node < n_edges) {
            while (edge < end && centre[edge] == node) {
                ++edge;
            }
            ++node;
        }
        block.last_node = node;
        block.last_edge = edge;
        blocks.push_back(block);
    }
    if (edge != end) {
        throw Error("expected centres in ascending order, 0 <= i < n_local = " +
                        std::to_string(graph.n_local) + ", got " + std::to_string(centre[edge]) +
                        " at edge " + std::to_string(edge),
                    {"edge_index"}, "sort the edges by their centre");
    }
    return blocks;
}

Graph extract(const Graph &graph, const Block &block) {
    const int64_t n_nodes = block.last_node - block.first_node;
    const int64_t n_edges = block.last_edge - block.first_edge;
    const int64_t *species = graph.species.const_data_ptr<int64_t>();
    const int64_t *centre = graph.edge_index.const_data_ptr<int64_t>() + block.first_edge;
    const int64_t *neighbour = centre + graph.edge_vec.size(0);

    Graph piece;
    piece.n_local = n_nodes;
    piece.n_owned = std::clamp(graph.n_owned - block.first_node, int64_t(0), n_nodes);
    piece.species = at::empty({n_nodes + n_edges}, at::kLong);
    piece.edge_index = at::empty({2, n_edges}, at::kLong);
    int64_t *piece_species = piece.species.mutable_data_ptr<int64_t>();
    int64_t *piece_centre = piece.edge_index.mutable_data_ptr<int64_t>();
    std::copy_n(species + block.first_node, n_nodes, piece_species);
    for (int64_t e = 0; e < n_edges; ++e) {
        piece_species[n_nodes + e] = species[neighbour[e]];
        piece_centre[e] = centre[e] - block.first_node;
    }
    std::iota(piece_centre + n_edges, piece_centre + 2 * n_edges, n_nodes);
    piece.edge_vec = graph.edge_vec.narrow(0, block.first_edge, n_edges);
    return piece;
}

} // namespace egraff
