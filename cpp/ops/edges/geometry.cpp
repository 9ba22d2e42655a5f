// SPDX-License-Identifier: GPL-2.0-or-later
#include "ops/edges/geometry.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace egraff::edges {

Grid make_grid(double start, double stretch, int64_t kink) {
    const auto stretched = [&](double x) { return x - stretch * std::exp(-GRID_DECAY * x); };
    const double linear = (1.0 - start) / (stretched(1.0) - stretched(start));
    const double none = std::numeric_limits<double>::infinity();
    return {start, start - linear * stretched(start), linear, linear * stretch,
            kink > 0 ? static_cast<double>(kink) : none};
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

template <typename T>
Geometry<T>::Geometry(int l_max, const T *norm, const Grid &grid, int64_t n_knots) {
    rows_.l_max = l_max;
    rows_.norm = norm;
    rows_.grid = grid;
    rows_.n_intervals = static_cast<T>(n_knots - (std::isinf(grid.kink) ? 1 : 2));
}

template <typename T> void Geometry<T>::resize(int64_t n) {
    constexpr int LANES = simd::LANES<T>;
    const int64_t stride = std::max<int64_t>(1, (n + LANES - 1) / LANES) * LANES;
    const int l_max = rows_.l_max, n_harmonics = (l_max + 1) * (l_max + 1);
    rows_.stride = static_cast<int>(stride);
    rows_.vec = vec_.resize(3 * stride);
    rows_.scale = scale_.resize(stride);
    T *room =
        room_.resize((3 + 5 + 2 * INTERVAL_ROWS + n_harmonics + scratch_rows(l_max)) * stride);
    const auto take = [&](int64_t count) {
        T *start = room;
        room += count * stride;
        return start;
    };
    rows_.unit = take(3);
    rows_.inverse_length = take(1);
    rows_.interval = take(1);
    rows_.basis = take(INTERVAL_ROWS);
    rows_.slope = take(INTERVAL_ROWS);
    rows_.offset = take(1);
    rows_.inside = take(1);
    rows_.density = take(1);
    rows_.harmonics = take(n_harmonics);
    rows_.scratch = take(scratch_rows(l_max));
}

template <typename T> void Geometry<T>::make(int64_t n) {
    const int64_t s = stride();
    for (int64_t k = n; k < s; ++k) {
        vec()[k] = T(2);
        vec()[s + k] = vec()[2 * s + k] = T(0);
        scale()[k] = T(1);
    }
    kernels_.forward(rows_);
}

template <typename T>
void Geometry<T>::backward(const T *d_harmonics, const T *d_length, int64_t n, T *d_vec) {
    const int64_t s = stride();
    T *rows = d_vec_.resize(3 * s);
    kernels_.backward({rows_, d_harmonics, d_length, rows});
    for (int64_t e = 0; e < n; ++e) {
        for (int a = 0; a < 3; ++a) {
            d_vec[3 * e + a] = rows[a * s + e];
        }
    }
}

template class Geometry<float>;
template class Geometry<double>;

} // namespace egraff::edges
