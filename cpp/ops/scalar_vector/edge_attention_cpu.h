// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "ops/scalar_vector/edge_attention_layout.h"

#include <tuple>

namespace egraff::attention {

// Sums of scalar messages [n_local, width] and of vector messages [n_local, 3, width].
std::tuple<at::Tensor, at::Tensor> forward_cpu(const Inputs &inputs);

// Derivatives of sum(by_scalar * scalars) + sum(by_vector * vectors); undefined where not wanted.
struct Gradients {
    at::Tensor query, source, edge_vec;
};

// Query and edge_vec belong to one pass over the edges, by centre, the source to another.
Gradients backward_cpu(const at::Tensor &by_scalar, const at::Tensor &by_vector,
                       const Inputs &inputs, bool wants_centre, bool wants_neighbour);

} // namespace egraff::attention
