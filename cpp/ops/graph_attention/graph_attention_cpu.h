// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "ops/graph_attention/graph_attention_plan.h"

#include <tuple>

namespace egraff::graph {

// [n_local, width_out]
at::Tensor forward_cpu(const Inputs &inputs);

// Derivatives by source, target and edge_vec.
std::tuple<at::Tensor, at::Tensor, at::Tensor> backward_cpu(const at::Tensor &gradient,
                                                            const Inputs &inputs);

} // namespace egraff::graph
