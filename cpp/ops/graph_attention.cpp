// SPDX-License-Identifier: GPL-2.0-or-later
//
// egraff::graph_attention: from what atoms offer and ask for, edge vectors and radial functions to
// the attended values of each centre and head, without storing anything for an edge:
//
//   f_ij = (source_j + target_i) (x)_R(r_ij) Y(r_ij)
//   a_ij = softmax over j of  direction . LeakyReLU( W_a f_ij ),  weighted by the envelope
//   y_ih = W_h sum over edges (i, j) of  a_ijh ( gate( W_f f_ij ) (x) Y(r_ij) ) + b_h sum a_ijh
//
// (Liao & Smidt, arXiv:2206.11990, section 3.2). It has first derivatives by source, target and
// edge_vec; it serves inference, training uses the plain form. graph_attention_plan.h lists the
// constants.
#include "ops/graph_attention_cpu.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace egraff {
namespace {

using at::Tensor;
using graph::Inputs;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

#define EGRAFF_GRAPH_ARGUMENTS                                                                     \
    const Tensor &source, const Tensor &target, const Tensor &edge_vec, const Tensor &edge_index,  \
        const Tensor &species, at::TensorList constants, int64_t n_functions, int64_t n_heads,     \
        int64_t width_out, double negative_slope, double grid_start, double grid_stretch
#define EGRAFF_GRAPH_VALUES                                                                        \
    source, target, edge_vec, edge_index, species, constants, n_functions, n_heads, width_out,     \
        negative_slope, grid_start, grid_stretch

using Three = std::tuple<Tensor, Tensor, Tensor>;

constexpr const char *DOUBLE_BACKWARD =
    "egraff::graph_attention has no second derivative: fused models are for inference.\n"
    "  fix: train with the plain model, or export it with --no-fuse";
constexpr const char *NO_GPU =
    "egraff::graph_attention runs on the CPU only, got tensors on a GPU.\n"
    "  fix: use device cpu, or export the model with --no-fuse for the GPU";

Inputs inputs_of(EGRAFF_GRAPH_ARGUMENTS) {
    Inputs in{source.contiguous(),   target.contiguous(),
              edge_vec.contiguous(), edge_index.contiguous(),
              species.contiguous(),  {},
              n_functions,           n_heads,
              negative_slope,        grid_start,
              grid_stretch};
    for (const Tensor &constant : constants) {
        in.constants.push_back(constant.contiguous());
    }
    (void)width_out; // for shapes without data
    return in;
}

Tensor forward_kernel(EGRAFF_GRAPH_ARGUMENTS) {
    Tensor result = graph::forward_cpu(inputs_of(EGRAFF_GRAPH_VALUES));
    TORCH_CHECK_VALUE(result.size(1) == width_out, graph::OPERATOR, ": width_out: expected ",
                      result.size(1), " as outer_groups say, got ", width_out);
    return result;
}

Three backward_kernel(const Tensor &gradient, EGRAFF_GRAPH_ARGUMENTS) {
    const std::array<int64_t, 2> shape{target.size(0), width_out};
    TORCH_CHECK_VALUE(gradient.scalar_type() == source.scalar_type() &&
                          gradient.sizes() == at::IntArrayRef(shape),
                      graph::OPERATOR, "_backward: gradient: expected ", source.scalar_type(), " ",
                      at::IntArrayRef(shape), ", got ", gradient.scalar_type(), " ",
                      gradient.sizes());
    return graph::backward_cpu(gradient.contiguous(), inputs_of(EGRAFF_GRAPH_VALUES));
}

Tensor forward_no_gpu(EGRAFF_GRAPH_ARGUMENTS) {
    (void)std::make_tuple(EGRAFF_GRAPH_VALUES);
    TORCH_CHECK_NOT_IMPLEMENTED(false, NO_GPU);
}

// ---- shapes, for torch.export and torch.compile ----------------------------------------------

Tensor forward_meta(EGRAFF_GRAPH_ARGUMENTS) {
    (void)std::make_tuple(EGRAFF_GRAPH_VALUES);
    return source.new_empty_symint({target.sym_size(0), width_out});
}

Three backward_meta(const Tensor &, EGRAFF_GRAPH_ARGUMENTS) {
    (void)std::make_tuple(EGRAFF_GRAPH_VALUES);
    const auto like = [](const Tensor &x) { return x.new_empty_symint(x.sym_sizes()); };
    return {like(source), like(target), like(edge_vec)};
}

// ---- derivatives -----------------------------------------------------------------------------

Tensor call_forward(EGRAFF_GRAPH_ARGUMENTS) {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("egraff::graph_attention", "")
                               .typed<Tensor(EGRAFF_GRAPH_ARGUMENTS)>();
    return op.call(EGRAFF_GRAPH_VALUES);
}

Three call_backward(const Tensor &gradient, EGRAFF_GRAPH_ARGUMENTS) {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("egraff::graph_attention_backward", "")
                               .typed<Three(const Tensor &, EGRAFF_GRAPH_ARGUMENTS)>();
    return op.call(gradient, EGRAFF_GRAPH_VALUES);
}

struct GraphAttention : torch::autograd::Function<GraphAttention> {
    static Tensor forward(AutogradContext *ctx, const Tensor &source, const Tensor &target,
                          const Tensor &edge_vec, const Tensor &edge_index, const Tensor &species,
                          const std::vector<Tensor> &constants, int64_t n_functions,
                          int64_t n_heads, int64_t width_out, double negative_slope,
                          double grid_start, double grid_stretch) {
        variable_list saved{source, target, edge_vec, edge_index, species};
        saved.insert(saved.end(), constants.begin(), constants.end());
        ctx->save_for_backward(std::move(saved));
        ctx->saved_data["n_functions"] = n_functions;
        ctx->saved_data["n_heads"] = n_heads;
        ctx->saved_data["width_out"] = width_out;
        ctx->saved_data["negative_slope"] = negative_slope;
        ctx->saved_data["grid_start"] = grid_start;
        ctx->saved_data["grid_stretch"] = grid_stretch;
        at::AutoDispatchBelowADInplaceOrView below_autograd;
        return call_forward(EGRAFF_GRAPH_VALUES);
    }

