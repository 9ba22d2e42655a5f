// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "ops/allegro/allegro_plan.h"

#include <tuple>

namespace egraff::allegro {

// Sums of the edges' energies, [n_local], and if wanted the derivative of every centre's sum by the
// vectors of its own edges, [n_edges, 3]; otherwise undefined. The tensors of `inputs` are
// contiguous.
std::tuple<at::Tensor, at::Tensor> evaluate_cpu(const Inputs &inputs, bool wants_gradient);

} // namespace egraff::allegro
