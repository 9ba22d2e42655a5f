// SPDX-License-Identifier: GPL-2.0-or-later
//
// The pairs of atoms within the model's cutoffs, and what the gradient of the energy with respect
// to their vectors means for the atoms.
//
// Two implementations: edge_list_host.cpp, arrays and loops, and edge_list_device.cpp, torch
// operations where the model is, so that between host and GPU only positions travel up and only
// sums over atoms travel down.
#pragma once

#include "core/model.h"

#include <c10/core/Device.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace egraff {

// All pairs of LAMMPS's neighbour list (within cutoff plus skin) that may become edges, by
// ascending centre. Atoms are LAMMPS's: owned ones, then ghosts.
struct Candidates {
    std::vector<int> centres;          // atoms
    std::vector<int64_t> first;        // [n centres + 1], into neighbours
    std::vector<int> neighbours;       // atoms
    std::vector<int> species_of_atom;  // [n_atoms], -1: not described by the model
    std::vector<int64_t> node_of_atom; // [n_atoms], or -1; of a centre and its neighbours never
};

// When two atoms are neighbours.
struct Cutoffs {
    std::vector<double> squared; // [n_species, n_species] in Angstrom^2, row = centre
    int64_t n_species;
    double per_angstrom; // Angstrom per LAMMPS length unit
};

// `gradient` is always Evaluation::edge_gradient of the last graph. Sums are those of core/edges.h,
// over atoms instead of nodes, and are added to LAMMPS's arrays.
class EdgeList {
  public:
    virtual ~EdgeList() = default;

    // Takes over new candidates, which must outlive their use, and moves the graph's species, which
    // are on the host, to where the edges will be.
    virtual void rebuild(const Candidates &candidates, Graph &graph) = 0;

    // Finds the edges at the atoms' present positions and puts them into the graph.
    virtual void update(const double *x, Graph &graph) = 0;

    virtual void add_forces(const at::Tensor &gradient, double scale, double *forces) const = 0;
    virtual std::array<double, 9> virial(const at::Tensor &gradient) const = 0;
    virtual void add_atom_virials(const at::Tensor &gradient, double scale,
                                  double *virials) const = 0;
    virtual void add_centroid_virials(const at::Tensor &gradient, double scale,
                                      double *virials) const = 0;

    // The centre of the first edge whose gradient is not finite, if there is one.
    virtual std::optional<int> first_not_finite(const at::Tensor &gradient) const = 0;

    // The first edge shorter than the limit of its species, if there is one; `squared` is
    // [n_species, n_species] in Angstrom^2, row = centre.
    struct Pair {
        int centre, neighbour; // atoms
        double distance;       // Angstrom
    };
    virtual std::optional<Pair> first_shorter_than(const std::vector<double> &squared) const = 0;

    // On the host, beyond the graph and the candidates.
    virtual double memory_bytes() const = 0;
};

std::unique_ptr<EdgeList> make_host_edges(Cutoffs cutoffs);
std::unique_ptr<EdgeList> make_device_edges(Cutoffs cutoffs, at::Device device);

} // namespace egraff
