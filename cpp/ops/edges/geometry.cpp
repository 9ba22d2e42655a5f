// SPDX-License-Identifier: GPL-2.0-or-later
#include "ops/edges/geometry.h"

#include <cmath>

namespace egraff::edges {

Grid make_grid(double start, double stretch) {
    const auto stretched = [&](double x) { return x - stretch * std::exp(-GRID_DECAY * x); };
    const double linear = (1.0 - start) / (stretched(1.0) - stretched(start));
    return {start, start - linear * stretched(start), linear, linear * stretch};
}

// The harmonics are scaled so that the squares of those of one order sum to 2 l + 1.
template <typename T> std::vector<T> harmonic_norms(int l_max) {
    std::vector<T> norm((l_max + 1) * (l_max + 1), T(0));
    for (int l = 0; l <= l_max; ++l) {
        for (int m = 0; m <= l; ++m) {
            double square = (2 * l + 1) * (m == 0 ? 1.0 : 2.0);
            for (int k = l - m + 1; k <= l + m; ++k) {
                square /= k;
            }
            norm[l * (l_max + 1) + m] = static_cast<T>(std::sqrt(square));
        }
    }
    return norm;
}

template std::vector<float> harmonic_norms(int);
template std::vector<double> harmonic_norms(int);

} // namespace egraff::edges
