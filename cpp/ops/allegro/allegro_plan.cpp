// SPDX-License-Identifier: GPL-2.0-or-later
#include "ops/allegro/allegro_plan.h"

#include "ops/edges/geometry.h"
#include "ops/edges/table_rows.h"
#include "ops/torch/expect.h"

#include <algorithm>
#include <limits>

namespace egraff::allegro {

using edges::TABLE_ROWS;
using simd::LANES;

namespace {

constexpr Expect expect("egraff::allegro_energy");

void expect_table(const at::Tensor &x, const char *name, int64_t columns, const char *expected) {
    expect(x.scalar_type() == at::kLong && x.dim() == 2 && x.size(1) == columns, name, expected, x);
}

const int64_t *row(const at::Tensor &table, int64_t k) {
    return table.const_data_ptr<int64_t>() + k * table.size(1);
}

// Throws, for row `k` of the table, if it is not good.
void expect_fit(bool good, const char *name, const at::Tensor &table, int64_t k) {
    TORCH_CHECK_VALUE(good, "egraff::allegro_energy: ", name, ": expected rows that fit the other ",
                      "arguments, got ", at::IntArrayRef(row(table, k), table.size(1)), " in row ",
                      k, "\n  fix: export the model again");
}

template <typename T> void check(const Inputs &in) {
    const at::Tensor &vec = in.edge_vec;
    const auto dtype = vec.scalar_type();
    expect(vec.dim() == 2 && vec.size(1) == 3, "edge_vec", "float32 or float64 [n_edges, 3]", vec);
    const int64_t n_edges = vec.size(0);
    expect(in.edge_index.scalar_type() == at::kLong &&
               in.edge_index.sizes() == at::IntArrayRef({2, n_edges}),
           "edge_index", "int64 [2, n_edges] as in edge_vec", in.edge_index);
    TORCH_CHECK_VALUE(n_edges < std::numeric_limits<int32_t>::max(),
                      "egraff::allegro_energy: edge_index: expected fewer than 2^31 edges, got ",
                      n_edges, "\n  fix: use more MPI ranks");
    expect(in.species.scalar_type() == at::kLong && in.species.dim() == 1, "species",
           "int64 [n_nodes]", in.species);
    TORCH_CHECK_VALUE(in.n_local >= 0 && in.n_local <= in.species.size(0),
                      "egraff::allegro_energy: n_local: expected 0 <= n_local <= ",
                      in.species.size(0), " (n_nodes), got ", in.n_local);
    expect(in.tables.scalar_type() == dtype && in.tables.dim() == 5 && in.tables.size(1) >= 2 &&
               in.tables.size(3) == TABLE_ROWS && in.tables.size(4) == LANES<T>,
           "tables",
           "[n_tables, n_knots, n_chunks, 4, 64 bytes of columns] of the type of edge_vec",
           in.tables);
    expect(in.pair_scale.scalar_type() == at::kDouble && in.pair_scale.dim() == 2 &&
               in.pair_scale.size(0) == in.pair_scale.size(1),
           "pair_scale", "float64 [n_species, n_species]", in.pair_scale);
    expect(in.pair_table.scalar_type() == at::kLong &&
               in.pair_table.sizes() == in.pair_scale.sizes(),
           "pair_table", "int64 [n_species, n_species] as in pair_scale", in.pair_table);
    for (int64_t k = 0; k < in.pair_table.numel(); ++k) {
        const int64_t table = in.pair_table.const_data_ptr<int64_t>()[k];
        TORCH_CHECK_VALUE(table >= 0 && table < in.tables.size(0),
                          "egraff::allegro_energy: pair_table: expected 0 <= table < ",
                          in.tables.size(0), ", got ", table);
    }
    TORCH_CHECK_VALUE(in.l_max >= 0 && in.l_max < 32,
                      "egraff::allegro_energy: l_max: expected 0 <= l_max < 32, got ", in.l_max);
    expect_table(in.buffers, "buffers", BUFFER_COLUMNS, "int64 [n_buffers, 2]");
    expect_table(in.steps, "steps", STEP_COLUMNS, "int64 [n_steps, 6]");
    expect(in.matrices.scalar_type() == dtype && in.matrices.dim() == 1, "matrices",
           "[n] of the type of edge_vec", in.matrices);
    expect_table(in.products, "products", PRODUCT_COLUMNS, "int64 [n_products, 7]");
    expect_table(in.entries, "entries", 2, "int64 [n_entries, 2]");
    expect_table(in.terms, "terms", 2, "int64 [n_terms, 2]");
    expect(in.term_weights.scalar_type() == dtype && in.term_weights.dim() == 2 &&
               in.term_weights.size(0) == in.terms.size(0) && in.term_weights.size(1) > 0 &&
               in.term_weights.size(1) % LANES<T> == 0,
           "term_weights",
           "[n_terms, channels] of the type of edge_vec, channels a multiple of 64 bytes",
           in.term_weights);
}

} // namespace

template <typename T> Plan<T>::Plan(const Inputs &in) {
    check<T>(in);
    channels = in.term_weights.size(1);
    for (int l = 0; l <= in.l_max; ++l) {
        order_of_harmonic.insert(order_of_harmonic.end(), 2 * l + 1, l);
    }
    zeros.assign(order_of_harmonic.size(), 0);
    norm = edges::harmonic_norms<T>(static_cast<int>(in.l_max));
    read_buffers(in);
    read_products(in);
    read_steps(in);
}

template <typename T> void Plan<T>::read_buffers(const Inputs &in) {
    for (int64_t k = 0; k < in.buffers.size(0); ++k) {
        const int64_t *r = row(in.buffers, k);
        expect_fit(
            r[WIDTH] > 0 && r[WIDTH] % LANES<T> == 0 && r[FIRST_CHUNK] >= -1 &&
                (r[FIRST_CHUNK] < 0 || r[FIRST_CHUNK] + r[WIDTH] / LANES<T> <= in.tables.size(2)),
            "buffers", in.buffers, k);
        buffers.push_back({r[WIDTH], width, r[FIRST_CHUNK]});
        width += r[WIDTH];
    }
}

template <typename T> void Plan<T>::read_products(const Inputs &in) {
    const int64_t n_harmonics = static_cast<int64_t>(order_of_harmonic.size());
    for (int64_t k = 0; k < in.products.size(0); ++k) {
        const int64_t *r = row(in.products, k);
        const int64_t n_entries = r[N_ENTRIES], n_terms = r[N_TERMS];
        expect_fit(r[DIM_IN] > 0 && r[DIM_OUT] > 0 && r[FIRST_ENTRY] >= 0 && n_entries >= 0 &&
                       r[FIRST_ENTRY] + n_entries <= in.entries.size(0) && r[FIRST_TERM] >= 0 &&
                       n_terms >= 0 && r[FIRST_TERM] + n_terms <= in.terms.size(0),
                   "products", in.products, k);
        Product product{r[DIM_IN], r[DIM_OUT], r[FIRST_TERM],     n_terms, {},
                        {},        {},         r[INDIVIDUAL] != 0};
        for (int64_t e = 0; e < n_entries; ++e) {
            const int64_t *entry = row(in.entries, r[FIRST_ENTRY] + e);
            expect_fit(entry[0] >= 0 && entry[0] < r[DIM_IN] && entry[1] < r[DIM_OUT] &&
                           entry[1] >= (e == 0 ? 0 : product.by_output.back().to),
                       "entries", in.entries, r[FIRST_ENTRY] + e);
            const auto in_out =
                std::pair(static_cast<int32_t>(entry[0]), static_cast<int32_t>(entry[1]));
            product.by_output.push_back({static_cast<int32_t>(e), in_out.first, in_out.second});
            product.by_input.push_back({static_cast<int32_t>(e), in_out.second, in_out.first});
        }
        std::stable_sort(product.by_input.begin(), product.by_input.end(),
                         [](const Entry &a, const Entry &b) { return a.to < b.to; });
        for (int64_t t = 0; t < n_terms; ++t) {
            const int64_t *term = row(in.terms, r[FIRST_TERM] + t);
            expect_fit(term[0] >= 0 && term[0] < n_entries && term[1] >= 0 && term[1] < n_harmonics,
                       "terms", in.terms, r[FIRST_TERM] + t);
            product.terms.push_back({static_cast<int32_t>(term[0]), static_cast<int32_t>(term[1])});
        }
        products.push_back(std::move(product));
    }
}

template <typename T> void Plan<T>::read_steps(const Inputs &in) {
    const int64_t n_buffers = static_cast<int64_t>(buffers.size());
    const int64_t n_harmonics = static_cast<int64_t>(order_of_harmonic.size());
    const int64_t n_groups = in.l_max + 1;
    std::vector<bool> written(n_buffers), read(n_buffers), closed(n_buffers);
    for (int64_t b = 0; b < n_buffers; ++b) {
        written[b] = buffers[b].first_chunk >= 0;
    }
    for (int64_t k = 0; k < in.steps.size(0); ++k) {
        const int64_t *r = row(in.steps, k);
        const auto is_buffer = [&](int64_t b) { return b >= 0 && b < n_buffers; };
        // All writing comes before all reading. Matrices and products may share what they read;
        // what a nonlinearity reads, and weights of harmonics, have one reader alone.
        const auto may_read = [&](int64_t b, bool alone) {
            const bool may = is_buffer(b) && written[b] && !closed[b] && !(alone && read[b]);
            if (may) {
                read[b] = true;
                closed[b] = alone;
            }
            return may;
        };
        expect_fit(r[KIND] >= 0 && r[KIND] < N_KINDS && is_buffer(r[DEST]) && !read[r[DEST]] &&
                       (r[KIND] == DENSE || !written[r[DEST]]) &&
                       may_read(r[SOURCE], r[KIND] == ACTIVATE || r[C] == 1) &&
                       r[SOURCE] != r[DEST],
                   "steps", in.steps, k);
        const int64_t from = buffers[r[SOURCE]].width, to = buffers[r[DEST]].width;
        bool good = true;
        if (r[KIND] == DENSE) {
            const auto fits = [&](int64_t start) {
                return start >= 0 && start + r[C] * to <= in.matrices.size(0);
            };
            // the transpose is as wide as a multiple of a vector
            good = r[C] > 0 && r[C] <= from && r[C] % LANES<T> == 0 && fits(r[A]) && fits(r[B]);
        } else if (r[KIND] == ACTIVATE) {
            good = r[A] >= 0 && r[A] < N_ZERO_AT_ZERO && from == to;
        } else {
            expect_fit(may_read(r[A], true) && r[A] != r[DEST] && r[B] >= 0 &&
                           r[B] < static_cast<int64_t>(products.size()),
                       "steps", in.steps, k);
            const Product &product = products[r[B]];
            good = buffers[r[A]].width == (product.individual ? n_groups : 1) * channels &&
                   to == product.dim_out * channels &&
                   (r[C] == 1 ? from == n_groups * channels && product.dim_in == n_harmonics
                              : from == product.dim_in * channels);
        }
        expect_fit(good, "steps", in.steps, k);
        steps.push_back({static_cast<Kind>(r[KIND]), r[SOURCE], r[DEST], r[A], r[B], r[C],
                         static_cast<bool>(written[r[DEST]]), false});
        written[r[DEST]] = true;
    }
    TORCH_CHECK_VALUE(n_buffers > 0 && written.back(),
                      "egraff::allegro_energy: steps: expected that the last buffer is written, "
                      "got none that does\n  fix: export the model again");
    // derivatives are made from the last step to the first, each of them before it is read
    std::vector<bool> differentiated(n_buffers);
    differentiated.back() = true;
    for (int64_t k = static_cast<int64_t>(steps.size()) - 1; k >= 0; --k) {
        Step &step = steps[k];
        expect_fit(differentiated[step.dest], "steps", in.steps, k);
        step.add_gradient = differentiated[step.source];
        differentiated[step.source] = true;
        if (step.kind == PRODUCT) {
            differentiated[step.a] = true;
        }
    }
    for (int64_t b = 0; b < n_buffers; ++b) {
        expect_fit(differentiated[b], "buffers", in.buffers, b);
    }
}

template struct Plan<float>;
template struct Plan<double>;

} // namespace egraff::allegro
