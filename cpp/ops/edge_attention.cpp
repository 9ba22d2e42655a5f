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
#include "ops/edge_attention_cpu.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace egraff {
namespace {

using at::Tensor;
using attention::Inputs;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

#define EGRAFF_ATTENTION_ARGUMENTS                                                                 \
    const Tensor &query, const Tensor &source, const Tensor &edge_vec, const Tensor &edge_index,   \
        const Tensor &species, const Tensor &table, const Tensor &pair_scale, int64_t n_heads,     \
        c10::string_view activation, double grid_start, double grid_stretch
#define EGRAFF_ATTENTION_VALUES                                                                    \
    query, source, edge_vec, edge_index, species, table, pair_scale, n_heads, activation,          \
        grid_start, grid_stretch

using Pair = std::tuple<Tensor, Tensor>;
using Three = std::tuple<Tensor, Tensor, Tensor>;

constexpr const char *DOUBLE_BACKWARD =
    "egraff::scalar_vector_attention has no second derivative: fused models are for inference.\n"
    "  fix: train with the plain model, or export it with --no-fuse";
constexpr const char *NO_GPU =
    "egraff::scalar_vector_attention runs on the CPU only, got tensors on a GPU.\n"
    "  fix: use device cpu, or export the model with --no-fuse for the GPU";

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

Pair forward_kernel(EGRAFF_ATTENTION_ARGUMENTS) {
    return attention::forward_cpu(checked(EGRAFF_ATTENTION_VALUES));
}

Three backward_kernel(const Tensor &by_scalar, const Tensor &by_vector, EGRAFF_ATTENTION_ARGUMENTS,
                      bool wants_centre, bool wants_neighbour) {
    const Inputs in = checked(EGRAFF_ATTENTION_VALUES);
    const std::array<int64_t, 3> shape{in.n_local(), 3, in.width()};
    TORCH_CHECK_VALUE(
        by_scalar.scalar_type() == query.scalar_type() &&
            by_vector.scalar_type() == query.scalar_type() && by_scalar.sizes() == query.sizes() &&
            by_vector.sizes() == at::IntArrayRef(shape),
        attention::OPERATOR, "_backward: gradients: expected ", query.scalar_type(), " ",
        query.sizes(), " and ", at::IntArrayRef(shape), ", got ", by_scalar.scalar_type(), " ",
        by_scalar.sizes(), " and ", by_vector.scalar_type(), " ", by_vector.sizes());
    const attention::Gradients g = attention::backward_cpu(
        by_scalar.contiguous(), by_vector.contiguous(), in, wants_centre, wants_neighbour);
    const auto made = [&](const Tensor &x) { return x.defined() ? x : query.new_empty({0}); };
    return {made(g.query), made(g.source), made(g.edge_vec)};
}

Pair forward_no_gpu(EGRAFF_ATTENTION_ARGUMENTS) {
    (void)std::make_tuple(EGRAFF_ATTENTION_VALUES);
    TORCH_CHECK_NOT_IMPLEMENTED(false, NO_GPU);
}

// ---- shapes, for torch.export and torch.compile ----------------------------------------------

Pair forward_meta(EGRAFF_ATTENTION_ARGUMENTS) {
    (void)std::make_tuple(EGRAFF_ATTENTION_VALUES);
    return {query.new_empty_symint(query.sym_sizes()),
            query.new_empty_symint({query.sym_size(0), 3, query.sym_size(1)})};
}

Three backward_meta(const Tensor &, const Tensor &, EGRAFF_ATTENTION_ARGUMENTS, bool wants_centre,
                    bool wants_neighbour) {
    (void)std::make_tuple(EGRAFF_ATTENTION_VALUES);
    const auto like = [](const Tensor &x, bool wanted) {
        return wanted ? x.new_empty_symint(x.sym_sizes()) : x.new_empty({0});
    };
    return {like(query, wants_centre), like(source, wants_neighbour), like(edge_vec, wants_centre)};
}

// ---- derivatives -----------------------------------------------------------------------------

Pair call_forward(EGRAFF_ATTENTION_ARGUMENTS) {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("egraff::scalar_vector_attention", "")
                               .typed<Pair(EGRAFF_ATTENTION_ARGUMENTS)>();
    return op.call(EGRAFF_ATTENTION_VALUES);
}

Three call_backward(const Tensor &by_scalar, const Tensor &by_vector, EGRAFF_ATTENTION_ARGUMENTS,
                    bool wants_centre, bool wants_neighbour) {
    static const auto op =
        c10::Dispatcher::singleton()
            .findSchemaOrThrow("egraff::scalar_vector_attention_backward", "")
            .typed<Three(const Tensor &, const Tensor &, EGRAFF_ATTENTION_ARGUMENTS, bool, bool)>();
    return op.call(by_scalar, by_vector, EGRAFF_ATTENTION_VALUES, wants_centre, wants_neighbour);
}

struct Attention : torch::autograd::Function<Attention> {
    static variable_list forward(AutogradContext *ctx, EGRAFF_ATTENTION_ARGUMENTS) {
        ctx->save_for_backward({query, source, edge_vec, edge_index, species, table, pair_scale});
        ctx->saved_data["n_heads"] = n_heads;
        ctx->saved_data["activation"] = std::string(activation);
        ctx->saved_data["grid_start"] = grid_start;
        ctx->saved_data["grid_stretch"] = grid_stretch;
        at::AutoDispatchBelowADInplaceOrView below_autograd;
        auto [scalars, sums] = call_forward(EGRAFF_ATTENTION_VALUES);
        return {scalars, sums};
    }

