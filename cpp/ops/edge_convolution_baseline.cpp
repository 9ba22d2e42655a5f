// SPDX-License-Identifier: GPL-2.0-or-later
// The inner loops for baseline; CMakeLists.txt sets the compiler's options for this file alone.
#define VECTOR_BYTES 16
#define MAX_ACCUMULATORS 12
#include "ops/edge_convolution_kernels.h"

namespace egraff::convolution {

namespace {
#include "ops/kernel_set.inc"
} // namespace

template <typename T> const Kernels<T> &kernels_baseline() {
    static const Kernels<T> set = make_kernels<T>("baseline");
    return set;
}

template const Kernels<float> &kernels_baseline<float>();
template const Kernels<double> &kernels_baseline<double>();

} // namespace egraff::convolution
