// SPDX-License-Identifier: GPL-2.0-or-later
//
// The nonlinearities that the kernels know. The numbers are written into exported files.
#pragma once

namespace egraff {

// SSP is the shifted softplus. All but the last are zero at zero, so padding stays zero.
enum class Activation { SILU, TANH, MISH, GELU, SSP, SIGMOID };
inline constexpr int N_ZERO_AT_ZERO = static_cast<int>(Activation::SIGMOID);

} // namespace egraff
