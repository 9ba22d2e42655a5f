// SPDX-License-Identifier: GPL-2.0-or-later
//
// The inner loops of egraff::allegro_energy, compiled once for every instruction set; see
// allegro_cpu.cpp for how they follow each other. Rows of edges and channels of features lie as
// edges/geometry_kernels.h says.
#pragma once

#include "ops/simd/activations.h"
#include "ops/simd/instruction_set.h"

#include <cstdint>

namespace egraff::allegro {

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

template <typename T> struct Kernels {
    void (*activate)(const ActivationArgs<T> &);
    void (*multiply)(const T *factor, int64_t n, const T *from, T *to); // to = factor * from
    void (*product_forward)(const ProductArgs<T> &);
    void (*product_backward)(const ProductArgs<T> &);

    template <simd::InstructionSet> static Kernels make();
};

} // namespace egraff::allegro
