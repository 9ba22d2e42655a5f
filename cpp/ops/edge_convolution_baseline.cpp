// SPDX-License-Identifier: GPL-2.0-or-later
// The inner loops for baseline; CMakeLists.txt sets the compiler's options for this file alone.
#define VECTOR_BYTES 16
#define MAX_ACCUMULATORS 12
#include "ops/edge_convolution_kernels.h"

namespace egraff::convolution {

namespace {
// clang-format off: each needs those above it
#include "ops/vector.inc"
#include "ops/activations.inc"
#include "ops/edge_convolution_geometry.inc"
#include "ops/edge_convolution_kernels.inc"
#include "ops/irreps_linear_kernels.inc"
#include "ops/symmetric_contraction_kernels.inc"
#include "ops/gate_kernels.inc"
#include "ops/vector_update_kernels.inc"
#include "ops/edge_attention_kernels.inc"
#include "ops/allegro_network_kernels.inc"
#include "ops/allegro_product_kernels.inc"
#include "ops/graph_attention_kernels.inc"
#include "ops/kernel_set.inc"
// clang-format on
} // namespace

template <typename T> const Kernels<T> &kernels_baseline() {
    static const Kernels<T> set = make_kernels<T>("baseline");
    return set;
}

template const Kernels<float> &kernels_baseline<float>();
template const Kernels<double> &kernels_baseline<double>();

} // namespace egraff::convolution
