// SPDX-License-Identifier: GPL-2.0-or-later
#include "ops/convolution/edge_convolution_plan.h"

#include "ops/torch/expect.h"

#include <algorithm>
#include <limits>

namespace egraff::convolution {

using edges::TABLE_ROWS;

namespace {

constexpr Expect expect("egraff::edge_convolution");

void expect_long(const at::Tensor &x, const char *name, at::IntArrayRef shape,
                 const char *expected) {
    expect(x.scalar_type() == at::kLong && x.sizes() == shape, name, expected, x);
}

} // namespace

void check(const Inputs &in) {
    const at::Tensor &x = in.x;
    const auto dtype = x.scalar_type();
    expect((dtype == at::kFloat || dtype == at::kDouble) && x.dim() == 2, "x",
           "float32 or float64 [n_nodes, width]", x);
    const int64_t n_nodes = x.size(0), lanes = dtype == at::kFloat ? LANES<float> : LANES<double>;
    expect(in.edge_vec.scalar_type() == dtype && in.edge_vec.dim() == 2 && in.edge_vec.size(1) == 3,
           "edge_vec", "[n_edges, 3] of the type of x", in.edge_vec);
    const int64_t n_edges = in.edge_vec.size(0);
    expect_long(in.edge_index, "edge_index", {2, n_edges}, "int64 [2, n_edges] as in edge_vec");
    expect_long(in.species, "species", {n_nodes}, "int64 [n_nodes] as in x");
    TORCH_CHECK_VALUE(in.n_local >= 0 && in.n_local <= n_nodes,
                      "egraff::edge_convolution: n_local: expected 0 <= n_local <= ", n_nodes,
                      " (the rows of x), got ", in.n_local);
    TORCH_CHECK_VALUE(n_edges < std::numeric_limits<int32_t>::max(),
                      "egraff::edge_convolution: edge_index: expected fewer than 2^31 edges, got ",
                      n_edges, "\n  fix: use more MPI ranks");
    expect(in.tables.scalar_type() == dtype && in.tables.dim() == 5 && in.tables.size(2) >= 2 &&
               in.tables.size(3) == TABLE_ROWS && in.tables.size(4) == lanes,
           "tables", "[n_tables, n_chunks, n_knots, 4, 64 bytes of channels] of the type of x",
           in.tables);
    TORCH_CHECK_VALUE(
        in.grid_kink >= 0 && in.grid_kink < std::max<int64_t>(1, in.tables.size(2) - 2),
        "egraff::edge_convolution: grid_kink: expected an interval of the tables, "
        "which have ",
        in.tables.size(2), " knots, or 0, got ", in.grid_kink, "\n  fix: export the model again");
    expect(in.pair_scale.scalar_type() == at::kDouble && in.pair_scale.dim() == 2 &&
               in.pair_scale.size(0) == in.pair_scale.size(1),
           "pair_scale", "float64 [n_species, n_species]", in.pair_scale);
    expect_long(in.pair_table, "pair_table", in.pair_scale.sizes(),
                "int64 [n_species, n_species] as in pair_scale");
    const at::Tensor pair_table = in.pair_table.contiguous();
    for (int64_t k = 0; k < pair_table.numel(); ++k) {
        const int64_t table = pair_table.const_data_ptr<int64_t>()[k];
        TORCH_CHECK_VALUE(table >= 0 && table < in.tables.size(0),
                          "egraff::edge_convolution: pair_table: expected 0 <= table < ",
                          in.tables.size(0), ", got ", table);
    }
    expect(in.paths.scalar_type() == at::kLong && in.paths.dim() == 2 &&
               in.paths.size(1) == PATH_COLUMNS,
           "paths", "int64 [n_paths, 8]", in.paths);
    expect(in.coupling_value.scalar_type() == at::kDouble && in.coupling_value.dim() == 1,
           "coupling_value", "float64 [n_couplings]", in.coupling_value);
    expect_long(in.coupling_index, "coupling_index", {in.coupling_value.size(0), 3},
                "int64 [n_couplings, 3] as in coupling_value");
    const auto paths = in.paths.contiguous();
    const auto coupling = in.coupling_index.contiguous();
    const int64_t *c = coupling.const_data_ptr<int64_t>();
    int64_t n_chunks = 0;
    for (int64_t p = 0; p < paths.size(0); ++p) {
        const int64_t *path = paths.const_data_ptr<int64_t>() + p * PATH_COLUMNS;
        const auto order = [&](int column) { return path[column] >= 0 && path[column] <= MAX_L; };
        TORCH_CHECK_VALUE(order(L_IN) && order(L_HARMONICS) && order(L_OUT),
                          "egraff::edge_convolution: paths: expected orders from 0 to ", MAX_L,
                          ", got ", path[L_IN], " x ", path[L_HARMONICS], " -> ", path[L_OUT],
                          "\n  fix: export the model with --no-fuse");
        const auto fits = [&](int start, int l, int64_t width) {
            return path[start] >= 0 && path[CHANNELS] > 0 &&
                   path[start] + path[CHANNELS] * (2 * path[l] + 1) <= width;
        };
        const int64_t first = path[FIRST_COUPLING], n = path[N_COUPLINGS];
        bool good = fits(X_START, L_IN, x.size(1)) && fits(OUT_START, L_OUT, in.width_out) &&
                    first >= 0 && n >= 0 && first + n <= coupling.size(0);
        for (int64_t k = first; good && k < first + n; ++k) {
            for (int leg = 0; leg < 3; ++leg) {
                good = good && c[3 * k + leg] >= 0 && c[3 * k + leg] <= 2 * path[L_IN + leg];
            }
        }
        TORCH_CHECK_VALUE(!in.channels_last || path[CHANNELS] % lanes == 0,
                          "egraff::edge_convolution: channels_last: expected a multiple of ", lanes,
                          " channels in each path, got ", path[CHANNELS]);
        TORCH_CHECK_VALUE(good,
                          "egraff::edge_convolution: paths: expected paths that fit x, the output "
                          "and the couplings, got ",
                          at::IntArrayRef(path, PATH_COLUMNS), " in row ", p,
                          "\n  fix: export the model again");
        n_chunks += (path[CHANNELS] + lanes - 1) / lanes;
    }
    TORCH_CHECK_VALUE(n_chunks == in.tables.size(1),
                      "egraff::edge_convolution: paths: expected as many chunks as in tables (",
                      in.tables.size(1), "), got ", n_chunks, "\n  fix: export the model again");
    TORCH_CHECK_VALUE(!in.is_mapped() || (in.after.size() == AFTER_TENSORS && in.channels_last),
                      "egraff::edge_convolution: after: expected nothing, or with channels_last ",
                      AFTER_TENSORS, " tensors, got ", in.after.size(),
                      "\n  fix: export the model again");
    for (size_t k = 0; in.is_mapped() && k < in.after.size(); k += 2) {
        expect(in.after[k].scalar_type() == dtype && in.after[k].dim() == 2 &&
                   in.after[k].size(0) == 1,
               "after", "weights [1, n_weights] of the type of x", in.after[k]);
    }
}

int64_t Layout::add(int64_t outside, int64_t channels, int64_t components, int64_t lanes) {
    for (size_t k = 0; k < blocks.size(); ++k) {
        if (blocks[k].outside == outside) {
            return static_cast<int64_t>(k);
        }
    }
    const int64_t padded = (channels + lanes - 1) / lanes * lanes;
    if (channels_last) {
        blocks.push_back({outside, outside, channels, padded, components});
    } else {
        blocks.push_back({outside, width, channels, padded, components});
        width += padded * components;
    }
    return static_cast<int64_t>(blocks.size()) - 1;
}

template <typename T> Plan<T>::Plan(const Inputs &inputs) {
    const auto table = inputs.paths.contiguous();
    const auto coupling_index = inputs.coupling_index.contiguous();
    const auto coupling_value = inputs.coupling_value.contiguous();
    if (inputs.channels_last) {
        in.channels_last = out.channels_last = true;
        in.width = inputs.x.size(1);
        out.width = inputs.width_out;
    }
    int64_t chunk = 0;
    for (int64_t p = 0; p < table.size(0); ++p) {
        const int64_t *path = table.const_data_ptr<int64_t>() + p * PATH_COLUMNS;
        const int64_t channels = path[CHANNELS];
        const auto d_in = 2 * path[L_IN] + 1, d_harmonics = 2 * path[L_HARMONICS] + 1;
        const auto d_out = 2 * path[L_OUT] + 1;
        const Block source = in.blocks[in.add(path[X_START], channels, d_in, LANES<T>)];
        const Block dest = out.blocks[out.add(path[OUT_START], channels, d_out, LANES<T>)];
        const int64_t n_chunks = source.padded / LANES<T>;
        const int l_in = static_cast<int>(path[L_IN]);
        const int l_harmonics = static_cast<int>(path[L_HARMONICS]);
        Path<T> added{l_in, l_harmonics, source, dest, chunk, n_chunks, {}};
        for (int64_t k = path[FIRST_COUPLING]; k < path[FIRST_COUPLING] + path[N_COUPLINGS]; ++k) {
            const int64_t *m = coupling_index.const_data_ptr<int64_t>() + 3 * k;
            added.coupling.push_back({static_cast<int32_t>(m[0] * d_harmonics + m[1]),
                                      static_cast<int32_t>(m[2]),
                                      static_cast<T>(coupling_value.const_data_ptr<double>()[k])});
        }
        paths.push_back(std::move(added));
        chunk += n_chunks;
        l_max = std::max(l_max, l_harmonics);
    }
    norm = edges::harmonic_norms<T>(l_max);
}

template struct Plan<float>;
template struct Plan<double>;

template <typename T> void to_inside(const Layout &layout, const T *outside, T *inside) {
    for (const Block &b : layout.blocks) {
        for (int64_t m = 0; m < b.components; ++m) {
            const T *from = outside + b.outside + m;
            T *to = inside + b.inside + m * b.padded;
            for (int64_t c = 0; c < b.channels; ++c) {
                to[c] = from[c * b.components];
            }
            std::fill(to + b.channels, to + b.padded, T(0));
        }
    }
}

template <typename T> void to_outside(const Layout &layout, const T *inside, T *outside) {
    for (const Block &b : layout.blocks) {
        for (int64_t m = 0; m < b.components; ++m) {
            const T *from = inside + b.inside + m * b.padded;
            T *to = outside + b.outside + m;
            for (int64_t c = 0; c < b.channels; ++c) {
                to[c * b.components] = from[c];
            }
        }
    }
}

template void to_inside(const Layout &, const float *, float *);
template void to_inside(const Layout &, const double *, double *);
template void to_outside(const Layout &, const float *, float *);
template void to_outside(const Layout &, const double *, double *);

} // namespace egraff::convolution
