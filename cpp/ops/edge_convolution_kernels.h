// SPDX-License-Identifier: GPL-2.0-or-later
//
// The inner loops of egraff's operators, compiled once for every instruction set.
//
// Numbers of one kind lie side by side: "rows" of an array over edges are `stride` apart, and the
// channels of a feature component are contiguous, padded to a multiple of LANES. Only plain
// structs and pointers appear here, because an inline function of the standard library that was
// compiled for AVX-512 could be the copy that the linker keeps for all.
#pragma once

#include "ops/allegro_kernels.h"
#include "ops/edge_attention_kernels.h"
#include "ops/gate_kernels.h"
#include "ops/graph_attention_kernels.h"
#include "ops/irreps_linear_kernels.h"
#include "ops/symmetric_contraction_kernels.h"
#include "ops/table_rows.h"
#include "ops/vector_update_kernels.h"

#include <cstdint>

namespace egraff::convolution {

// highest order of features and harmonics
inline constexpr int MAX_L = 3;
// channels that are processed together: one cache line, one AVX-512 register
template <typename T> inline constexpr int LANES = 64 / sizeof(T);
// kinds of attention heads: 1, 2, 4, 8, and 16 channels or more
inline constexpr int MAX_RUNS = 5;

// How radial tables place their knots, equidistant in s: from x, the length in units of the cutoff,
// s = offset + linear x - exponential exp(-GRID_DECAY x), which is 1 at the cutoff and `start` at
// x = start. Knots are the denser at short distance, the larger `stretch` is; without, s = x.
inline constexpr double GRID_DECAY = 5.0;
struct Grid {
    double start, offset, linear, exponential;
};
Grid make_grid(double start, double stretch);

// One non-zero Clebsch-Gordan coefficient: products[product] contributes to dest[component].
template <typename T> struct Coupling {
    int32_t product;   // component of the source times harmonics of this order, plus harmonic
    int32_t component; // of the destination
    T value;
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
    const char *name;
    void (*geometry)(const GeometryArgs<T> &);
    void (*geometry_backward)(const GeometryBackwardArgs<T> &);
    // [order of the source][order of the harmonics]
    void (*accumulate[MAX_L + 1][MAX_L + 1])(const AccumulateArgs<T> &);
    void (*gradient[MAX_L + 1][MAX_L + 1])(const GradientArgs<T> &);
    void (*contraction_forward)(const contraction::ContractionArgs<T> &);
    void (*contraction_backward)(const contraction::ContractionArgs<T> &);
    void (*linear_block)(const linear::LinearArgs<T> &);
    // [logarithm of a head's lanes, or the last][whether there are vectors]
    void (*attention_forward[MAX_RUNS][2])(const attention::AttentionArgs<T> &);
    void (*attention_centre[MAX_RUNS][2])(const attention::AttentionArgs<T> &);
    void (*attention_neighbour[MAX_RUNS][2])(const attention::AttentionArgs<T> &);
    void (*attention_edge_vectors)(const attention::EdgeVectorArgs<T> &);
    void (*gate_forward)(const gate::ForwardArgs<T> &);
    void (*gate_backward)(const gate::BackwardArgs<T> &);
    void (*update_forward)(const update::ForwardArgs<T> &);
    void (*update_backward)(const update::BackwardArgs<T> &);
    allegro::Kernels<T> allegro;
    graph::Kernels<T> graph;
};

template <typename T> const Kernels<T> &kernels_baseline();
#ifdef EGRAFF_X86_KERNELS
template <typename T> const Kernels<T> &kernels_avx2();
template <typename T> const Kernels<T> &kernels_avx512();
#endif

// The best set for this processor; torch's environment variable ATEN_CPU_CAPABILITY lowers it.
template <typename T> const Kernels<T> &kernels();

} // namespace egraff::convolution