    static variable_list backward(AutogradContext *ctx, const variable_list &gradients) {
        const variable_list s = ctx->get_saved_variables();
        const auto wants = [&](int64_t k) { return ctx->needs_input_grad(k); };
        const bool wants_centre = wants(0) || wants(2), wants_neighbour = wants(1);
        const std::string activation = ctx->saved_data["activation"].toStringRef();
        auto [d_query, d_source, d_vec] = call_backward(
            gradients[0], gradients[1], s[0], s[1], s[2], s[3], s[4], s[5], s[6],
            ctx->saved_data["n_heads"].toInt(), activation,
            ctx->saved_data["grid_start"].toDouble(), ctx->saved_data["grid_stretch"].toDouble(),
            wants_centre, wants_neighbour);
        variable_list result(11);
        result[0] = wants(0) ? d_query : Tensor();
        result[1] = wants(1) ? d_source : Tensor();
        result[2] = wants(2) ? d_vec : Tensor();
        return result;
    }
};

// A first derivative whose own derivative is an error, not a zero.
struct AttentionBackward : torch::autograd::Function<AttentionBackward> {
    static variable_list forward(AutogradContext *, const Tensor &by_scalar,
                                 const Tensor &by_vector, EGRAFF_ATTENTION_ARGUMENTS,
                                 bool wants_centre, bool wants_neighbour) {
        at::AutoDispatchBelowADInplaceOrView below_autograd;
        auto [d_query, d_source, d_vec] = call_backward(
            by_scalar, by_vector, EGRAFF_ATTENTION_VALUES, wants_centre, wants_neighbour);
        return {d_query, d_source, d_vec};
    }

    static variable_list backward(AutogradContext *, const variable_list &) {
        TORCH_CHECK_NOT_IMPLEMENTED(false, DOUBLE_BACKWARD);
    }
};

Pair forward_autograd(EGRAFF_ATTENTION_ARGUMENTS) {
    variable_list result = Attention::apply(EGRAFF_ATTENTION_VALUES);
    return {result[0], result[1]};
}

Three backward_autograd(const Tensor &by_scalar, const Tensor &by_vector,
                        EGRAFF_ATTENTION_ARGUMENTS, bool wants_centre, bool wants_neighbour) {
    variable_list result = AttentionBackward::apply(by_scalar, by_vector, EGRAFF_ATTENTION_VALUES,
                                                    wants_centre, wants_neighbour);
    return {result[0], result[1], result[2]};
}

} // namespace
} // namespace egraff

#define EGRAFF_ATTENTION_SCHEMA                                                                    \
    "Tensor query, Tensor source, Tensor edge_vec, Tensor edge_index, "                            \
    "Tensor species, Tensor table, Tensor pair_scale, int n_heads, str activation, "               \
    "float grid_start, float grid_stretch"

TORCH_LIBRARY_FRAGMENT(egraff, library) {
    library.def("scalar_vector_attention(" EGRAFF_ATTENTION_SCHEMA ") -> (Tensor, Tensor)",
                {at::Tag::pt2_compliant_tag});
    library.def("scalar_vector_attention_backward(Tensor by_scalar, Tensor "
                "by_vector, " EGRAFF_ATTENTION_SCHEMA
                ", bool wants_centre, bool wants_neighbour) -> (Tensor, Tensor, Tensor)",
                {at::Tag::pt2_compliant_tag});
}

TORCH_LIBRARY_IMPL(egraff, CPU, library) {
    library.impl("scalar_vector_attention", egraff::forward_kernel);
    library.impl("scalar_vector_attention_backward", egraff::backward_kernel);
}

TORCH_LIBRARY_IMPL(egraff, CUDA, library) {
    library.impl("scalar_vector_attention", egraff::forward_no_gpu);
}

TORCH_LIBRARY_IMPL(egraff, Meta, library) {
    library.impl("scalar_vector_attention", egraff::forward_meta);
    library.impl("scalar_vector_attention_backward", egraff::backward_meta);
}

TORCH_LIBRARY_IMPL(egraff, Autograd, library) {
    library.impl("scalar_vector_attention", egraff::forward_autograd);
    library.impl("scalar_vector_attention_backward", egraff::backward_autograd);
}
