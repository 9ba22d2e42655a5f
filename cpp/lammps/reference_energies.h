// SPDX-License-Identifier: GPL-2.0-or-later
//
// Energies relative to isolated atoms. Where an atom carries its energy along, as in a heat flux, a
// constant per element (thousands of eV in all-electron data) multiplies its velocity and drowns
// what the flux is about.
#pragma once

#include "core/model.h"

namespace egraff {

// What the model gives for one atom of each of its elements without neighbours: [n_elements] in eV,
// float64. Throws egraff::Error if one is not finite.
at::Tensor isolated_energies(const Model &model);

// The evaluation of `graph` with `isolated` subtracted from every atom's energy and from their sum;
// gradients do not change.
Evaluation relative_to(const at::Tensor &isolated, Evaluation evaluation, const Graph &graph);

} // namespace egraff
