// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "ops/graph_attention/graph_attention_plan.h"

#include <array>

namespace egraff::graph {

struct Cpu {
    // [n_local, width_out]
    template <typename T> static std::array<at::Tensor, 1> forward(const Inputs &in);

    // All derivatives, by source, target and edge_vec.
    template <typename T>
    static std::array<at::Tensor, 3> backward(const std::array<at::Tensor, 1> &gradients,
                                              const Inputs &in, const std::array<bool, 3> &wanted);
};

} // namespace egraff::graph
