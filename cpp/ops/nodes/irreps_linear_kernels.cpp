// SPDX-License-Identifier: GPL-2.0-or-later
#include "ops/nodes/irreps_linear_kernels.h"

#include "ops/simd/vector.h"

namespace egraff::linear {

namespace {

using namespace simd;

// output channels that are summed at a time, in cache lines, and rows: their sums fill the
// registers
constexpr int LINEAR_CHUNKS = EGRAFF_VECTOR_BYTES == 64 ? 4 : 1;
constexpr int LINEAR_ROWS = EGRAFF_VECTOR_BYTES == 16 ? 3 : ROWS;
static_assert(ROWS % LINEAR_ROWS == 0);

template <typename T, int CHUNKS>
inline void linear_rows(const LinearArgs<T> &a, int first_row, int first_chunk) {
    constexpr int VECS = CHUNKS * LANES<T> / Vector<T>::width;
    const int64_t width = int64_t(a.n_chunks) * LANES<T>, step = a.out_step;
    const T *weights = a.weights + first_chunk * LANES<T>;
    const T *rows[LINEAR_ROWS];
    Vec<T> sums[LINEAR_ROWS][VECS];
#pragma GCC unroll 8
    for (int r = 0; r < LINEAR_ROWS; ++r) {
        rows[r] = a.input[first_row + r];
#pragma GCC unroll 8
        for (int v = 0; v < VECS; ++v) {
            sums[r][v] = Vec<T>{};
        }
    }
    for (int c = 0; c < a.n_in; ++c) {
        Vec<T> w[VECS];
#pragma GCC unroll 8
        for (int v = 0; v < VECS; ++v) {
            w[v] = load(weights + c * width + v * Vector<T>::width);
        }
#pragma GCC unroll 8
        for (int r = 0; r < LINEAR_ROWS; ++r) {
            const T x = rows[r][c * a.in_step];
#pragma GCC unroll 8
            for (int v = 0; v < VECS; ++v) {
                sums[r][v] += w[v] * x;
            }
        }
    }
    const int first_out = first_chunk * LANES<T>;
    const int left = a.n_out - first_out;
    const int n = left < CHUNKS * LANES<T> ? left : CHUNKS * LANES<T>;
    for (int r = 0; r < LINEAR_ROWS && first_row + r < a.n_valid; ++r) {
        T lanes[CHUNKS * LANES<T>];
#pragma GCC unroll 8
        for (int v = 0; v < VECS; ++v) {
            store(lanes + v * Vector<T>::width, sums[r][v]);
        }
        T *to = a.output[first_row + r] + first_out * step;
        if (step == 1) {
            for (int k = 0; k < n; ++k) {
                to[k] += lanes[k];
            }
        } else {
            for (int k = 0; k < n; ++k) {
                to[k * step] += lanes[k];
            }
        }
    }
}

template <typename T> void block(const LinearArgs<T> &a) {
    for (int row = 0; row < a.n_rows; row += LINEAR_ROWS) {
        int chunk = 0;
        for (; chunk + LINEAR_CHUNKS <= a.n_chunks; chunk += LINEAR_CHUNKS) {
            linear_rows<T, LINEAR_CHUNKS>(a, row, chunk);
        }
        for (; chunk < a.n_chunks; ++chunk) {
            linear_rows<T, 1>(a, row, chunk);
        }
    }
}

} // namespace

template <typename T> template <simd::InstructionSet> Kernels<T> Kernels<T>::make() {
    return {linear::block<T>};
}

template Kernels<float> Kernels<float>::make<simd::SET>();
template Kernels<double> Kernels<double>::make<simd::SET>();

} // namespace egraff::linear
