// SPDX-License-Identifier: GPL-2.0-or-later
// The inner loops for AVX2; CMakeLists.txt sets the compiler's options for this file alone.
#define VECTOR_BYTES 32
#define MAX_ACCUMULATORS 12
#include "ops/edge_convolution_kernels.h"

namespace egraff::convolution {

namespace {
#include "ops/kernel_set.inc"
} // namespace

template <typename T> const Kernels<T> &kernels_avx2() {
    static const Kernels<T> set = make_kernels<T>("AVX2");
    return set;
}

template const Kernels<float> &kernels_avx2<float>();
template const Kernels<double> &kernels_avx2<double>();

} // namespace egraff::convolution
