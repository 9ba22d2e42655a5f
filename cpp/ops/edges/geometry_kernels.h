// SPDX-License-Identifier: GPL-2.0-or-later
//
// What follows from the edge vectors of a block of edges, compiled once for every instruction set.
//
// Numbers of one kind lie side by side: "rows" of an array over edges are `stride` apart, and the
// channels of a feature component are contiguous, padded to a multiple of LANES.
#pragma once

#include "ops/edges/table_rows.h"
#include "ops/simd/instruction_set.h"

#include <cstdint>

namespace egraff::edges {

// How radial tables place their knots, equidistant in s: from x, the length in units of the cutoff,
// s = offset + linear x - exponential exp(-GRID_DECAY x), which is 1 at the cutoff and `start` at
// x = start. Knots are the denser at short distance, the larger `stretch` is; without, s = x.
// Where the functions' second derivative jumps there are two knots, one for each side, with no
// interval between them: from interval `kink` on, knots are one further. It is infinite where
// there is no such place.
inline constexpr double GRID_DECAY = 5.0;
struct Grid {
    double start, offset, linear, exponential, kink;
};

// What follows from the edge vectors of a block of edges. All rows have `stride` entries, a
// multiple of LANES, of which those past the last edge are harmless padding.
template <typename T> struct GeometryArgs {
    int stride;
    int l_max;
    const T *vec;      // [3][stride]
    const T *scale;    // [stride], 1 / cutoff of the pair of elements
    const T *norm;     // [l_max + 1][l_max + 1], prefactors of the harmonics
    Grid grid;         // of the table
    T n_intervals;     // of the table
    T *unit;           // [3][stride]
    T *inverse_length; // [stride]
    T *interval;       // [stride], whole numbers
    T *basis;          // [INTERVAL_ROWS][stride]
    T *slope;          // [INTERVAL_ROWS][stride], derivative of `basis` by the length
    T *offset;         // [stride], from the interval's start, in units of its width
    T *inside;         // [stride], 1 within the cutoff, otherwise 0
    T *density;        // [stride], intervals in a unit of length
    T *harmonics;      // [(l_max + 1)^2][stride]
    T *scratch;        // [scratch_rows(l_max)][stride]
};

inline constexpr int scratch_rows(int l_max) {
    return (l_max + 1) * (l_max + 2) / 2 + 2 * (l_max + 1) + 1;
}

// Turns derivatives by length and harmonics into derivatives by the edge vector.
template <typename T> struct GeometryBackwardArgs {
    GeometryArgs<T> geometry; // as filled by the forward call, scratch included
    const T *d_harmonics;     // [(l_max + 1)^2][stride]
    const T *d_length;        // [stride]
    T *d_vec;                 // [3][stride]
};

template <typename T> struct GeometryKernels {
    void (*forward)(const GeometryArgs<T> &);
    void (*backward)(const GeometryBackwardArgs<T> &);
    // sums[row][edge] = sum over lanes of lanes[edge][row][LANES]
    void (*sum_lanes)(const T *lanes, int n_edges, int n_rows, int stride, T *sums);

    template <simd::InstructionSet> static GeometryKernels make();
};

} // namespace egraff::edges
