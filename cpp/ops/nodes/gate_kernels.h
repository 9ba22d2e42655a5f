// SPDX-License-Identifier: GPL-2.0-or-later
//
// The inner loops of egraff::gate, compiled once for every instruction set.
#pragma once

#include "ops/simd/activations.h"
#include "ops/simd/instruction_set.h"

#include <cstdint>

namespace egraff::gate {

// Channels of one irrep, as [component][channel]. Without a gate they are scalars that go through
// the nonlinearity; with one, each channel is multiplied by the nonlinearity of a scalar.
template <typename T> struct Block {
    int64_t start_in, start_out; // first columns
    int64_t channels, dim;
    int64_t gate; // column of the first channel's gate, or NO_GATE
    Activation activation;
    T factor; // of the nonlinearity
};
inline constexpr int64_t NO_GATE = -1;

// Rows of nodes one after another.
template <typename T> struct ForwardArgs {
    int64_t n_nodes, width_in, width_out;
    const Block<T> *blocks;
    int64_t n_blocks;
    const T *x;
    T *result;
};

template <typename T> struct BackwardArgs {
    int64_t n_nodes, width_in, width_out;
    const Block<T> *blocks;
    int64_t n_blocks;
    const T *x;
    const T *gradient; // by the result
    T *d_x;
};

template <typename T> struct Kernels {
    void (*forward)(const ForwardArgs<T> &);
    void (*backward)(const BackwardArgs<T> &);

    template <simd::InstructionSet> static Kernels make();
};

} // namespace egraff::gate
