// SPDX-License-Identifier: GPL-2.0-or-later
//
// Rows of edges times a constant matrix, compiled once for every instruction set.
#pragma once

#include "ops/simd/instruction_set.h"

#include <cstdint>

namespace egraff::edges {

// Columns of a matrix whose lines follow each other in memory: four cache lines. Where a matrix is
// wider, its panels come one after the other; the last one may be narrower.
template <typename T> inline constexpr int PANEL = 256 / sizeof(T);

// out = in . matrix, or is added to
template <typename T> struct DenseArgs {
    int n_rows;
    int n_in;
    int n_out; // a multiple of LANES
    const T *in;
    int64_t in_row;  // from row to row
    const T *matrix; // [n_in][n_out], in panels
    T *out;
    int64_t out_row;
    bool add;
};

template <typename T> struct DenseKernels {
    void (*dense)(const DenseArgs<T> &);

    template <simd::InstructionSet> static DenseKernels make();
};

} // namespace egraff::edges
