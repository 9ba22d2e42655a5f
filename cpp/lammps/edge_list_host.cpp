// SPDX-License-Identifier: GPL-2.0-or-later
#include "lammps/edge_list.h"

#include "core/edges.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace egraff {

namespace {

// a thread gets at least this many centres
constexpr int64_t GRAIN = 64;

double square(const double *vec) { return vec[0] * vec[0] + vec[1] * vec[1] + vec[2] * vec[2]; }

class HostEdges : public EdgeList {
  public:
    explicit HostEdges(Cutoffs cutoffs) : cutoffs_(std::move(cutoffs)) {}

    void rebuild(const Candidates &candidates, Graph &) override { candidates_ = &candidates; }
    void update(const double *x, Graph &graph) override;

    void add_forces(const at::Tensor &gradient, double scale, double *forces) const override {
        egraff::add_forces(edges(gradient), n_atoms(), scale, forces);
    }
    std::array<double, 9> virial(const at::Tensor &gradient) const override {
        return egraff::virial(edges(gradient));
    }
    void add_atom_virials(const at::Tensor &gradient, double scale,
                          double *virials) const override {
        egraff::add_atom_virials(edges(gradient), n_atoms(), scale, virials);
    }
    void add_centroid_virials(const at::Tensor &gradient, double scale,
                              double *virials) const override {
        egraff::add_centroid_virials(edges(gradient), n_atoms(), scale, virials);
    }

    std::optional<int> first_not_finite(const at::Tensor &gradient) const override;
    std::optional<Pair> first_shorter_than(const std::vector<double> &squared) const override;

    double memory_bytes() const override {
        return double(sizeof(int64_t)) *
               double(first_edge_.capacity() + centres_.capacity() + neighbours_.capacity());
    }

  private:
    int64_t n_atoms() const { return int64_t(candidates_->node_of_atom.size()); }
    Edges edges(const at::Tensor &gradient) const {
        return {int64_t(centres_.size()), centres_.data(), neighbours_.data(),
                vectors_.const_data_ptr<double>(), gradient.const_data_ptr<double>()};
    }

    Cutoffs cutoffs_;
    const Candidates *candidates_ = nullptr;
    std::vector<int64_t> first_edge_;           // [n centres + 1]
    std::vector<int64_t> centres_, neighbours_; // of each edge, atoms
    at::Tensor vectors_;                        // Graph::edge_vec
};

void HostEdges::update(const double *x, Graph &graph) {
    const Candidates &from = *candidates_;
    const auto n_centres = int64_t(from.centres.size());
    // Calls use(candidate, vector) for each candidate of a centre that is within its cutoff.
    const auto for_edges = [&](int64_t c, const auto &use) {
        const int i = from.centres[c];
        const double *limits = &cutoffs_.squared[from.species_of_atom[i] * cutoffs_.n_species];
        const double scale = cutoffs_.per_angstrom;
        for (int64_t k = from.first[c]; k < from.first[c + 1]; ++k) {
            const int j = from.neighbours[k];
            const double vec[3] = {scale * (x[3 * j] - x[3 * i]),
                                   scale * (x[3 * j + 1] - x[3 * i + 1]),
                                   scale * (x[3 * j + 2] - x[3 * i + 2])};
            if (square(vec) < limits[from.species_of_atom[j]]) {
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
    graph.edge_index = at::empty({2, n_edges}, at::kLong);
    graph.edge_vec = vectors_ = at::empty({n_edges, 3}, at::kDouble);
    centres_.resize(n_edges);
    neighbours_.resize(n_edges);
    int64_t *centres = graph.edge_index.mutable_data_ptr<int64_t>();
    int64_t *neighbours = centres + n_edges;
    double *vectors = vectors_.mutable_data_ptr<double>();
    at::parallel_for(0, n_centres, GRAIN, [&](int64_t first, int64_t last) {
        for (int64_t c = first; c < last; ++c) {
            const int i = from.centres[c];
            int64_t e = first_edge_[c];
            for_edges(c, [&](int j, const double *vec) {
                centres[e] = from.node_of_atom[i];
                neighbours[e] = from.node_of_atom[j];
                centres_[e] = i;
                neighbours_[e] = j;
                std::copy_n(vec, 3, vectors + 3 * e);
                ++e;
            });
        }
    });
}

std::optional<int> HostEdges::first_not_finite(const at::Tensor &gradient) const {
    const double *values = gradient.const_data_ptr<double>();
    for (int64_t k = 0; k < gradient.numel(); ++k) {
        if (!std::isfinite(values[k])) {
            return int(centres_[k / 3]);
        }
    }
    return std::nullopt;
}

std::optional<EdgeList::Pair>
HostEdges::first_shorter_than(const std::vector<double> &squared) const {
    const std::vector<int> &species = candidates_->species_of_atom;
    const double *vectors = vectors_.const_data_ptr<double>();
    for (size_t e = 0; e < centres_.size(); ++e) {
        const double found = square(vectors + 3 * e);
        if (found < squared[species[centres_[e]] * cutoffs_.n_species + species[neighbours_[e]]]) {
            return Pair{int(centres_[e]), int(neighbours_[e]), std::sqrt(found)};
        }
    }
    return std::nullopt;
}

} // namespace

std::unique_ptr<EdgeList> make_host_edges(Cutoffs cutoffs) {
    return std::make_unique<HostEdges>(std::move(cutoffs));
}

} // namespace egraff
