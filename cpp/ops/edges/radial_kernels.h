// SPDX-License-Identifier: GPL-2.0-or-later
//
// Values of radial tables for a block of edges, compiled once for every instruction set.
#pragma once

#include "ops/edges/table_rows.h"
#include "ops/simd/instruction_set.h"

#include <cstdint>

namespace egraff::edges {

// Some columns of the radial tables, next to each other: the first value of a buffer, or the
// derivative by it.
template <typename T> struct RadialColumns {
    T *rows;       // [n_edges][width]
    int64_t width; // a multiple of LANES
    int64_t from;  // first column in a knot, in numbers
};

template <typename T> struct RadialArgs {
    int n_edges;
    int stride;
    const T *table;
    const int64_t *knot; // where an edge's interval starts; [chunk][TABLE_ROWS][LANES] follow
    int64_t knot_size;   // from there to the other end of the interval
    const T *basis;      // [INTERVAL_ROWS][stride], or its derivative by the length
    int n_columns;
    const RadialColumns<T> *columns;
    T *d_length; // [stride], of the gradient
};

template <typename T> struct RadialKernels {
    void (*values)(const RadialArgs<T> &);
    void (*gradient)(const RadialArgs<T> &);

    template <simd::InstructionSet> static RadialKernels make();
};

} // namespace egraff::edges
