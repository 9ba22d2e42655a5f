// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "ops/scalar_vector/edge_attention_layout.h"

#include <array>

namespace egraff::attention {

struct Cpu {
    // Sums of scalar messages [n_local, width] and of vector messages [n_local, 3, width].
    template <typename T> static std::array<at::Tensor, 2> forward(const Inputs &in);

    // Derivatives by query, source and edge_vec. Query and edge_vec belong to one pass over the
    // edges, by centre, the source to another.
    template <typename T>
    static std::array<at::Tensor, 3> backward(const std::array<at::Tensor, 2> &gradients,
                                              const Inputs &in, const std::array<bool, 3> &wanted);
};

} // namespace egraff::attention
