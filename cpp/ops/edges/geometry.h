// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "ops/edges/geometry_kernels.h"
#include "ops/simd/buffer.h"
#include "ops/simd/kernels.h"

#include <vector>

namespace egraff::edges {

// `kink` is the first interval beyond a jump of the second derivative, 0 where there is none.
Grid make_grid(double start, double stretch, int64_t kink = 0);

// Prefactors of the harmonics, [l_max + 1][l_max + 1], as the kernels take them.
template <typename T> std::vector<T> harmonic_norms(int l_max);

// The rows of a block of edges; one object for each thread, used again for each block.
template <typename T> class Geometry {
  public:
    // `norm` are the harmonics' prefactors, which must outlive this object.
    Geometry(int l_max, const T *norm, const Grid &grid, int64_t n_knots);

    // Room for n edges, whose vectors [3][stride] and inverse cutoffs are to be filled in.
    void resize(int64_t n);
    T *vec() { return vec_.data(); }
    T *scale() { return scale_.data(); }
    // All that follows from them. Padding from edge n on is beyond the cutoff, where all is zero.
    void make(int64_t n);
    // Derivatives by the vectors of n edges, [n][3], from those by the harmonics and the length.
    void backward(const T *d_harmonics, const T *d_length, int64_t n, T *d_vec);

    const GeometryArgs<T> &rows() const { return rows_; }
    int stride() const { return rows_.stride; }

  private:
    const GeometryKernels<T> &kernels_ = simd::kernels<GeometryKernels<T>>();
    GeometryArgs<T> rows_{};
    simd::Buffer<T> room_, vec_, scale_, d_vec_;
};

} // namespace egraff::edges
