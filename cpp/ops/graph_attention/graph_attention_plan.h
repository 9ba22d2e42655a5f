// SPDX-License-Identifier: GPL-2.0-or-later
//
// What egraff::graph_attention computes, taken from the tensors that describe it.
//
// All features are rows of blocks, one for each irrep, [component][channel] with the channels
// padded to a multiple of LANES. A product sorts what its paths make by irrep into groups, which
// are what linear maps take: the inner product's are mapped for every edge, the outer one's, summed
// over the edges of a centre, for every centre and head.
#pragma once

#include "ops/graph_attention/graph_attention_kernels.h"

#include "ops/torch/arguments.h"

#include <vector>

namespace egraff::graph {

inline constexpr const char *OPERATOR = "egraff::graph_attention";

// Constant tensors, in the order in which the operator takes them.
enum Constant {
    TABLES,       // [n_tables, n_knots, n_chunks, 4, LANES]: radial functions, then the envelope
    PAIR_SCALE,   // float64 [n_species, n_species], 1 / cutoff
    PAIR_TABLE,   // int64 [n_species, n_species], which table
    BLOCKS,       // int64 [n_blocks, BLOCK_COLUMNS], of messages; the first has even scalars
    INNER_GROUPS, // int64 [n_groups, INNER_COLUMNS]; the first has even scalars
    OUTER_GROUPS, // int64 [n_groups, OUTER_COLUMNS]; the first has even scalars
    INNER_PATHS,  // int64 [n_paths, PATH_COLUMNS]
    OUTER_PATHS,  // int64 [n_paths, PATH_COLUMNS]
    COUPLINGS,    // int64 [n_couplings, COUPLING_COLUMNS], matrices of harmonics
    TERMS,        // int64 [n_terms, 2], entry and harmonic
    TERM_VALUES,  // float64 [n_terms]
    MATRICES,     // [n], one after the other, each in panels
    BIAS,         // [width of the first inner group's map]
    DIRECTION,    // [n_heads * scores of a head]
    VALUE_BIAS,   // [n_heads * channels of a head's even scalars]
    N_CONSTANTS,
};

enum BlockColumn { BLOCK_DIM, BLOCK_CHANNELS, BLOCK_COLUMNS };

enum InnerColumn {
    INNER_DIM,
    INNER_WIDTH,    // channels of all paths
    INNER_BLOCK,    // of messages, that the map makes; 0: scores, scalars and gates
    INNER_RADIAL,   // where the matrix [n_functions][width] starts
    INNER_RADIAL_T, // and its transpose
    INNER_MATRIX,   // where the map [width][channels] starts
    INNER_MATRIX_T,
    INNER_COLUMNS,
};

enum OuterColumn {
    OUTER_DIM,
    OUTER_WIDTH,    // channels of all paths
    OUTER_CHANNELS, // of a head's values
    OUTER_MATRIX,   // where the maps [width][channels] of all heads start
    OUTER_MATRIX_T,
    OUTER_COLUMNS,
};

enum PathColumn { PATH_COUPLING, PATH_BLOCK, PATH_GROUP, PATH_FIRST, PATH_COLUMNS };

enum CouplingColumn { L_IN, L_OUT, FIRST_TERM, N_TERMS, COUPLING_COLUMNS };

// The arguments of one call.
struct Inputs {
    at::Tensor source;     // [n_nodes, width], what a neighbour offers
    at::Tensor target;     // [n_local, width], what a centre adds to it
    at::Tensor edge_vec;   // [n_edges, 3]
    at::Tensor edge_index; // int64 [2, n_edges]
    at::Tensor species;    // int64 [n_nodes]
    std::vector<at::Tensor> constants;
    int64_t n_functions; // radial functions, without the envelope
    int64_t n_heads;
    int64_t width_out;
    double negative_slope; // of the scores' activation
    double grid_start;     // of the tables, in units of the cutoff
    double grid_stretch;

    const at::Tensor &constant(Constant which) const { return constants[which]; }
    int64_t n_nodes() const { return source.size(0); }
    int64_t n_local() const { return target.size(0); }

    static constexpr auto list() {
        return std::tuple{Argument{"source", &Inputs::source},
                          Argument{"target", &Inputs::target},
                          Argument{"edge_vec", &Inputs::edge_vec},
                          Argument{"edge_index", &Inputs::edge_index},
                          Argument{"species", &Inputs::species},
                          Argument{"constants", &Inputs::constants},
                          Argument{"n_functions", &Inputs::n_functions},
                          Argument{"n_heads", &Inputs::n_heads},
                          Argument{"width_out", &Inputs::width_out},
                          Argument{"negative_slope", &Inputs::negative_slope},
                          Argument{"grid_start", &Inputs::grid_start},
                          Argument{"grid_stretch", &Inputs::grid_stretch}};
    }
};

struct Block {
    int64_t dim, channels;
    int64_t first; // column of a message
};

struct InnerGroup {
    int64_t dim, width, block, n_out;
    int64_t radial, radial_t, matrix, matrix_t;
    int64_t first_weight; // column of an edge's weights
};

struct OuterGroup {
    int64_t dim, width, channels;
    int64_t matrix, matrix_t; // of the first head
    int64_t first;            // column of the result
    int64_t first_sum;        // sum over the groups before of dim * width
};

struct Path {
    int64_t coupling, block, group, first;
};

template <typename T> struct Coupling {
    int64_t l_in, l_out;
    int64_t first_entry; // of all matrices
    std::vector<Term<T>> terms;
};

// Throws ValueError if atoms and edges do not fit each other, or constants are not tables.
void check(const Inputs &inputs);

// What is the same for all edges. Making it throws ValueError with the name of the tensor, what was
// expected and what came.
template <typename T> struct Plan {
    explicit Plan(const Inputs &inputs);

    std::vector<Block> blocks;
    std::vector<InnerGroup> inner;
    std::vector<OuterGroup> outer;
    std::vector<Path> inner_paths, outer_paths;
    std::vector<Coupling<T>> couplings;
    int l_max = 0; // of the harmonics
    std::vector<T> norm;
    int64_t width = 0;     // of a message
    int64_t width_out = 0; // of the result
    int64_t n_entries = 0; // of all matrices of an edge
    int64_t n_weights = 0; // of an edge
    int64_t n_sums = 0;    // of a centre and head
    int64_t n_scores = 0;  // of a head
    int64_t radial_width = 0;

  private:
    void read_blocks(const Inputs &inputs);
    void read_couplings(const Inputs &inputs);
    void read_groups(const Inputs &inputs);
    std::vector<Path> read_paths(const Inputs &inputs, Constant which) const;
};

} // namespace egraff::graph
