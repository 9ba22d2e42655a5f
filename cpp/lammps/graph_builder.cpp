// SPDX-License-Identifier: GPL-2.0-or-later
#include "lammps/graph_builder.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <numeric>

namespace egraff {

namespace {

// LAMMPS marks 1-2, 1-3 and 1-4 neighbours of bonded atoms in the upper bits of the index.
constexpr int NEIGHBOUR_MASK = 0x1FFFFFFF;

// a thread gets at least this many centres
constexpr int64_t GRAIN = 64;

} // namespace

GraphBuilder::GraphBuilder(std::vector<int> species, std::vector<double> cutoffs, double angstrom,
                           int n_exchanges)
    : species_of_type_(std::move(species)), cutoffs_squared_(std::move(cutoffs)),
      per_angstrom_(1.0 / angstrom), n_exchanges_(n_exchanges), n_species_(0) {
    while (n_species_ * n_species_ < int64_t(cutoffs_squared_.size())) {
        ++n_species_;
    }
    for (double &cutoff : cutoffs_squared_) {
        cutoff *= cutoff;
    }
}

void GraphBuilder::rebuild(const AtomArrays &atoms, const NeighbourList &list, Ghosts ghosts) {
    const int n_atoms = atoms.n_local + atoms.n_ghost;
    species_of_atom_.resize(n_atoms);
    for (int atom = 0; atom < n_atoms; ++atom) {
        species_of_atom_[atom] = species_of_type_[atoms.type[atom] - 1];
    }
    hops_.clear();
    if (ghosts == Ghosts::extended) {
        hops_ = hops_from_owned(atoms, list);
    }
    number_nodes(atoms, ghosts);
    collect_candidates(list);
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
    node_of_atom_.assign(n_atoms, -1);
    atom_of_node_.clear();
    for (int atom = 0; atom < atoms.n_local; ++atom) {
        if (species_of_atom_[atom] >= 0) {
            node_of_atom_[atom] = int64_t(atom_of_node_.size());
            atom_of_node_.push_back(atom);
        }
    }
    graph_.n_owned = graph_.n_local = int64_t(atom_of_node_.size());
    for (int atom = atoms.n_local; atom < n_atoms; ++atom) {
        if (ghosts == Ghosts::fold) {
            node_of_atom_[atom] = node_of_atom_[atoms.owner[atom]];
        } else if (species_of_atom_[atom] >= 0 &&
                   (ghosts == Ghosts::exchange || hops_[atom] >= 0)) {
            node_of_atom_[atom] = int64_t(atom_of_node_.size());
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
        species[node] = species_of_atom_[atom_of_node_[node]];
    }
}

void GraphBuilder::collect_candidates(const NeighbourList &list) {
    candidate_centres_.clear();
    for (int c = 0; c < list.n_centres; ++c) {
        const int centre = list.centres[c];
        // edges of ghosts count up to n_exchanges hops away; those beyond are only looked at
        if (node_of_atom_[centre] >= 0 && (hops_.empty() || hops_[centre] <= n_exchanges_)) {
            candidate_centres_.push_back(centre);
        }
    }
    std::sort(candidate_centres_.begin(), candidate_centres_.end());
    candidates_.clear();
    first_candidate_.assign(1, 0);
    for (const int centre : candidate_centres_) {
        for (int k = 0; k < list.n_neighbours[centre]; ++k) {
            const int neighbour = list.neighbours[centre][k] & NEIGHBOUR_MASK;
            if (node_of_atom_[neighbour] >= 0) {
                candidates_.push_back(neighbour);
            }
        }
        first_candidate_.push_back(int64_t(candidates_.size()));
    }
}

void GraphBuilder::update(const double *x) {
    const auto n_centres = int64_t(candidate_centres_.size());
    // Calls use(candidate, vector) for each candidate of a centre that is within its cutoff.
    const auto for_edges = [&](int64_t c, const auto &use) {
        const int i = candidate_centres_[c];
        const double *cutoffs = &cutoffs_squared_[species_of_atom_[i] * n_species_];
        for (int64_t k = first_candidate_[c]; k < first_candidate_[c + 1]; ++k) {
            const int j = candidates_[k];
            const double vec[3] = {per_angstrom_ * (x[3 * j] - x[3 * i]),
                                   per_angstrom_ * (x[3 * j + 1] - x[3 * i + 1]),
                                   per_angstrom_ * (x[3 * j + 2] - x[3 * i + 2])};
            const double square = vec[0] * vec[0] + vec[1] * vec[1] + vec[2] * vec[2];
            if (square < cutoffs[species_of_atom_[j]]) {
                use(j, vec);
            }
        }
    };

    first_edge_.assign(n_centres + 1, 0);
    at::parallel_for(0, n_centres, GRAIN, [&](int64_t first, int64_t last) {
        for (int64_t c = first; c < last; ++c) {
            int64_t count = 0;
            for_edges(c, [&count](int, const double *) { ++count; });
            first_edge_[c + 1] = count;
        }
    });
    std::partial_sum(first_edge_.begin(), first_edge_.end(), first_edge_.begin());

    const int64_t n_edges = first_edge_.back();
    graph_.edge_index = at::empty({2, n_edges}, at::kLong);
    graph_.edge_vec = at::empty({n_edges, 3}, at::kDouble);
    centre_atoms_.resize(n_edges);
    neighbour_atoms_.resize(n_edges);
    int64_t *centres = graph_.edge_index.mutable_data_ptr<int64_t>();
    int64_t *neighbours = centres + n_edges;
    double *vectors = graph_.edge_vec.mutable_data_ptr<double>();
    at::parallel_for(0, n_centres, GRAIN, [&](int64_t first, int64_t last) {
        for (int64_t c = first; c < last; ++c) {
            const int i = candidate_centres_[c];
            int64_t e = first_edge_[c];
            for_edges(c, [&](int j, const double *vec) {
                centres[e] = node_of_atom_[i];
                neighbours[e] = node_of_atom_[j];
                centre_atoms_[e] = i;
                neighbour_atoms_[e] = j;
                std::copy_n(vec, 3, vectors + 3 * e);
                ++e;
            });
        }
    });
}

double GraphBuilder::memory_bytes() const {
    const auto bytes = [](const auto &vector) {
        return double(vector.capacity() * sizeof(vector[0]));
    };
    double graph = 0.0;
    for (const at::Tensor &tensor : {graph_.species, graph_.edge_index, graph_.edge_vec}) {
        graph += tensor.defined() ? double(tensor.nbytes()) : 0.0;
    }
    return graph + bytes(node_of_atom_) + bytes(atom_of_node_) + bytes(hops_) +
           bytes(candidate_centres_) + bytes(first_candidate_) + bytes(candidates_) +
           bytes(species_of_atom_) + bytes(first_edge_) + bytes(centre_atoms_) +
           bytes(neighbour_atoms_);
}

} // namespace egraff
