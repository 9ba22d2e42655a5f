// SPDX-License-Identifier: GPL-2.0-or-later
//
// The inner loops of egraff::edge_convolution, compiled once for every instruction set. Rows of
// edges and channels of features lie as edges/geometry_kernels.h says.
#pragma once

#include "ops/edges/orders.h"
#include "ops/simd/instruction_set.h"

#include <cstdint>

namespace egraff::convolution {

using edges::MAX_L;

// One non-zero Clebsch-Gordan coefficient: products[product] contributes to dest[component].
template <typename T> struct Coupling {
    int32_t product;   // component of the source times harmonics of this order, plus harmonic
    int32_t component; // of the destination
    T value;
};

// dest[node] += sum over edges of the node of coupling(weight * source[row] (x) harmonics), for
// LANES channels of one path.
template <typename T> struct AccumulateArgs {
    int n_nodes;
    const int32_t *first; // [n_nodes + 1], the edges of each node
    int stride;
    const T *source;    // features that edges read
    const int64_t *row; // [stride], where an edge's row of `source` starts
    int64_t source_stride;
    const T *table;
    const int64_t *knot; // [stride], where an edge's interval of `table` starts
    const T *basis;
    const T *harmonics; // rows of the path's order only
    const Coupling<T> *coupling;
    int n_coupling;
    T *dest;
    int64_t dest_row;    // from node to node
    int64_t dest_stride; // from component to component
};

// Derivatives of sum(gradient * dest) by the source, and by the length and the harmonics of each
// edge, those added up lane by lane; for all channels of one path.
template <typename T> struct GradientArgs {
    AccumulateArgs<T> forward; // its `dest` is not used
    int n_chunks;
    int64_t table_chunk; // from chunk to chunk of the table
    const T *slope;
    const T *gradient;   // by dest, laid out like it
    T *const *d_source;  // [stride], rows laid out like the source's, or null
    int64_t from_source; // where the path's channels start in these rows
    T *d_harmonics;      // [edge][row][LANES]; rows of the path's order start here
    T *d_length;         // likewise
    int64_t d_row;       // from edge to edge
};

template <typename T> struct Kernels {
    // [order of the source][order of the harmonics]
    void (*accumulate[MAX_L + 1][MAX_L + 1])(const AccumulateArgs<T> &);
    void (*gradient[MAX_L + 1][MAX_L + 1])(const GradientArgs<T> &);

    template <simd::InstructionSet> static Kernels make();
};

} // namespace egraff::convolution
