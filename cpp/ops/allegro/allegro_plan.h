// SPDX-License-Identifier: GPL-2.0-or-later
//
// What egraff::allegro_energy computes, taken from the tensors that describe it.
//
// The model is a list of steps on buffers, each of which has a row for every edge. A buffer is
// written once or several times, the results added up; some start from a table of the distance. The
// last buffer's first column is the energy of an edge.
#pragma once

#include "ops/allegro/allegro_kernels.h"

#include "ops/torch/arguments.h"

#include <vector>

namespace egraff::allegro {

// The arguments of one call, checked by Plan.
struct Inputs {
    at::Tensor edge_vec;     // [n_edges, 3]
    at::Tensor edge_index;   // int64 [2, n_edges]
    at::Tensor species;      // int64 [n_nodes]
    at::Tensor tables;       // [n_tables, n_knots, n_chunks, TABLE_ROWS, LANES]
    at::Tensor pair_scale;   // float64 [n_species, n_species], 1 / cutoff
    at::Tensor pair_table;   // int64 [n_species, n_species], which table
    at::Tensor buffers;      // int64 [n_buffers, BUFFER_COLUMNS]
    at::Tensor steps;        // int64 [n_steps, STEP_COLUMNS]
    at::Tensor matrices;     // [n], of all steps one after the other, each in panels
    at::Tensor products;     // int64 [n_products, PRODUCT_COLUMNS]
    at::Tensor entries;      // int64 [n_entries, 2], components in and out, sorted by the second
    at::Tensor terms;        // int64 [n_terms, 2], entry and harmonic
    at::Tensor term_weights; // [n_terms, channels]
    double grid_start;       // of the tables, in units of the cutoff
    int64_t l_max;           // of the harmonics
    Size n_local;

    static constexpr auto list() {
        return std::tuple{Argument{"edge_vec", &Inputs::edge_vec},
                          Argument{"edge_index", &Inputs::edge_index},
                          Argument{"species", &Inputs::species},
                          Argument{"tables", &Inputs::tables},
                          Argument{"pair_scale", &Inputs::pair_scale},
                          Argument{"pair_table", &Inputs::pair_table},
                          Argument{"buffers", &Inputs::buffers},
                          Argument{"steps", &Inputs::steps},
                          Argument{"matrices", &Inputs::matrices},
                          Argument{"products", &Inputs::products},
                          Argument{"entries", &Inputs::entries},
                          Argument{"terms", &Inputs::terms},
                          Argument{"term_weights", &Inputs::term_weights},
                          Argument{"grid_start", &Inputs::grid_start},
                          Argument{"l_max", &Inputs::l_max},
                          Argument{"n_local", &Inputs::n_local}};
    }
};

enum BufferColumn {
    WIDTH,       // a multiple of LANES
    FIRST_CHUNK, // of the tables, or -1
    BUFFER_COLUMNS,
};

enum StepColumn {
    KIND,
    SOURCE, // buffers
    DEST,
    A, // DENSE: where the matrix starts; ACTIVATE: which one; PRODUCT: buffer of weights
    B, // DENSE: where its transpose starts; PRODUCT: which product
    C, // DENSE: rows of the matrix; PRODUCT: 1 if the source is weights of harmonics, or 0
    STEP_COLUMNS,
};

enum Kind { DENSE, ACTIVATE, PRODUCT, N_KINDS };

enum ProductColumn {
    DIM_IN,
    DIM_OUT,
    FIRST_ENTRY,
    N_ENTRIES,
    FIRST_TERM,
    N_TERMS,
    INDIVIDUAL, // 1 if environment weights are for each l, 0 if one is for all
    PRODUCT_COLUMNS,
};

struct Buffer {
    int64_t width;
    int64_t first; // sum of the widths before
    int64_t first_chunk;
};

struct Step {
    Kind kind;
    int64_t source, dest, a, b, c;
    bool add;          // to what dest holds already
    bool add_gradient; // to what the derivative by source holds already
};

struct Product {
    int64_t dim_in, dim_out, first_term, n_terms;
    std::vector<Entry> by_output, by_input;
    std::vector<Term> terms;
    bool individual;
};

// What is the same for all edges. Making it throws ValueError with the name of the tensor, what was
// expected and what came.
template <typename T> struct Plan {
    explicit Plan(const Inputs &inputs);

    std::vector<Buffer> buffers;
    std::vector<Step> steps;
    std::vector<Product> products;
    int64_t width = 0; // of all buffers together
    int64_t channels = 0;
    std::vector<int32_t> order_of_harmonic, zeros;
    std::vector<T> norm;

  private:
    void read_buffers(const Inputs &inputs);
    void read_products(const Inputs &inputs);
    void read_steps(const Inputs &inputs);
};

} // namespace egraff::allegro
