// SPDX-License-Identifier: GPL-2.0-or-later
//
// From LAMMPS's neighbour list to the graph that a model sees.
//
// Atoms are LAMMPS's: owned atoms 0..n_local-1, then ghosts. Nodes are the model's: the same
// without atoms that the model does not describe and, depending on the way ghosts are dealt with,
// without ghosts or without those that are too far away to matter.
#pragma once

#include "lammps/edge_list.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace egraff {

// What to do about ghosts, the copies of atoms that other ranks, or other periodic images, own.
enum class Ghosts {
    fold,     // the node of a ghost is that of the atom it is a copy of (one rank only)
    exchange, // ghosts are nodes without edges of their own, whose features the model asks for;
              // those that are copies of the same atom share a node
    extended, // ghosts are nodes with edges, as far out as the model's layers reach
};

// What the atoms are, borrowed.
struct AtomArrays {
    int n_local;
    int n_ghost;
    const int *species;    // of the model; -1: it does not describe this atom
    const int *first_copy; // of each atom the first one that is a copy of the same atom, for fold
                           // always an owned one; not used for extended
};

struct NeighbourList {
    int n_owned; // centres that are owned atoms; for extended followed by ghosts
    int n_centres;
    const int *centres;
    const int *n_neighbours;
    const int *const *neighbours;
};

class GraphBuilder {
  public:
    // n_exchanges: how many times the model would ask for features of neighbours.
    GraphBuilder(int n_exchanges, std::unique_ptr<EdgeList> edges);

    // Takes over a neighbour list; to be called whenever LAMMPS has built one, or when species have
    // changed since. Throws egraff::Error if the list is not one of these atoms.
    void rebuild(const AtomArrays &atoms, const NeighbourList &list, Ghosts ghosts);

    // Whether there is a graph, and what it was built of.
    bool is_built() const { return graph_.species.defined(); }
    const std::vector<int> &species_of_atom() const { return candidates_.species_of_atom; }

    // Finds the edges within the cutoffs at the atoms' present positions.
    void update(const double *x) { edges_->update(x, graph_); }

    const Graph &graph() const { return graph_; }
    // The same edges between atoms: neighbours are ghosts, not the atoms that they copy.
    const EdgeList &edges() const { return *edges_; }
    // The node of each atom, or -1, and the atom of each node.
    const std::vector<int64_t> &node_of_atom() const { return candidates_.node_of_atom; }
    const std::vector<int64_t> &atom_of_node() const { return atom_of_node_; }

    double memory_bytes() const;

  private:
    void number_nodes(const AtomArrays &atoms, Ghosts ghosts);
    // Which atoms are at most `hops` edges away from owned ones: the number of edges, or -1.
    std::vector<int> hops_from_owned(const AtomArrays &atoms, const NeighbourList &list) const;
    void collect_candidates(const NeighbourList &list);

    int n_exchanges_;
    std::unique_ptr<EdgeList> edges_;

    std::vector<int64_t> atom_of_node_;
    std::vector<int> hops_;
    Candidates candidates_;
    Graph graph_;
};

} // namespace egraff
