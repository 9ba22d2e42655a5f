// SPDX-License-Identifier: GPL-2.0-or-later
//
// An exported model, loaded: the one place where a neighbour graph becomes energies and gradients.
// LAMMPS and Python both run this code.
#pragma once

#include "core/metadata.h"
#include "ops/visibility.h"

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace egraff {

// A neighbour graph. Tensors are contiguous, and all on the CPU or all where the model is.
struct Graph {
    at::Tensor species;    // int64 [n_nodes], index into Metadata::elements
    at::Tensor edge_index; // int64 [2, n_edges], centre i < n_local (ascending), neighbour j
    at::Tensor edge_vec;   // float64 [n_edges, 3], r_j - r_i in Angstrom
    int64_t n_local;       // nodes that get an energy
    int64_t n_owned;       // nodes whose energy counts, <= n_local (smaller only where a rank
                           // evaluates the surroundings of its atoms as well)
};

// Tensors are float64 and contiguous; edge_gradient is where the graph is, the others are on the
// CPU.
struct Evaluation {
    double energy;                            // eV, sum over owned nodes
    at::Tensor atomic_energy;                 // [n_local] in eV
    at::Tensor edge_gradient;                 // [n_edges, 3], denergy/dedge_vec in eV/Angstrom
    std::map<std::string, at::Tensor> extras; // [n_local] or [n_local, k]
};

class Program;

class EGRAFF_PUBLIC Model {
  public:
    // device: "cpu", "cuda", "cuda:1", or "auto" (a GPU if there is one).
    // verify: evaluate the frame stored in the file and refuse the model if the result differs.
    // Throws egraff::Error.
    explicit Model(const std::string &path, const std::string &device = "cpu", bool verify = true);
    ~Model();
    Model(const Model &) = delete;
    Model &operator=(const Model &) = delete;

    const Metadata &metadata() const { return metadata_; }
    const std::string &path() const { return path_; }
    std::string device() const;

    // Evaluates the model; collective if an ExchangeBackend is installed. `extras` names further
    // outputs that are wanted. The result need not be finite: see core/finite.h.
    Evaluation evaluate(const Graph &graph, const std::vector<std::string> &extras = {}) const;

    // Throws egraff::Error if tensors have the wrong type, shape or place; evaluate does it, too.
    void check_graph(const Graph &graph) const;

  private:
    Evaluation evaluate_at_once(const Graph &graph, const std::vector<std::string> &extras) const;
    Evaluation evaluate_in_blocks(const Graph &graph, const std::vector<std::string> &extras) const;

    std::string path_;
    Metadata metadata_;
    std::unique_ptr<Program> program_;
};

} // namespace egraff
