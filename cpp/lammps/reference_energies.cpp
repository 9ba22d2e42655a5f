// SPDX-License-Identifier: GPL-2.0-or-later
#include "lammps/reference_energies.h"

#include "core/error.h"

#include <ATen/ATen.h>

#include <cmath>

namespace egraff {

at::Tensor isolated_energies(const Model &model) {
    const auto &elements = model.metadata().elements;
    const auto n = int64_t(elements.size());
    // one atom of each, and no edges: they do not see each other
    const Graph graph{at::arange(n), at::empty({2, 0}, at::kLong), at::empty({0, 3}, at::kDouble),
                      n, n};
    const at::Tensor energies = model.evaluate(graph).atomic_energy;
    for (int64_t k = 0; k < n; ++k) {
        const double energy = energies.const_data_ptr<double>()[k];
        if (!std::isfinite(energy)) {
            throw Error("expected a finite energy of an isolated atom, got " +
                            std::to_string(energy) + " eV for " + elements[k],
                        {model.path(), "reference_energies drop"}, "use reference_energies keep");
        }
    }
    return energies;
}

Evaluation relative_to(const at::Tensor &isolated, Evaluation evaluation, const Graph &graph) {
    const at::Tensor species = graph.species.narrow(0, 0, graph.n_local).cpu();
    evaluation.atomic_energy = evaluation.atomic_energy - isolated.index_select(0, species);
    evaluation.energy = evaluation.atomic_energy.narrow(0, 0, graph.n_owned).sum().item<double>();
    return evaluation;
}

} // namespace egraff
