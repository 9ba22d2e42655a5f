// SPDX-License-Identifier: GPL-2.0-or-later
//
// What egraff::edge_convolution computes, taken from the tensors that describe it, and how features
// lie in memory while it does.
#pragma once

#include "ops/convolution/edge_convolution_kernels.h"
#include "ops/edges/geometry.h"
#include "ops/torch/arguments.h"

#include <ATen/core/Tensor.h>

#include <vector>

namespace egraff::convolution {

using simd::LANES;

// The arguments of one call.
struct Inputs {
    at::Tensor x;              // [n_nodes, width_in]
    at::Tensor edge_vec;       // [n_edges, 3]
    at::Tensor edge_index;     // int64 [2, n_edges]
    at::Tensor species;        // int64 [n_nodes]
    at::Tensor tables;         // [n_tables, n_chunks, n_knots, TABLE_ROWS, LANES]
    at::Tensor pair_scale;     // float64 [n_species, n_species], 1 / cutoff
    at::Tensor pair_table;     // int64 [n_species, n_species], which table
    at::Tensor paths;          // int64 [n_paths, PATH_COLUMNS]
    at::Tensor coupling_index; // int64 [n_couplings, 3], components of x, harmonics, output
    at::Tensor coupling_value; // float64 [n_couplings]
    double grid_start;         // of the tables, in units of the cutoff
    Size n_local;
    Size width_out;      // columns of the sums of messages
    double grid_stretch; // of the tables
    bool channels_last;  // x and the messages are in the inside layout, of full cache lines
    // Where width_after is not 0, the linear map that the sums of messages go through: weights,
    // blocks, and those of its transpose, as egraff::irreps_linear takes them; needs channels_last.
    // Otherwise empty tensors: compiled programs cannot hand over an empty list.
    std::vector<at::Tensor> after;
    Size width_after;  // columns of the output where there is a map
    int64_t grid_kink; // of the tables: first interval beyond a kink, 0 where there is none

    bool is_mapped() const { return width_after != 0; }

    static constexpr auto list() {
        return std::tuple{Argument{"x", &Inputs::x},
                          Argument{"edge_vec", &Inputs::edge_vec},
                          Argument{"edge_index", &Inputs::edge_index},
                          Argument{"species", &Inputs::species},
                          Argument{"tables", &Inputs::tables},
                          Argument{"pair_scale", &Inputs::pair_scale},
                          Argument{"pair_table", &Inputs::pair_table},
                          Argument{"paths", &Inputs::paths},
                          Argument{"coupling_index", &Inputs::coupling_index},
                          Argument{"coupling_value", &Inputs::coupling_value},
                          Argument{"grid_start", &Inputs::grid_start},
                          Argument{"n_local", &Inputs::n_local},
                          Argument{"width_out", &Inputs::width_out},
                          Argument{"grid_stretch", &Inputs::grid_stretch},
                          Argument{"channels_last", &Inputs::channels_last},
                          Argument{"after", &Inputs::after},
                          Argument{"width_after", &Inputs::width_after},
                          Argument{"grid_kink", &Inputs::grid_kink}};
    }
};

enum AfterTensor { WEIGHTS, BLOCKS, WEIGHTS_BACK, BLOCKS_BACK, AFTER_TENSORS };

// columns of `paths`
enum PathColumn {
    X_START,  // first column of the path's block in x
    CHANNELS, // multiplicity
    L_IN,     // orders of the features, the harmonics and the output
    L_HARMONICS,
    L_OUT,
    OUT_START,      // first column of the path's block in the output
    FIRST_COUPLING, // rows of coupling_index
    N_COUPLINGS,
    PATH_COLUMNS,
};

// Throws ValueError with the name of the tensor, what was expected and what came.
void check(const Inputs &inputs);

// Channels of one irrep. Outside they lie as e3nn has them, [channel][component]; inside as
// [component][channel], the channels padded to `padded`.
struct Block {
    int64_t outside; // first column outside
    int64_t inside;  // first column inside
    int64_t channels;
    int64_t padded;
    int64_t components;
};

struct Layout {
    std::vector<Block> blocks;
    int64_t width = 0;          // columns inside
    bool channels_last = false; // outside is as inside

    // Index of the block that starts at this column outside; adds it if need be.
    int64_t add(int64_t outside, int64_t channels, int64_t components, int64_t lanes);
};

// One path: what edges read, and where their sum goes.
template <typename T> struct Path {
    int l_source;
    int l_harmonics;
    Block source;
    Block dest;
    int64_t first_chunk; // of the table
    int64_t n_chunks;
    std::vector<Coupling<T>> coupling;
};

template <typename T> struct Plan {
    explicit Plan(const Inputs &inputs);

    Layout in, out;
    std::vector<Path<T>> paths;
    int l_max = 0;       // of the harmonics
    std::vector<T> norm; // of the harmonics
};

// Copy rows between the layouts; columns of no block are left alone.
template <typename T> void to_inside(const Layout &layout, const T *outside, T *inside);
template <typename T> void to_outside(const Layout &layout, const T *inside, T *outside);

} // namespace egraff::convolution
