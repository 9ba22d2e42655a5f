// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/finite.h"

#include "core/error.h"

#include <ATen/ATen.h>

#include <cmath>
#include <sstream>

namespace egraff {

namespace {

// Atoms this near are one atom twice; square of a distance in Angstrom.
constexpr double ONE_PLACE = 1e-12;

} // namespace

void check_distances(const Graph &graph) {
    const double *d = graph.edge_vec.const_data_ptr<double>();
    const int64_t *centre = graph.edge_index.const_data_ptr<int64_t>();
    const int64_t n_edges = graph.edge_vec.size(0);
    for (int64_t e = 0; e < n_edges; ++e, d += 3) {
        const double square = d[0] * d[0] + d[1] * d[1] + d[2] * d[2];
        if (!(square > ONE_PLACE) || !std::isfinite(square)) { // a NaN is no distance, too
            std::ostringstream problem;
            problem << "expected a place of its own for each atom, got " << std::sqrt(square)
                    << " Angstrom between atoms " << centre[e] << " and " << centre[n_edges + e]
                    << " (counted from 0)";
            throw Error(problem.str(), {"", "positions"},
                        "remove one of the two, or repair the structure");
        }
    }
}

void check_finite(const Graph &graph, const Evaluation &result) {
    const auto refuse = [](const char *what, double got, int64_t atom) {
        std::ostringstream problem;
        problem << "expected finite numbers, got " << got << " for atom " << atom
                << " (counted from 0)";
        throw Error(problem.str(), {"", what},
                    "look at that atom's surroundings: atoms that nearly coincide, or distances "
                    "that the model never saw");
    };
    const double *energy = result.atomic_energy.const_data_ptr<double>();
    for (int64_t node = 0; node < graph.n_local; ++node) {
        if (!std::isfinite(energy[node])) {
            refuse("energy", energy[node], node);
        }
    }
    const double *gradient = result.edge_gradient.const_data_ptr<double>();
    const int64_t *centre = graph.edge_index.const_data_ptr<int64_t>();
    for (int64_t k = 0; k < result.edge_gradient.numel(); ++k) {
        if (!std::isfinite(gradient[k])) {
            refuse("forces", gradient[k], centre[k / 3]);
        }
    }
}

} // namespace egraff
