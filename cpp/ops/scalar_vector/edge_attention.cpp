// SPDX-License-Identifier: GPL-2.0-or-later
//
// egraff::scalar_vector_attention: from what atoms offer and ask for, edge vectors and a table of
// distance filters to the sums of all messages, without storing a message. For head h and its
// channels c, u the direction and s_h = sum over c of q_ic k_jc K_c(r):
//
//   x_ic = sum over edges (i, j) of  act(s_h) a_jc A_c(r)
//   v_ic = sum over edges (i, j) of  T_c(r) w_jc + p_jc P_c(r) u
//
// Every local atom also has an edge to itself, without direction, whose filters are the table's
// last row (Thoelke & De Fabritiis, arXiv:2202.02541, eqs. 6, 7, 11). It has first derivatives by
// query, source = (k, a, p, w), of which the first layer has no vectors w, and edge_vec; it serves
// inference.
#include "ops/scalar_vector/edge_attention_cpu.h"
#include "ops/torch/operator.h"

namespace egraff {
namespace {

using attention::Inputs;

#define EGRAFF_ATTENTION_ARGUMENTS                                                                 \
    const Tensor &query, const Tensor &source, const Tensor &edge_vec, const Tensor &edge_index,   \
        const Tensor &species, const Tensor &table, const Tensor &pair_scale, int64_t n_heads,     \
        c10::string_view activation, double grid_start, double grid_stretch
#define EGRAFF_ATTENTION_VALUES                                                                    \
    query, source, edge_vec, edge_index, species, table, pair_scale, n_heads, activation,          \
        grid_start, grid_stretch

using Pair = std::tuple<Tensor, Tensor>;
using Three = std::tuple<Tensor, Tensor, Tensor>;

Inputs checked(EGRAFF_ATTENTION_ARGUMENTS) {
    Inputs in{query.contiguous(),
              source.contiguous(),
              edge_vec.contiguous(),
              edge_index.contiguous(),
              species.contiguous(),
              table.contiguous(),
              pair_scale.contiguous(),
              n_heads,
              attention::activation(std::string(activation)),
              grid_start,
              grid_stretch};
    attention::check(in);
    return in;
}

#define EGRAFF_ATTENTION_SCHEMA                                                                    \
    "Tensor query, Tensor source, Tensor edge_vec, Tensor edge_index, "                            \
    "Tensor species, Tensor table, Tensor pair_scale, int n_heads, str activation, "               \
    "float grid_start, float grid_stretch"

struct AttentionBackward {
    static constexpr const char *SCHEMA =
        "scalar_vector_attention_backward("
        "Tensor by_scalar, Tensor by_vector, " EGRAFF_ATTENTION_SCHEMA
        ", bool wants_centre, bool wants_neighbour) -> (Tensor, Tensor, Tensor)";

    static Three cpu(const Tensor &by_scalar, const Tensor &by_vector, EGRAFF_ATTENTION_ARGUMENTS,
                     bool wants_centre, bool wants_neighbour) {
        const Inputs in = checked(EGRAFF_ATTENTION_VALUES);
        const std::array<int64_t, 3> shape{in.n_local(), 3, in.width()};
        TORCH_CHECK_VALUE(
            by_scalar.scalar_type() == query.scalar_type() &&
                by_vector.scalar_type() == query.scalar_type() &&
                by_scalar.sizes() == query.sizes() && by_vector.sizes() == at::IntArrayRef(shape),
            attention::OPERATOR, "_backward: gradients: expected ", query.scalar_type(), " ",
            query.sizes(), " and ", at::IntArrayRef(shape), ", got ", by_scalar.scalar_type(), " ",
            by_scalar.sizes(), " and ", by_vector.scalar_type(), " ", by_vector.sizes());
        const attention::Gradients g = attention::backward_cpu(
            by_scalar.contiguous(), by_vector.contiguous(), in, wants_centre, wants_neighbour);
        const auto made = [&](const Tensor &x) { return x.defined() ? x : query.new_empty({0}); };
        return {made(g.query), made(g.source), made(g.edge_vec)};
    }

    static Three meta(const Tensor &by_scalar, const Tensor &by_vector, EGRAFF_ATTENTION_ARGUMENTS,
                      bool wants_centre, bool wants_neighbour) {
        const auto made = [](const Tensor &x, bool wanted) {
            return wanted ? shape_of(x) : x.new_empty({0});
        };
        return {made(query, wants_centre), made(source, wants_neighbour),
                made(edge_vec, wants_centre)};
    }

    static std::string no_derivative() { return no_second_derivative(attention::OPERATOR); }
};

struct Attention {
    static constexpr const char *SCHEMA =
        "scalar_vector_attention(" EGRAFF_ATTENTION_SCHEMA ") -> (Tensor, Tensor)";

    static Pair cpu(EGRAFF_ATTENTION_ARGUMENTS) {
        return attention::forward_cpu(checked(EGRAFF_ATTENTION_VALUES));
    }

    static Pair meta(EGRAFF_ATTENTION_ARGUMENTS) {
        return {shape_of(query), query.new_empty_symint({query.sym_size(0), 3, query.sym_size(1)})};
    }

    static variable_list derivative(AutogradContext *ctx, const variable_list &gradients,
                                    EGRAFF_ATTENTION_ARGUMENTS) {
        const auto wants = [&](int64_t k) { return ctx->needs_input_grad(k); };
        auto [d_query, d_source, d_vec] = call<AttentionBackward>(
            gradients[0], gradients[1], EGRAFF_ATTENTION_VALUES, wants(0) || wants(2), wants(1));
        return {wants(0) ? d_query : Tensor(), wants(1) ? d_source : Tensor(),
                wants(2) ? d_vec : Tensor()};
    }
};

} // namespace

TORCH_LIBRARY_FRAGMENT(egraff, library) {
    define<Attention>(library);
    define<AttentionBackward>(library);
}

} // namespace egraff
