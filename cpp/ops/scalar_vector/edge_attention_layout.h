// SPDX-License-Identifier: GPL-2.0-or-later
//
// The tensors of one call of egraff::scalar_vector_attention, and how channels of heads are packed.
#pragma once

#include "ops/scalar_vector/edge_attention_kernels.h"
#include "ops/simd/kernels.h"

#include "ops/torch/arguments.h"

#include <string>
#include <vector>

namespace egraff::attention {

using simd::LANES;

inline constexpr const char *OPERATOR = "egraff::scalar_vector_attention";

// The arguments of one call.
struct Inputs {
    at::Tensor query;      // [n_local, width]
    at::Tensor source;     // [n_nodes, n_chunks * source_rows() * LANES], packed
    at::Tensor edge_vec;   // [n_edges, 3]
    at::Tensor edge_index; // int64 [2, n_edges]
    at::Tensor species;    // int64 [n_nodes]
    at::Tensor table;      // [n_chunks, n_knots + 2, TABLE_ROWS, FUNCTIONS, LANES]
    at::Tensor pair_scale; // float64 [n_species, n_species], 1 / cutoff
    int64_t n_heads;
    std::string activation;
    double grid_start; // of the table, in units of the cutoff
    double grid_stretch;

    int64_t n_local() const { return query.size(0); }
    int64_t n_nodes() const { return source.size(0); }
    int64_t width() const { return query.size(1); }
    // lanes of a row of a node
    int64_t row_width() const { return table.size(0) * table.size(4); }
    bool has_vectors() const { return source.size(1) == SOURCE_ROWS * row_width(); }
    int64_t source_rows() const { return has_vectors() ? SOURCE_ROWS : SOURCE_ROWS_NO_VECTORS; }

    static constexpr auto list() {
        return std::tuple{Argument{"query", &Inputs::query},
                          Argument{"source", &Inputs::source},
                          Argument{"edge_vec", &Inputs::edge_vec},
                          Argument{"edge_index", &Inputs::edge_index},
                          Argument{"species", &Inputs::species},
                          Argument{"table", &Inputs::table},
                          Argument{"pair_scale", &Inputs::pair_scale},
                          Argument{"n_heads", &Inputs::n_heads},
                          Argument{"activation", &Inputs::activation},
                          Argument{"grid_start", &Inputs::grid_start},
                          Argument{"grid_stretch", &Inputs::grid_stretch}};
    }
};

// Throws ValueError with the name, what was expected and what came.
Activation activation(const std::string &name);
// Likewise for tensors that do not fit each other.
void check(const Inputs &inputs);

// Where channels lie in packed rows. A head takes a power of two lanes, or whole chunks.
struct HeadLayout {
    HeadLayout(int64_t n_heads, int64_t width, int64_t lanes);

    struct Piece {
        int64_t channel; // outside
        int64_t chunk, lane;
        int64_t count;
    };
    std::vector<Piece> pieces;
    int64_t head_lanes;
    int64_t n_chunks;
    bool padded; // whether there are lanes without a channel
};

// Copies one row of a node: `packed` is where that row's first chunk starts, chunks being n_rows
// rows apart.
template <typename T>
void pack(const HeadLayout &layout, const T *outside, T *packed, int64_t n_rows);
template <typename T>
void unpack(const HeadLayout &layout, const T *packed, T *outside, int64_t n_rows);

} // namespace egraff::attention
