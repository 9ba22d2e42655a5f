// SPDX-License-Identifier: GPL-2.0-or-later
//
// On a GPU, sums over the edges of an atom are made in no particular order, so that two runs from
// the same input differ by rounding.
#include "lammps/edge_list.h"

#include "core/staging.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace egraff {

namespace {

// components of virials in LAMMPS's order, xx yy zz xy xz yz yx zx zy
constexpr int64_t ROW[9] = {0, 1, 2, 0, 0, 1, 1, 2, 2};
constexpr int64_t COLUMN[9] = {0, 1, 2, 1, 2, 2, 0, 0, 1};

class DeviceEdges : public EdgeList {
  public:
    DeviceEdges(Cutoffs cutoffs, at::Device device)
        : device_(device), per_angstrom_(cutoffs.per_angstrom), n_species_(cutoffs.n_species),
          cutoffs_squared_(uploaded(cutoffs.squared, at::kDouble)) {
        for (int k = 0; k < 2; ++k) {
            components_[k] =
                uploaded(std::vector<int64_t>(k ? COLUMN : ROW, (k ? COLUMN : ROW) + 9), at::kLong);
        }
    }

    void rebuild(const Candidates &from, Graph &graph) override;
    void update(const double *x, Graph &graph) override;

    void add_forces(const at::Tensor &gradient, double scale, double *forces) const override {
        at::Tensor sums = zeros(3);
        sums.index_add_(0, atoms_[0], gradient);
        sums.index_add_(0, atoms_[1], gradient, /*alpha=*/-1.0);
        add(sums, scale, forces);
    }

    std::array<double, 9> virial(const at::Tensor &gradient) const override {
        const at::Tensor product = on_host(vectors_.t().mm(gradient).neg_());
        std::array<double, 9> w;
        std::copy_n(product.const_data_ptr<double>(), 9, w.begin());
        return w;
    }

    void add_atom_virials(const at::Tensor &gradient, double scale,
                          double *virials) const override {
        const at::Tensor w = outer(gradient, 0, 1, 6).add_(outer(gradient, 1, 0, 6));
        at::Tensor sums = zeros(6);
        sums.index_add_(0, atoms_[0], w);
        sums.index_add_(0, atoms_[1], w);
        add(sums, -0.25 * scale, virials);
    }

    void add_centroid_virials(const at::Tensor &gradient, double scale,
                              double *virials) const override {
        at::Tensor sums = zeros(9);
        sums.index_add_(0, atoms_[1], outer(gradient, 0, 1, 9));
        add(sums, -scale, virials);
    }

    std::optional<int> first_not_finite(const at::Tensor &gradient) const override {
        const auto edge = first(gradient.isfinite().all(1).logical_not_());
        return edge ? std::optional(atom(0, *edge)) : std::nullopt;
    }

    std::optional<Pair> first_shorter_than(const std::vector<double> &squared) const override {
        const at::Tensor squares = vectors_.square().sum(1);
        const auto edge = first(squares < uploaded(squared, at::kDouble).index_select(0, pairs()));
        return edge ? std::optional(Pair{atom(0, *edge), atom(1, *edge),
                                         std::sqrt(squares[*edge].item<double>())})
                    : std::nullopt;
    }

    double memory_bytes() const override { return 0.0; }

  private:
    template <typename Value>
    at::Tensor uploaded(const std::vector<Value> &values, at::ScalarType type) const {
        at::Tensor host = staging({int64_t(values.size())}, type, device_);
        std::copy(values.begin(), values.end(), static_cast<Value *>(host.mutable_data_ptr()));
        return host.to(device_);
    }

    at::Tensor zeros(int64_t columns) const {
        return at::zeros({node_of_atom_.size(0), columns}, vectors_.options());
    }

    // [n_edges, n]: components of the vectors times components of the gradient
    at::Tensor outer(const at::Tensor &gradient, int a, int b, int64_t n) const {
        return vectors_.index_select(1, components_[a].narrow(0, 0, n))
            .mul_(gradient.index_select(1, components_[b].narrow(0, 0, n)));
    }

    static void add(const at::Tensor &sums, double scale, double *to) {
        const at::Tensor host = on_host(sums);
        const double *from = host.const_data_ptr<double>();
        for (int64_t k = 0; k < host.numel(); ++k) {
            to[k] += scale * from[k];
        }
    }

    static std::optional<int64_t> first(const at::Tensor &is_so) {
        const at::Tensor which = is_so.nonzero();
        return which.numel() > 0 ? std::optional(which[0].item<int64_t>()) : std::nullopt;
    }

    at::Tensor pairs() const { return candidate_pairs_.index_select(0, edges_); }

    int atom(int end, int64_t edge) const { return atoms_[end][edge].item<int>(); }

    at::Device device_;
    double per_angstrom_;
    int64_t n_species_;
    at::Tensor cutoffs_squared_; // [n_species * n_species]
    at::Tensor components_[2];   // ROW and COLUMN

    at::Tensor candidates_[2];   // int32 [n_candidates]: centre and neighbour, atoms
    at::Tensor candidate_pairs_; // int32 [n_candidates]: species of both, an index of tables
    at::Tensor limits_;          // [n_candidates]: square of the cutoff of each
    at::Tensor node_of_atom_;    // int64 [n_atoms]

    at::Tensor edges_;    // int64 [n_edges]: which candidates
    at::Tensor atoms_[2]; // int32 [n_edges]: centre and neighbour
    at::Tensor vectors_;  // Graph::edge_vec
};

void DeviceEdges::rebuild(const Candidates &from, Graph &graph) {
    graph.species = graph.species.to(device_);
    std::vector<int> centres(from.neighbours.size());
    for (size_t c = 0; c < from.centres.size(); ++c) {
        std::fill(centres.begin() + from.first[c], centres.begin() + from.first[c + 1],
                  from.centres[c]);
    }
    candidates_[0] = uploaded(centres, at::kInt);
    candidates_[1] = uploaded(from.neighbours, at::kInt);
    node_of_atom_ = uploaded(from.node_of_atom, at::kLong);
    const at::Tensor species = uploaded(from.species_of_atom, at::kInt);
    const auto species_of = [&](int end) { return species.index_select(0, candidates_[end]); };
    candidate_pairs_ = species_of(0).mul_(n_species_).add_(species_of(1));
    limits_ = cutoffs_squared_.index_select(0, candidate_pairs_);
}

void DeviceEdges::update(const double *x, Graph &graph) {
    const int64_t n_atoms = node_of_atom_.size(0);
    at::Tensor host = staging({n_atoms, 3}, at::kDouble, device_);
    std::copy_n(x, 3 * n_atoms, host.mutable_data_ptr<double>());
    const at::Tensor positions = host.to(device_);
    const at::Tensor vectors = positions.index_select(0, candidates_[1])
                                   .sub_(positions.index_select(0, candidates_[0]))
                                   .mul_(per_angstrom_);
    edges_ = (vectors.square().sum(1) < limits_).nonzero().squeeze(1);
    graph.edge_vec = vectors_ = vectors.index_select(0, edges_);
    for (int end = 0; end < 2; ++end) {
        atoms_[end] = candidates_[end].index_select(0, edges_);
    }
    graph.edge_index = at::stack(
        {node_of_atom_.index_select(0, atoms_[0]), node_of_atom_.index_select(0, atoms_[1])});
}

} // namespace

std::unique_ptr<EdgeList> make_device_edges(Cutoffs cutoffs, at::Device device) {
    return std::make_unique<DeviceEdges>(std::move(cutoffs), device);
}

} // namespace egraff
