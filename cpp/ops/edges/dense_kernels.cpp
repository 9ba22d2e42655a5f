// SPDX-License-Identifier: GPL-2.0-or-later
#include "ops/edges/dense_kernels.h"

#include "ops/simd/vector.h"

namespace egraff::edges {

namespace {

using namespace simd;

// Vectors of the result's columns, and rows, that one pass over a panel makes: the sums and one
// line of the panel fill the registers.
inline constexpr int DENSE_COLUMNS = MAX_ACCUMULATORS >= 24 ? 4 : 2;
inline constexpr int DENSE_ROWS = 6;

// Some columns of a panel of the matrix; `out` is the result's first of them.
template <typename T> struct Panel {
    const T *matrix;
    int64_t width; // from line to line
    T *out;
};

template <typename T, int ROWS, int COLUMNS>
inline void dense_tile(const DenseArgs<T> &d, const Panel<T> &panel, int64_t row) {
    constexpr int W = Vector<T>::width;
    Vec<T> sums[ROWS][COLUMNS];
    T *out = panel.out + row * d.out_row;
    for (int r = 0; r < ROWS; ++r) {
        for (int c = 0; c < COLUMNS; ++c) {
            sums[r][c] = d.add ? load(out + r * d.out_row + c * W) : Vec<T>{};
        }
    }
    const T *in = d.in + row * d.in_row, *matrix = panel.matrix;
    for (int k = 0; k < d.n_in; ++k, matrix += panel.width) {
        Vec<T> line[COLUMNS];
        for (int c = 0; c < COLUMNS; ++c) {
            line[c] = load(matrix + c * W);
        }
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r) {
            const T x = in[r * d.in_row + k];
#pragma GCC unroll 4
            for (int c = 0; c < COLUMNS; ++c) {
                sums[r][c] += line[c] * x;
            }
        }
    }
    for (int r = 0; r < ROWS; ++r) {
        for (int c = 0; c < COLUMNS; ++c) {
            store(out + r * d.out_row + c * W, sums[r][c]);
        }
    }
}

// Rows from `row` on; fewer at a time for the last ones.
template <typename T, int ROWS, int COLUMNS>
inline void dense_rows(const DenseArgs<T> &d, const Panel<T> &panel, int64_t row) {
    for (; row + ROWS <= d.n_rows; row += ROWS) {
        dense_tile<T, ROWS, COLUMNS>(d, panel, row);
    }
    if constexpr (ROWS > 1) {
        dense_rows<T, ROWS / 2, COLUMNS>(d, panel, row);
    }
}

template <typename T> void dense(const DenseArgs<T> &d) {
    constexpr int64_t W = Vector<T>::width;
    for (int64_t first = 0; first < d.n_out; first += PANEL<T>) {
        const int64_t rest = d.n_out - first;
        Panel<T> panel{d.matrix + first * d.n_in, rest < PANEL<T> ? rest : PANEL<T>, d.out + first};
        int64_t left = panel.width;
        const auto advance = [&](int64_t columns) {
            panel.matrix += columns;
            panel.out += columns;
            left -= columns;
        };
        for (; left >= DENSE_COLUMNS * W; advance(DENSE_COLUMNS * W)) {
            dense_rows<T, DENSE_ROWS, DENSE_COLUMNS>(d, panel, 0);
        }
        if constexpr (DENSE_COLUMNS > 2) {
            for (; left >= 2 * W; advance(2 * W)) {
                dense_rows<T, 2 * DENSE_ROWS, 2>(d, panel, 0);
            }
        }
        for (; left > 0; advance(W)) {
            dense_rows<T, 2 * DENSE_ROWS, 1>(d, panel, 0);
        }
    }
}

} // namespace

template <typename T> template <simd::InstructionSet> DenseKernels<T> DenseKernels<T>::make() {
    return {edges::dense<T>};
}

template DenseKernels<float> DenseKernels<float>::make<simd::SET>();
template DenseKernels<double> DenseKernels<double>::make<simd::SET>();

} // namespace egraff::edges
