// SPDX-License-Identifier: GPL-2.0-or-later
//
// One block of an equivariant linear map, for a tile of rows; see irreps_linear.cpp.
#pragma once

#include "ops/simd/instruction_set.h"

#include <cstdint>

namespace egraff::linear {

// Rows that the kernels take at a time; callers hand over a multiple of it.
inline constexpr int ROWS = 6;

// output[row][c_out * out_step] +=
//     sum over c_in of input[row][c_in * in_step] weights[c_in][c_out]
template <typename T> struct LinearArgs {
    int n_rows;                // a multiple of ROWS; rows from n_valid on repeat another
    int n_valid;               // rows that are written
    const T *const *input;     // [n_rows]
    T *const *output;          // [n_valid]
    int64_t in_step, out_step; // from channel to channel
    int n_in, n_out;           // channels
    const T *weights;          // [n_in][n_chunks * LANES], zero beyond n_out
    int n_chunks;              // of LANES output channels
};

template <typename T> struct Kernels {
    void (*block)(const LinearArgs<T> &);

    template <simd::InstructionSet> static Kernels make();
};

} // namespace egraff::linear
