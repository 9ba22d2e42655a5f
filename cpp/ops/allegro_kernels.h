// SPDX-License-Identifier: GPL-2.0-or-later
//
// The inner loops of egraff::allegro_energy, compiled once for every instruction set; see
// allegro_cpu.cpp for how they follow each other. Only plain structs and pointers appear here, for
// the reason given in edge_convolution_kernels.h, whose conventions hold here too.
#pragma once

#include "ops/activations.h"
#include "ops/table_rows.h"

#include <cstdint>

namespace egraff::allegro {

// Columns of a matrix whose lines follow each other in memory: four cache lines. Where a matrix is
// wider, its panels come one after the other; the last one may be narrower.
template <typename T> inline constexpr int PANEL = 256 / sizeof(T);

// Some columns of the radial tables, next to each other: the first value of a buffer, or the
// derivative by it.
template <typename T> struct TableColumns {
    T *rows;       // [n_edges][width]
    int64_t width; // a multiple of LANES
    int64_t from;  // first column in a knot, in numbers
};

template <typename T> struct TableArgs {
    int n_edges;
    int stride;
    const T *table;
    const int64_t *knot; // where an edge's interval starts; [chunk][TABLE_ROWS][LANES] follow
    int64_t knot_size;   // from there to the other end of the interval
    const T *basis;      // [INTERVAL_ROWS][stride], or its derivative by the length
    int n_columns;
    const TableColumns<T> *columns;
    T *d_length; // [stride], of table_gradient
};

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

// after = f(before), and before becomes the derivative
template <typename T> struct ActivationArgs {
    Activation activation; // one that is zero at zero
    int64_t n;             // a multiple of LANES
    T *before;
    T *after;
};

// One number of a centre's matrix times component `from` is added to component `to`.
struct Entry {
    int32_t matrix, from, to;
};

// A centre's number `matrix` gets a weight times component `harmonic` of its environment.
struct Term {
    int32_t matrix, harmonic;
};

// One layer's environment and product, for the edges of some nodes. Tensors are [component][padded
// channels] in the row of an edge, environment weights [group][padded channels].
template <typename T> struct ProductArgs {
    int n_nodes;
    const int32_t *first; // [n_nodes + 1], the edges of each node
    int stride;
    int channels; // padded to a multiple of LANES
    int n_harmonics;
    const T *harmonics;             // [n_harmonics][stride]
    const int32_t *weight_group;    // [n_harmonics], of the environment weights
    const int32_t *harmonics_group; // [n_harmonics], of `in` where that is weights
    const T *weights;               // environment weights
    int64_t weights_row;
    int n_terms;
    const Term *terms;
    const T *term_weights; // [n_terms][channels]
    int n_matrix;
    const Entry *by_output; // sorted by `to`
    const Entry *by_input;  // the same with `from` and `to` exchanged, sorted by `to`
    int dim_in, dim_out;
    bool in_is_weights; // tensors in are the harmonics times these weights
    const T *in;
    int64_t in_row;
    T *out;
    int64_t out_row;
    T *environment; // [n_nodes][n_harmonics][channels], made by forward, read by backward
    T *scratch;     // [product_scratch(...)]
    // of the backward only
    const T *d_out;
    T *d_in;
    bool add_d_in;
    T *d_weights;
    T *d_harmonics; // [edge][n_harmonics][LANES], added to
};

// Numbers of scratch that a node with this many edges needs.
inline int64_t product_scratch(int64_t n_edges, int64_t dim_in, int64_t n_matrix,
                               int64_t n_harmonics, int64_t lanes) {
    return (2 * n_edges * dim_in + 2 * n_matrix + n_harmonics) * lanes;
}

template <typename T> struct Kernels {
    void (*table_values)(const TableArgs<T> &);
    void (*table_gradient)(const TableArgs<T> &);
    void (*dense)(const DenseArgs<T> &);
    void (*activate)(const ActivationArgs<T> &);
    void (*multiply)(const T *factor, int64_t n, const T *from, T *to); // to = factor * from
    void (*product_forward)(const ProductArgs<T> &);
    void (*product_backward)(const ProductArgs<T> &);
    // sums[row][edge] = sum over lanes of lanes[edge][row][LANES]
    void (*sum_lanes)(const T *lanes, int n_edges, int n_rows, int stride, T *sums);
};

} // namespace egraff::allegro
