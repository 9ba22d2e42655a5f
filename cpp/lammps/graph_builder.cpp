// SPDX-License-Identifier: GPL-2.0-or-later
#include "lammps/graph_builder.h"

#include "core/error.h"

#include <ATen/ops/empty.h>

#include <algorithm>

namespace egraff {

namespace {

// LAMMPS marks 1-2, 1-3 and 1-4 neighbours of bonded atoms in the upper bits of the index.
constexpr int NEIGHBOUR_MASK = 0x1FFFFFFF;

// A list that was not built, or before an atom became one that the model describes (sub-styles of
// pair_style hybrid have lists of their own types), would leave its energy out.
void check_list(const AtomArrays &atoms, const NeighbourList &list) {
    auto missing = std::count_if(atoms.species, atoms.species + atoms.n_local,
                                 [](int species) { return species >= 0; });
    for (int c = 0; c < list.n_owned; ++c) {
        missing -= atoms.species[list.centres[c]] >= 0;
    }
    if (missing != 0) {
        throw Error("expected a neighbour list of all atoms that the model describes, got one "
                    "without " +
                        std::to_string(missing) + " of them: their types have changed since",
                    {"pair_style egraff", "neighbour list"},
                    "run without `pre no`; if a fix changes types, neigh_modify every 1 delay 0 "
                    "check no");
    }
}

} // namespace

GraphBuilder::GraphBuilder(int n_exchanges, std::unique_ptr<EdgeList> edges)
    : n_exchanges_(n_exchanges), edges_(std::move(edges)) {}

void GraphBuilder::rebuild(const AtomArrays &atoms, const NeighbourList &list, Ghosts ghosts) {
    check_list(atoms, list);
    candidates_.species_of_atom.assign(atoms.species,
                                       atoms.species + atoms.n_local + atoms.n_ghost);
    hops_.clear();
    if (ghosts == Ghosts::extended) {
        hops_ = hops_from_owned(atoms, list);
    }
    number_nodes(atoms, ghosts);
    collect_candidates(list);
    edges_->rebuild(candidates_, graph_);
}

std::vector<int> GraphBuilder::hops_from_owned(const AtomArrays &atoms,
                                               const NeighbourList &list) const {
    std::vector<int> hops(atoms.n_local + atoms.n_ghost, -1);
    std::fill_n(hops.begin(), atoms.n_local, 0);
    // the energy of an owned atom depends on edges up to n_exchanges + 1 edges away
    for (int hop = 0; hop <= n_exchanges_; ++hop) {
        for (int c = 0; c < list.n_centres; ++c) {
            const int centre = list.centres[c];
            if (hops[centre] != hop) {
                continue;
            }
            for (int k = 0; k < list.n_neighbours[centre]; ++k) {
                int &other = hops[list.neighbours[centre][k] & NEIGHBOUR_MASK];
                other = other < 0 ? hop + 1 : other;
            }
        }
    }
    return hops;
}

void GraphBuilder::number_nodes(const AtomArrays &atoms, Ghosts ghosts) {
    const int n_atoms = atoms.n_local + atoms.n_ghost;
    candidates_.node_of_atom.assign(n_atoms, -1);
    atom_of_node_.clear();
    for (int atom = 0; atom < atoms.n_local; ++atom) {
        if (candidates_.species_of_atom[atom] >= 0) {
            candidates_.node_of_atom[atom] = int64_t(atom_of_node_.size());
            atom_of_node_.push_back(atom);
        }
    }
    graph_.n_owned = graph_.n_local = int64_t(atom_of_node_.size());
    for (int atom = atoms.n_local; atom < n_atoms; ++atom) {
        if (ghosts != Ghosts::extended && atoms.first_copy[atom] < atom) {
            candidates_.node_of_atom[atom] = candidates_.node_of_atom[atoms.first_copy[atom]];
        } else if (candidates_.species_of_atom[atom] >= 0 &&
                   (ghosts == Ghosts::exchange || hops_[atom] >= 0)) {
            candidates_.node_of_atom[atom] = int64_t(atom_of_node_.size());
            atom_of_node_.push_back(atom);
        }
    }
    const auto n_nodes = int64_t(atom_of_node_.size());
    if (ghosts == Ghosts::extended) {
        graph_.n_local = n_nodes; // the model computes features of ghosts by itself
    }
    graph_.species = at::empty({n_nodes}, at::kLong);
    int64_t *species = graph_.species.mutable_data_ptr<int64_t>();
    for (int64_t node = 0; node < n_nodes; ++node) {
        species[node] = candidates_.species_of_atom[atom_of_node_[node]];
    }
}

void GraphBuilder::collect_candidates(const NeighbourList &list) {
    candidates_.centres.clear();
    for (int c = 0; c < list.n_centres; ++c) {
        const int centre = list.centres[c];
        // edges of ghosts count up to n_exchanges hops away; those beyond are only looked at
        if (candidates_.node_of_atom[centre] >= 0 &&
            (hops_.empty() || hops_[centre] <= n_exchanges_)) {
            candidates_.centres.push_back(centre);
        }
    }
    std::sort(candidates_.centres.begin(), candidates_.centres.end());
    candidates_.neighbours.clear();
    candidates_.first.assign(1, 0);
    for (const int centre : candidates_.centres) {
        for (int k = 0; k < list.n_neighbours[centre]; ++k) {
            const int neighbour = list.neighbours[centre][k] & NEIGHBOUR_MASK;
            if (candidates_.node_of_atom[neighbour] >= 0) {
                candidates_.neighbours.push_back(neighbour);
            }
        }
        candidates_.first.push_back(int64_t(candidates_.neighbours.size()));
    }
}

double GraphBuilder::memory_bytes() const {
    const auto bytes = [](const auto &vector) {
        return double(vector.capacity() * sizeof(vector[0]));
    };
    double graph = 0.0;
    for (const at::Tensor &tensor : {graph_.species, graph_.edge_index, graph_.edge_vec}) {
        graph += tensor.defined() && tensor.is_cpu() ? double(tensor.nbytes()) : 0.0;
    }
    return graph + edges_->memory_bytes() + bytes(atom_of_node_) + bytes(hops_) +
           bytes(candidates_.centres) + bytes(candidates_.first) + bytes(candidates_.neighbours) +
           bytes(candidates_.species_of_atom) + bytes(candidates_.node_of_atom);
}

} // namespace egraff
