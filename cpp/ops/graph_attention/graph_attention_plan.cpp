// SPDX-License-Identifier: GPL-2.0-or-later
#include "ops/graph_attention/graph_attention_plan.h"

#include "ops/edges/geometry.h"
#include "ops/edges/table_rows.h"
#include "ops/torch/expect.h"

#include <algorithm>
#include <limits>

namespace egraff::graph {

using simd::LANES;

namespace {

const char *name_of(Constant which) {
    constexpr const char *names[N_CONSTANTS] = {
        "tables",       "pair_scale",  "pair_table",  "blocks",    "inner_groups",
        "outer_groups", "inner_paths", "outer_paths", "couplings", "terms",
        "term_values",  "matrices",    "bias",        "direction", "value_bias"};
    return names[which];
}

constexpr Expect expect(OPERATOR);

const int64_t *row_of(const at::Tensor &table, int64_t row) {
    return table.const_data_ptr<int64_t>() + row * table.size(1);
}

void expect_rows(bool good, const Inputs &in, Constant which, int64_t row) {
    const at::Tensor &table = in.constant(which);
    TORCH_CHECK_VALUE(good, OPERATOR, ": ", name_of(which),
                      ": expected rows that fit the other arguments, got ",
                      at::IntArrayRef(row_of(table, row), table.size(1)), " in row ", row,
                      "\n  fix: export the model again");
}

void expect_table(const Inputs &in, Constant which, int64_t columns, const char *expected) {
    const at::Tensor &t = in.constant(which);
    expect(t.scalar_type() == at::kLong && t.dim() == 2 && t.size(1) == columns, name_of(which),
           expected, t);
}

void check_atoms_and_edges(const Inputs &in) {
    const auto dtype = in.edge_vec.scalar_type();
    expect((dtype == at::kFloat || dtype == at::kDouble) && in.edge_vec.dim() == 2 &&
               in.edge_vec.size(1) == 3,
           "edge_vec", "float32 or float64 [n_edges, 3]", in.edge_vec);
    const int64_t n_edges = in.edge_vec.size(0);
    expect(in.edge_index.scalar_type() == at::kLong && in.edge_index.dim() == 2 &&
               in.edge_index.size(0) == 2 && in.edge_index.size(1) == n_edges,
           "edge_index", "int64 [2, n_edges] as in edge_vec", in.edge_index);
    TORCH_CHECK_VALUE(n_edges < std::numeric_limits<int32_t>::max(), OPERATOR,
                      ": edge_index: expected fewer than 2^31 edges, got ", n_edges,
                      "\n  fix: use more MPI ranks");
    expect(in.source.scalar_type() == dtype && in.source.dim() == 2, "source",
           "[n_nodes, width] of the type of edge_vec", in.source);
    expect(in.target.scalar_type() == dtype && in.target.dim() == 2 &&
               in.target.size(1) == in.source.size(1) && in.target.size(0) <= in.source.size(0),
           "target", "[n_local, width] with no more rows than source, and of its type and width",
           in.target);
    expect(in.species.scalar_type() == at::kLong && in.species.dim() == 1 &&
               in.species.size(0) == in.n_nodes(),
           "species", "int64 [n_nodes] as in source", in.species);
}

void check_tables(const Inputs &in, int64_t lanes) {
    const auto dtype = in.edge_vec.scalar_type();
    TORCH_CHECK_VALUE(in.constants.size() == N_CONSTANTS, OPERATOR, ": constants: expected ",
                      static_cast<int>(N_CONSTANTS), " tensors, got ", in.constants.size(),
                      "\n  fix: export the model again");
    const at::Tensor &tables = in.constant(TABLES), &scale = in.constant(PAIR_SCALE);
    const at::Tensor &pairs = in.constant(PAIR_TABLE);
    expect(tables.scalar_type() == dtype && tables.dim() == 5 && tables.size(1) >= 2 &&
               tables.size(3) == edges::TABLE_ROWS && tables.size(4) == lanes,
           "tables",
           "[n_tables, n_knots, n_chunks, 4, 64 bytes of columns] of the type of edge_vec", tables);
    TORCH_CHECK_VALUE(in.n_functions > 0 && in.n_functions < tables.size(2) * lanes, OPERATOR,
                      ": n_functions: expected 1 or more, and with the envelope no more than the ",
                      tables.size(2) * lanes, " columns of the tables, got ", in.n_functions);
    expect(scale.scalar_type() == at::kDouble && scale.dim() == 2 && scale.size(0) == scale.size(1),
           "pair_scale", "float64 [n_species, n_species]", scale);
    expect(pairs.scalar_type() == at::kLong && pairs.sizes() == scale.sizes(), "pair_table",
           "int64 [n_species, n_species] as in pair_scale", pairs);
    for (int64_t k = 0; k < pairs.numel(); ++k) {
        const int64_t table = pairs.const_data_ptr<int64_t>()[k];
        TORCH_CHECK_VALUE(table >= 0 && table < tables.size(0), OPERATOR,
                          ": pair_table: expected 0 <= table < ", tables.size(0), ", got ", table);
    }
    expect_table(in, BLOCKS, BLOCK_COLUMNS, "int64 [n_blocks, 2]");
    expect_table(in, INNER_GROUPS, INNER_COLUMNS, "int64 [n_groups, 7]");
    expect_table(in, OUTER_GROUPS, OUTER_COLUMNS, "int64 [n_groups, 5]");
    expect_table(in, INNER_PATHS, PATH_COLUMNS, "int64 [n_paths, 4]");
    expect_table(in, OUTER_PATHS, PATH_COLUMNS, "int64 [n_paths, 4]");
    expect_table(in, COUPLINGS, COUPLING_COLUMNS, "int64 [n_couplings, 4]");
    expect_table(in, TERMS, 2, "int64 [n_terms, 2]");
    expect(in.constant(TERM_VALUES).scalar_type() == at::kDouble &&
               in.constant(TERM_VALUES).dim() == 1 &&
               in.constant(TERM_VALUES).size(0) == in.constant(TERMS).size(0),
           "term_values", "float64 [n_terms] as in terms", in.constant(TERM_VALUES));
    for (const Constant which : {MATRICES, BIAS, DIRECTION, VALUE_BIAS}) {
        expect(in.constant(which).scalar_type() == dtype && in.constant(which).dim() == 1,
               name_of(which), "[n] of the type of edge_vec", in.constant(which));
    }
}

} // namespace

void check(const Inputs &in) {
    check_atoms_and_edges(in);
    check_tables(in, in.edge_vec.scalar_type() == at::kFloat ? LANES<float> : LANES<double>);
}

template <typename T> Plan<T>::Plan(const Inputs &in) {
    radial_width = in.constant(TABLES).size(2) * LANES<T>;
    read_blocks(in);
    read_couplings(in);
    read_groups(in);
    inner_paths = read_paths(in, INNER_PATHS);
    outer_paths = read_paths(in, OUTER_PATHS);
    norm = edges::harmonic_norms<T>(l_max);
    TORCH_CHECK_VALUE(width_out == in.width_out, OPERATOR, ": width_out: expected ", width_out,
                      " as outer_groups say, got ", in.width_out);
}

template <typename T> void Plan<T>::read_blocks(const Inputs &in) {
    const at::Tensor &rows = in.constant(BLOCKS);
    for (int64_t k = 0; k < rows.size(0); ++k) {
        const int64_t *row = row_of(rows, k);
        const Block block{row[BLOCK_DIM], row[BLOCK_CHANNELS], width};
        expect_rows(block.dim > 0 && block.dim <= 2 * MAX_L + 1 && block.dim % 2 == 1 &&
                        block.channels > 0 && block.channels % LANES<T> == 0 &&
                        (k > 0 || block.dim == 1),
                    in, BLOCKS, k);
        width += block.dim * block.channels;
        blocks.push_back(block);
    }
    TORCH_CHECK_VALUE(!blocks.empty() && width == in.source.size(1), OPERATOR,
                      ": source: expected the width ", width, " of the blocks, got ",
                      in.source.size(1));
}

template <typename T> void Plan<T>::read_couplings(const Inputs &in) {
    const at::Tensor &rows = in.constant(COUPLINGS), &terms = in.constant(TERMS);
    const double *values = in.constant(TERM_VALUES).template const_data_ptr<double>();
    for (int64_t k = 0; k < rows.size(0); ++k) {
        const int64_t *row = row_of(rows, k);
        const int64_t first = row[FIRST_TERM], n = row[N_TERMS];
        bool good = row[L_IN] >= 0 && row[L_IN] <= MAX_L && row[L_OUT] >= 0 &&
                    row[L_OUT] <= MAX_L && first >= 0 && n >= 0 && first + n <= terms.size(0);
        expect_rows(good, in, COUPLINGS, k);
        Coupling<T> coupling{row[L_IN], row[L_OUT], n_entries, {}};
        const int64_t size = (2 * row[L_IN] + 1) * (2 * row[L_OUT] + 1);
        for (int64_t t = first; t < first + n; ++t) {
            const int64_t entry = row_of(terms, t)[0], harmonic = row_of(terms, t)[1];
            expect_rows(entry >= 0 && entry < size && harmonic >= 0 && harmonic < ORDERS * ORDERS,
                        in, TERMS, t);
            coupling.terms.push_back({static_cast<int32_t>(entry), static_cast<int32_t>(harmonic),
                                      static_cast<T>(values[t])});
            while ((l_max + 1) * (l_max + 1) <= harmonic) {
                ++l_max;
            }
        }
        n_entries += size;
        couplings.push_back(std::move(coupling));
    }
}

template <typename T> void Plan<T>::read_groups(const Inputs &in) {
    const int64_t n_matrices = in.constant(MATRICES).size(0);
    const int64_t n_scalars = in.constant(BIAS).size(0), lanes = LANES<T>;
    const auto inside = [&](int64_t first, int64_t n_in, int64_t n_out) {
        return first >= 0 && first + n_in * n_out <= n_matrices;
    };
    const at::Tensor &rows = in.constant(INNER_GROUPS);
    for (int64_t k = 0; k < rows.size(0); ++k) {
        const int64_t *row = row_of(rows, k);
        InnerGroup g{row[INNER_DIM],    row[INNER_WIDTH],    row[INNER_BLOCK],  0,
                     row[INNER_RADIAL], row[INNER_RADIAL_T], row[INNER_MATRIX], row[INNER_MATRIX_T],
                     n_weights};
        const bool known = g.block >= 0 && g.block < static_cast<int64_t>(blocks.size()) &&
                           (g.block == 0) == (k == 0) && g.dim == blocks[g.block].dim;
        expect_rows(known && g.width > 0 && g.width % lanes == 0, in, INNER_GROUPS, k);
        g.n_out = k == 0 ? n_scalars : blocks[g.block].channels;
        expect_rows(inside(g.radial, in.n_functions, g.width) &&
                        inside(g.radial_t, g.width, radial_width) &&
                        inside(g.matrix, g.width, g.n_out) && inside(g.matrix_t, g.n_out, g.width),
                    in, INNER_GROUPS, k);
        for (const InnerGroup &before : inner) {
            expect_rows(before.block != g.block, in, INNER_GROUPS, k);
        }
        n_weights += g.width;
        inner.push_back(g);
    }
    const int64_t n_direction = in.constant(DIRECTION).size(0), heads = in.n_heads;
    TORCH_CHECK_VALUE(heads > 0 && n_direction % (heads * lanes) == 0, OPERATOR,
                      ": n_heads: expected heads with a multiple of ", lanes, " scores each, got ",
                      heads, " heads and ", n_direction, " scores");
    n_scores = n_direction / heads;
    int64_t expected = n_direction + blocks[0].channels;
    for (size_t k = 1; k < blocks.size(); ++k) {
        expected += blocks[k].channels;
    }
    TORCH_CHECK_VALUE(n_scalars == expected && !inner.empty(), OPERATOR, ": bias: expected ",
                      expected, " scores, scalars and gates, got ", n_scalars);
    const at::Tensor &outer_rows = in.constant(OUTER_GROUPS);
    for (int64_t k = 0; k < outer_rows.size(0); ++k) {
        const int64_t *row = row_of(outer_rows, k);
        const OuterGroup g{row[OUTER_DIM],
                           row[OUTER_WIDTH],
                           row[OUTER_CHANNELS],
                           row[OUTER_MATRIX],
                           row[OUTER_MATRIX_T],
                           width_out,
                           n_sums};
        expect_rows(g.dim > 0 && g.dim <= 2 * MAX_L + 1 && g.width > 0 && g.width % lanes == 0 &&
                        g.channels > 0 && g.channels % lanes == 0 && (k > 0 || g.dim == 1) &&
                        inside(g.matrix, heads * g.width, g.channels) &&
                        inside(g.matrix_t, heads * g.width, g.channels),
                    in, OUTER_GROUPS, k);
        width_out += heads * g.dim * g.channels;
        n_sums += g.dim * g.width;
        outer.push_back(g);
    }
    TORCH_CHECK_VALUE(
        !outer.empty() && in.constant(VALUE_BIAS).size(0) == heads * outer[0].channels, OPERATOR,
        ": value_bias: expected one number for each even scalar of each "
        "head, got ",
        in.constant(VALUE_BIAS).size(0));
}

template <typename T>
std::vector<Path> Plan<T>::read_paths(const Inputs &in, Constant which) const {
    const at::Tensor &rows = in.constant(which);
    const bool is_inner = which == INNER_PATHS;
    const int64_t n_groups = static_cast<int64_t>(is_inner ? inner.size() : outer.size());
    std::vector<Path> paths;
    std::vector<int64_t> filled(n_groups, 0);
    for (int64_t k = 0; k < rows.size(0); ++k) {
        const int64_t *row = row_of(rows, k);
        const Path p{row[PATH_COUPLING], row[PATH_BLOCK], row[PATH_GROUP], row[PATH_FIRST]};
        expect_rows(p.coupling >= 0 && p.coupling < static_cast<int64_t>(couplings.size()) &&
                        p.block >= 0 && p.block < static_cast<int64_t>(blocks.size()) &&
                        p.group >= 0 && p.group < n_groups,
                    in, which, k);
        const int64_t dim = is_inner ? inner[p.group].dim : outer[p.group].dim;
        const Coupling<T> &coupling = couplings[p.coupling];
        // paths of a group follow each other, so that all of its columns are written
        expect_rows(blocks[p.block].dim == 2 * coupling.l_in + 1 && dim == 2 * coupling.l_out + 1 &&
                        p.first == filled[p.group],
                    in, which, k);
        filled[p.group] += blocks[p.block].channels;
        paths.push_back(p);
    }
    for (int64_t g = 0; g < n_groups; ++g) {
        const int64_t group_width = is_inner ? inner[g].width : outer[g].width;
        TORCH_CHECK_VALUE(filled[g] == group_width, OPERATOR, ": ", name_of(which),
                          ": expected paths that fill the ", group_width, " channels of group ", g,
                          ", got ", filled[g], "\n  fix: export the model again");
    }
    return paths;
}

template struct Plan<float>;
template struct Plan<double>;

} // namespace egraff::graph
