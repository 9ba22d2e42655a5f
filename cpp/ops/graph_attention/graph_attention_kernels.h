// SPDX-License-Identifier: GPL-2.0-or-later
//
// The inner loops of egraff::graph_attention, compiled once for every instruction set; see
// graph_attention_cpu.cpp for how they follow each other. Rows of edges and channels of features
// lie as edges/geometry_kernels.h says.
//
// An edge's product with its harmonics is, for each path, a small matrix that all channels share:
// matrix[m_in][m_out] = sum over m of coupling[m_in][m][m_out] Y_m.
#pragma once

#include "ops/edges/orders.h"
#include "ops/simd/instruction_set.h"

#include <cstdint>

namespace egraff::graph {

using edges::MAX_L;
using edges::ORDERS;

// matrix[entry] has value * Y[harmonic] in it; entry = m_in * (components out) + m_out.
template <typename T> struct Term {
    int32_t entry, harmonic;
    T value;
};

// One path of a product: matrices of the edges, and what the derivative by them goes to.
template <typename T> struct PathMatrix {
    const T *matrix; // [dim_in * dim_out][stride]
    int stride;
    int n_terms;
    const Term<T> *terms;
    T *d_harmonics; // [edge][n_harmonics][LANES], added to, in the first lanes
    int64_t d_row;  // from edge to edge
};

// out[edge][m_out] = weight[edge] sum over m_in of matrix[m_in][m_out] in[edge][m_in]
template <typename T> struct ProductArgs {
    int n_edges;
    int channels; // a multiple of LANES
    PathMatrix<T> path;
    const T *in; // [edge][component][channel]
    int64_t in_row, in_step;
    const T *weight; // [edge][channel]
    int64_t weight_row;
    T *out; // [edge][component][channel]; the derivative by it in the backward
    int64_t out_row, out_step;
    // of the backward only
    T *d_in;     // laid out like in, added to
    T *d_weight; // laid out like weight
};

// sums[head][node][m_out] =
//     sum over the node's edges of alpha[edge][head] sum over m_in of matrix[m_in][m_out] in[m_in]
template <typename T> struct ValueArgs {
    int n_nodes;
    const int32_t *first; // [n_nodes + 1], the edges of each node
    int n_heads;
    int channels;
    PathMatrix<T> path;
    const T *in; // [edge][component][channel]
    int64_t in_row, in_step;
    const T *alpha; // [edge][n_heads]
    T *sums;        // the derivative by it in the backward
    int64_t head_step, node_step, out_step;
    // of the backward only
    T *d_in;    // laid out like in, added to
    T *d_alpha; // [edge][n_heads][LANES], added to, in the first lanes
};

// Components that a gate scales: out[m] = in[m] * sigmoid(gate)
template <typename T> struct GatedBlock {
    int dim, channels;
    T *in;       // [edge][dim][channels]; the derivative by it after the backward
    int64_t out; // first column of the result
};

// Scores and gates of edges, from rows of scalars [scores of each head | scalars | gates].
// The forward leaves in their place what the backward needs, the backward the derivatives by them.
template <typename T> struct GateArgs {
    int n_edges;
    T *scalars;
    int64_t scalars_row;
    int n_heads, n_scores; // scores of a head, a multiple of LANES
    T negative_slope;
    const T *direction; // [n_heads * n_scores]
    T *score;           // [edge][n_heads]; the derivative by it in the backward
    int n_scalars;
    int n_blocks;
    const GatedBlock<T> *blocks; // gates follow each other in this order
    T *out;                      // [edge][...]; the derivative by it in the backward
    int64_t out_row;
};

template <typename T> struct Kernels {
    // [order in][order out]
    void (*product_forward[ORDERS][ORDERS])(const ProductArgs<T> &);
    void (*product_backward[ORDERS][ORDERS])(const ProductArgs<T> &);
    void (*value_forward[ORDERS][ORDERS])(const ValueArgs<T> &);
    void (*value_backward[ORDERS][ORDERS])(const ValueArgs<T> &);
    void (*gate_forward)(const GateArgs<T> &);
    void (*gate_backward)(const GateArgs<T> &);
    // to[k] = a[k] + b[k]
    void (*add)(const T *a, const T *b, int64_t n, T *to);

    template <simd::InstructionSet> static Kernels make();
};

} // namespace egraff::graph
