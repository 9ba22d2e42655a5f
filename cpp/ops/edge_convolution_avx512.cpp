// SPDX-License-Identifier: GPL-2.0-or-later
// The inner loops for AVX-512; CMakeLists.txt sets the compiler's options for this file alone.
#define VECTOR_BYTES 64
#define MAX_ACCUMULATORS 28
#include "ops/edge_convolution_kernels.h"

namespace egraff::convolution {

namespace {
#include "ops/kernel_set.inc"
} // namespace

template <typename T> const Kernels<T> &kernels_avx512() {
    static const Kernels<T> set = make_kernels<T>("AVX-512");
    return set;
}

template const Kernels<float> &kernels_avx512<float>();
template const Kernels<double> &kernels_avx512<double>();

} // namespace egraff::convolution
