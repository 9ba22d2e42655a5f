// SPDX-License-Identifier: GPL-2.0-or-later
//
// The inner loops of egraff::scalar_vector_attention, compiled once for every instruction set.
//
// Channels of a head lie side by side, padded to a power of two or to whole chunks of LANES. What
// belongs to a node is packed as [chunk][row][LANES], so that an edge reads what it needs of a
// chunk from one place.
#pragma once

#include "ops/edges/table_rows.h"
#include "ops/simd/activations.h"
#include "ops/simd/instruction_set.h"

#include <cstdint>

namespace egraff::attention {

// rows of a node as the other end of an edge sees it
enum SourceRow { KEY, SCALAR, PUSH, TURNED_X, TURNED_Y, TURNED_Z, SOURCE_ROWS };
inline constexpr int SOURCE_ROWS_NO_VECTORS = TURNED_X;
// rows of a receiving node; all but the first are gradients
enum CentreRow { QUERY, BY_SCALAR, BY_VECTOR_X, BY_VECTOR_Y, BY_VECTOR_Z, CENTRE_ROWS };
// rows of a node's sums: scalar message and vector
inline constexpr int SUM_ROWS = 4;
// functions of the distance in the table: factors of these rows, one for all that are turned
enum Function { OF_KEY, OF_SCALAR, OF_TURNED, OF_PUSH, FUNCTIONS };
// derivatives of an edge's contribution: by length and by unit vector
inline constexpr int EDGE_ROWS = 4;

// how far ahead of an edge its far nodes are asked for
inline constexpr int EDGES_AHEAD = 8;

// What the sums read of one edge.
template <typename T> struct Edge {
    int64_t far;  // where its far node starts
    int64_t knot; // where its interval of a chunk of the table starts
    // what multiplies the numbers of the interval (TableRow), and its derivative by the length
    T basis[6], slope[6], unit[3];
};

// One block of nodes with all their edges, which read the rows of a "far" node: of the neighbour
// if edges are grouped by centre, otherwise of the centre.
template <typename T> struct AttentionArgs {
    int n_nodes;
    const int32_t *first; // [n_nodes + 1], the edges of each node
    int head_lanes;       // padded channels of a head
    int n_chunks;
    const T *near; // packed rows of the block's nodes
    int64_t near_rows;
    const T *far; // packed rows of all nodes
    int64_t far_rows;
    const Edge<T> *edges; // EDGES_AHEAD more than there are, whose `far` is read
    const T *table;       // [chunk][table_rows][TABLE_ROWS][FUNCTIONS][LANES]
    int64_t table_rows;
    Activation activation;
    T *weight;         // scratch, up to LANES numbers for each edge: scores, then activations
    T *d_score;        // likewise, for the backward kernels
    T *more_scores[2]; // likewise, for heads of several registers
    T *result;         // packed sums of the block's nodes
    T *edge_lanes;     // [stride][EDGE_ROWS][LANES], backward by centre: derivatives, lane by lane
};

// Adds up lanes and turns derivatives by length and unit vector into those by the edge vector.
template <typename T> struct EdgeVectorArgs {
    int n_edges;
    const Edge<T> *edges;
    const T *edge_lanes;
    const T *inverse_length;
    T *d_vec; // [n_edges][3]
};

// kinds of heads: of 1, 2, 4, 8, and 16 lanes or more
inline constexpr int MAX_RUNS = 5;

template <typename T> struct Kernels {
    // [logarithm of a head's lanes, or the last][whether there are vectors]
    void (*forward[MAX_RUNS][2])(const AttentionArgs<T> &);
    void (*centre[MAX_RUNS][2])(const AttentionArgs<T> &);
    void (*neighbour[MAX_RUNS][2])(const AttentionArgs<T> &);
    void (*edge_vectors)(const EdgeVectorArgs<T> &);

    template <simd::InstructionSet> static Kernels make();
};

} // namespace egraff::attention