    static variable_list backward(AutogradContext *ctx, const variable_list &gradients) {
        const variable_list s = ctx->get_saved_variables();
        const std::vector<Tensor> constants(s.begin() + 5, s.end());
        auto [d_source, d_target, d_vec] = call_backward(
            gradients[0], s[0], s[1], s[2], s[3], s[4], constants,
            ctx->saved_data["n_functions"].toInt(), ctx->saved_data["n_heads"].toInt(),
            ctx->saved_data["width_out"].toInt(), ctx->saved_data["negative_slope"].toDouble(),
            ctx->saved_data["grid_start"].toDouble(), ctx->saved_data["grid_stretch"].toDouble());
        variable_list result(12);
        result[0] = d_source;
        result[1] = d_target;
        result[2] = d_vec;
        return result;
    }
};

// A first derivative whose own derivative is an error, not a zero.
struct GraphAttentionBackward : torch::autograd::Function<GraphAttentionBackward> {
    static variable_list forward(AutogradContext *, const Tensor &gradient, const Tensor &source,
                                 const Tensor &target, const Tensor &edge_vec,
                                 const Tensor &edge_index, const Tensor &species,
                                 const std::vector<Tensor> &constants, int64_t n_functions,
                                 int64_t n_heads, int64_t width_out, double negative_slope,
                                 double grid_start, double grid_stretch) {
        at::AutoDispatchBelowADInplaceOrView below_autograd;
        auto [d_source, d_target, d_vec] = call_backward(gradient, EGRAFF_GRAPH_VALUES);
        return {d_source, d_target, d_vec};
    }

    static variable_list backward(AutogradContext *, const variable_list &) {
        TORCH_CHECK_NOT_IMPLEMENTED(false, DOUBLE_BACKWARD);
    }
};

Tensor forward_autograd(EGRAFF_GRAPH_ARGUMENTS) {
    return GraphAttention::apply(source, target, edge_vec, edge_index, species, constants.vec(),
                                 n_functions, n_heads, width_out, negative_slope, grid_start,
                                 grid_stretch);
}

Three backward_autograd(const Tensor &gradient, EGRAFF_GRAPH_ARGUMENTS) {
    variable_list result = GraphAttentionBackward::apply(
        gradient, source, target, edge_vec, edge_index, species, constants.vec(), n_functions,
        n_heads, width_out, negative_slope, grid_start, grid_stretch);
    return {result[0], result[1], result[2]};
}

} // namespace
} // namespace egraff

#define EGRAFF_GRAPH_SCHEMA                                                                        \
    "Tensor source, Tensor target, Tensor edge_vec, Tensor edge_index, Tensor species, "           \
    "Tensor[] constants, int n_functions, int n_heads, int width_out, float negative_slope, "      \
    "float grid_start, float grid_stretch"

TORCH_LIBRARY_FRAGMENT(egraff, library) {
    library.def("graph_attention(" EGRAFF_GRAPH_SCHEMA ") -> Tensor", {at::Tag::pt2_compliant_tag});
    library.def("graph_attention_backward(Tensor gradient, " EGRAFF_GRAPH_SCHEMA
                ") -> (Tensor, Tensor, Tensor)",
                {at::Tag::pt2_compliant_tag});
}

TORCH_LIBRARY_IMPL(egraff, CPU, library) {
    library.impl("graph_attention", egraff::forward_kernel);
    library.impl("graph_attention_backward", egraff::backward_kernel);
}

TORCH_LIBRARY_IMPL(egraff, CUDA, library) {
    library.impl("graph_attention", egraff::forward_no_gpu);
}

TORCH_LIBRARY_IMPL(egraff, Meta, library) {
    library.impl("graph_attention", egraff::forward_meta);
    library.impl("graph_attention_backward", egraff::backward_meta);
}

TORCH_LIBRARY_IMPL(egraff, Autograd, library) {
    library.impl("graph_attention", egraff::forward_autograd);
    library.impl("graph_attention_backward", egraff::backward_autograd);
}
