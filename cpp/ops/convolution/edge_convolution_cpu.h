// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "ops/convolution/edge_convolution_plan.h"

#include <array>

namespace egraff::convolution {

struct Cpu {
    // The sum of all messages, [n_local, width_out], or what a linear map makes of it.
    template <typename T> static std::array<at::Tensor, 1> forward(const Inputs &in);

    // Derivatives of sum(gradient * forward(in)) by x and by edge_vec.
    template <typename T>
    static std::array<at::Tensor, 2> backward(const std::array<at::Tensor, 1> &gradients,
                                              const Inputs &in, const std::array<bool, 2> &wanted);
};

} // namespace egraff::convolution
