// SPDX-License-Identifier: GPL-2.0-or-later
#include "ops/edge_convolution_kernels.h"

#include <ATen/Version.h>

#include <cmath>
#include <string>

namespace egraff::convolution {

Grid make_grid(double start, double stretch) {
    const auto stretched = [&](double x) { return x - stretch * std::exp(-GRID_DECAY * x); };
    const double linear = (1.0 - start) / (stretched(1.0) - stretched(start));
    return {start, start - linear * stretched(start), linear, linear * stretch};
}

template <typename T> const Kernels<T> &kernels() {
#ifdef EGRAFF_X86_KERNELS
    static const Kernels<T> &chosen = []() -> const Kernels<T> & {
        const std::string capability = at::get_cpu_capability();
        if (capability == "AVX512") {
            return kernels_avx512<T>();
        }
        if (capability == "AVX2") {
            return kernels_avx2<T>();
        }
        return kernels_baseline<T>();
    }();
    return chosen;
#else
    return kernels_baseline<T>();
#endif
}

template const Kernels<float> &kernels<float>();
template const Kernels<double> &kernels<double>();

} // namespace egraff::convolution
