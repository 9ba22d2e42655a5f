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
#include "ops/graph_attention/graph_attention_cpu.h"
#include "ops/torch/operator.h"

namespace egraff {
namespace {

using graph::Inputs;

#define EGRAFF_GRAPH_ARGUMENTS                                                                     \
    const Tensor &source, const Tensor &target, const Tensor &edge_vec, const Tensor &edge_index,  \
        const Tensor &species, at::TensorList constants, int64_t n_functions, int64_t n_heads,     \
        int64_t width_out, double negative_slope, double grid_start, double grid_stretch
#define EGRAFF_GRAPH_VALUES                                                                        \
    source, target, edge_vec, edge_index, species, constants, n_functions, n_heads, width_out,     \
        negative_slope, grid_start, grid_stretch

using Three = std::tuple<Tensor, Tensor, Tensor>;

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
    return in;
}

#define EGRAFF_GRAPH_SCHEMA                                                                        \
    "Tensor source, Tensor target, Tensor edge_vec, Tensor edge_index, Tensor species, "           \
    "Tensor[] constants, int n_functions, int n_heads, int width_out, float negative_slope, "      \
    "float grid_start, float grid_stretch"

struct GraphAttentionBackward {
    static constexpr const char *SCHEMA =
        "graph_attention_backward(Tensor gradient, " EGRAFF_GRAPH_SCHEMA
        ") -> (Tensor, Tensor, Tensor)";

    static Three cpu(const Tensor &gradient, EGRAFF_GRAPH_ARGUMENTS) {
        const std::array<int64_t, 2> shape{target.size(0), width_out};
        TORCH_CHECK_VALUE(gradient.scalar_type() == source.scalar_type() &&
                              gradient.sizes() == at::IntArrayRef(shape),
                          graph::OPERATOR, "_backward: gradient: expected ", source.scalar_type(),
                          " ", at::IntArrayRef(shape), ", got ", gradient.scalar_type(), " ",
                          gradient.sizes());
        return graph::backward_cpu(gradient.contiguous(), inputs_of(EGRAFF_GRAPH_VALUES));
    }

    static Three meta(const Tensor &gradient, EGRAFF_GRAPH_ARGUMENTS) {
        return {shape_of(source), shape_of(target), shape_of(edge_vec)};
    }

    static std::string no_derivative() { return no_second_derivative(graph::OPERATOR); }
};

struct GraphAttention {
    static constexpr const char *SCHEMA = "graph_attention(" EGRAFF_GRAPH_SCHEMA ") -> Tensor";

    static Tensor cpu(EGRAFF_GRAPH_ARGUMENTS) {
        Tensor result = graph::forward_cpu(inputs_of(EGRAFF_GRAPH_VALUES));
        TORCH_CHECK_VALUE(result.size(1) == width_out, graph::OPERATOR, ": width_out: expected ",
                          result.size(1), " as outer_groups say, got ", width_out);
        return result;
    }

    static Tensor meta(EGRAFF_GRAPH_ARGUMENTS) {
        return source.new_empty_symint({target.sym_size(0), width_out});
    }

    static variable_list derivative(AutogradContext *, const variable_list &gradients,
                                    EGRAFF_GRAPH_ARGUMENTS) {
        auto [d_source, d_target, d_vec] =
            call<GraphAttentionBackward>(gradients[0], EGRAFF_GRAPH_VALUES);
        return {d_source, d_target, d_vec};
    }
};

} // namespace

TORCH_LIBRARY_FRAGMENT(egraff, library) {
    define<GraphAttention>(library);
    define<GraphAttentionBackward>(library);
}

} // namespace egraff
