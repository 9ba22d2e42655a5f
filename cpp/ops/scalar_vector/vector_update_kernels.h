// SPDX-License-Identifier: GPL-2.0-or-later
//
// The inner loops of egraff::gated_vector_update, compiled once for every instruction set.
#pragma once

#include "ops/simd/instruction_set.h"

#include <cstdint>

namespace egraff::update {

// Rows of nodes one after another; see vector_update.cpp for what they are.
template <typename T> struct ForwardArgs {
    int64_t n_nodes;
    int64_t width;
    const T *gates; // [3][width]
    const T *maps;  // [3][3][width], of each component three vectors
    const T *sums;  // [3][width]
    T *scalars;     // [width]
    T *vectors;     // [3][width]
};

template <typename T> struct BackwardArgs {
    int64_t n_nodes;
    int64_t width;
    const T *gates;
    const T *maps;
    const T *by_scalars; // gradients by the results
    const T *by_vectors;
    T *d_gates;
    T *d_maps;
};

template <typename T> struct Kernels {
    void (*forward)(const ForwardArgs<T> &);
    void (*backward)(const BackwardArgs<T> &);

    template <simd::InstructionSet> static Kernels make();
};

} // namespace egraff::update
