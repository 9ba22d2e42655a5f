// SPDX-License-Identifier: GPL-2.0-or-later
//
// A graph in pieces, for models without message passing: the energy of an atom depends on its own
// edges and the species at their ends alone, so any few atoms can be evaluated by themselves. What
// the model stores for its edges then never exceeds a block and stays in the processor's cache.
#pragma once

#include "core/model.h"

namespace egraff {

// Successive nodes that have an energy, with all their edges.
struct Block {
    int64_t first_node, last_node;
    int64_t first_edge, last_edge;
};

// Blocks of about `n_edges` edges, at least one node each, in order and without gaps; they do not
// depend on the number of threads, so neither does any result. Throws egraff::Error if the centres
// of the edges do not ascend.
std::vector<Block> cut(const Graph &graph, int64_t n_edges);

// The block as a graph of its own: its nodes, then the end of each of its edges as one more node
// that has no energy.
Graph extract(const Graph &graph, const Block &block);

} // namespace egraff
