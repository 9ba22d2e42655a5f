// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "ops/convolution/edge_convolution_plan.h"

#include <tuple>

namespace egraff::convolution {

// The sum of all messages, [n_local, width_out]. The tensors of `inputs` are contiguous.
at::Tensor forward_cpu(const Inputs &inputs);

// Derivatives of sum(gradient * forward(inputs)) by x and by edge_vec; each is made only if wanted
// and undefined otherwise.
std::tuple<at::Tensor, at::Tensor> backward_cpu(const at::Tensor &gradient, const Inputs &inputs,
                                                bool wants_x, bool wants_edge_vec);

} // namespace egraff::convolution
