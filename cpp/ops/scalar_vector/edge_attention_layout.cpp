// SPDX-License-Identifier: GPL-2.0-or-later
#include "ops/scalar_vector/edge_attention_layout.h"

#include "ops/torch/expect.h"

#include <algorithm>
#include <limits>

namespace egraff::attention {

constexpr Expect expect(OPERATOR);

Activation activation(const std::string &name) {
    const std::pair<const char *, Activation> known[] = {
        {"silu", Activation::SILU}, {"swish", Activation::SILU}, {"sigmoid", Activation::SIGMOID},
        {"tanh", Activation::TANH}, {"mish", Activation::MISH},  {"ssp", Activation::SSP},
        {"gelu", Activation::GELU}};
    for (const auto &[word, kind] : known) {
        if (name == word) {
            return kind;
        }
    }
    TORCH_CHECK_VALUE(false, OPERATOR,
                      ": activation: expected silu, swish, sigmoid, tanh, mish, ssp or gelu, got ",
                      name, "\n  fix: export the model with --no-fuse");
}

void check(const Inputs &in) {
    activation(in.activation);
    const auto dtype = in.query.scalar_type();
    expect((dtype == at::kFloat || dtype == at::kDouble) && in.query.dim() == 2, "query",
           "float32 or float64 [n_local, width]", in.query);
    const int64_t width = in.width(), lanes = dtype == at::kFloat ? LANES<float> : LANES<double>;
    TORCH_CHECK_VALUE(in.n_heads > 0 && width > 0 && width % in.n_heads == 0, OPERATOR,
                      ": n_heads: expected a divisor of the width ", width, ", got ", in.n_heads);
    const HeadLayout layout(in.n_heads, width, lanes);
    expect(in.table.scalar_type() == dtype && in.table.dim() == 5 &&
               in.table.size(0) == layout.n_chunks && in.table.size(1) >= 4 &&
               in.table.size(2) == edges::TABLE_ROWS && in.table.size(3) == FUNCTIONS &&
               in.table.size(4) == lanes,
           "table", "[n_chunks, n_knots + 2, 4, 4, 64 bytes of channels] of the type of query",
           in.table);
    const int64_t row = in.row_width();
    TORCH_CHECK_VALUE(in.source.scalar_type() == dtype && in.source.dim() == 2 &&
                          (in.source.size(1) == SOURCE_ROWS * row ||
                           in.source.size(1) == SOURCE_ROWS_NO_VECTORS * row) &&
                          in.source.size(0) >= in.n_local(),
                      OPERATOR, ": source: expected ", dtype, " [n_nodes >= ", in.n_local(), ", ",
                      SOURCE_ROWS * row, " or ", SOURCE_ROWS_NO_VECTORS * row,
                      "], rows of heads in whole cache lines, got ", in.source.scalar_type(), " ",
                      in.source.sizes());
    expect(in.edge_vec.scalar_type() == dtype && in.edge_vec.dim() == 2 && in.edge_vec.size(1) == 3,
           "edge_vec", "[n_edges, 3] of the type of query", in.edge_vec);
    const int64_t n_edges = in.edge_vec.size(0);
    expect(in.edge_index.scalar_type() == at::kLong && in.edge_index.dim() == 2 &&
               in.edge_index.size(0) == 2 && in.edge_index.size(1) == n_edges,
           "edge_index", "int64 [2, n_edges] as in edge_vec", in.edge_index);
    TORCH_CHECK_VALUE(n_edges + in.n_nodes() < std::numeric_limits<int32_t>::max(), OPERATOR,
                      ": edge_index: expected fewer than 2^31 edges, got ", n_edges,
                      "\n  fix: use more MPI ranks");
    expect(in.species.scalar_type() == at::kLong && in.species.dim() == 1 &&
               in.species.size(0) == in.n_nodes(),
           "species", "int64 [n_nodes] as in source", in.species);
    expect(in.pair_scale.scalar_type() == at::kDouble && in.pair_scale.dim() == 2 &&
               in.pair_scale.size(0) == in.pair_scale.size(1),
           "pair_scale", "float64 [n_species, n_species]", in.pair_scale);
}

HeadLayout::HeadLayout(int64_t n_heads, int64_t width, int64_t lanes) {
    const int64_t channels = width / n_heads;
    if (channels > lanes) {
        head_lanes = (channels + lanes - 1) / lanes * lanes;
    } else {
        head_lanes = 1;
        while (head_lanes < channels) {
            head_lanes *= 2;
        }
    }
    n_chunks = (n_heads * head_lanes + lanes - 1) / lanes;
    padded = n_chunks * lanes != width;
    for (int64_t head = 0; head < n_heads; ++head) {
        for (int64_t c = 0; c < channels;) {
            const int64_t at = head * head_lanes + c;
            const int64_t count = std::min(channels - c, lanes - at % lanes);
            pieces.push_back({head * channels + c, at / lanes, at % lanes, count});
            c += count;
        }
    }
}

template <typename T>
void pack(const HeadLayout &layout, const T *outside, T *packed, int64_t n_rows) {
    for (const HeadLayout::Piece &p : layout.pieces) {
        std::copy_n(outside + p.channel, p.count, packed + p.chunk * n_rows * LANES<T> + p.lane);
    }
}

template <typename T>
void unpack(const HeadLayout &layout, const T *packed, T *outside, int64_t n_rows) {
    for (const HeadLayout::Piece &p : layout.pieces) {
        std::copy_n(packed + p.chunk * n_rows * LANES<T> + p.lane, p.count, outside + p.channel);
    }
}

template void pack(const HeadLayout &, const float *, float *, int64_t);
template void pack(const HeadLayout &, const double *, double *, int64_t);
template void unpack(const HeadLayout &, const float *, float *, int64_t);
template void unpack(const HeadLayout &, const double *, double *, int64_t);

} // namespace egraff::attention
