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
#include "ops/torch/fused_operator.h"

namespace egraff {
namespace {

struct GraphAttention {
    static constexpr const char *NAME = "graph_attention";
    using Inputs = graph::Inputs;
    static constexpr std::array GRADIENTS{"gradient"};
    static constexpr size_t N_DERIVATIVES = 3; // source, target, edge_vec
    using Cpu = graph::Cpu;

    static const Tensor &like(const Inputs &in) { return in.edge_vec; }
    static std::array<Shape, 1> shapes(const Inputs &in) {
        return {Shape{in.target.sym_size(0), in.width_out}};
    }
    static void check(const Inputs &in) { graph::check(in); }
};

} // namespace

TORCH_LIBRARY_FRAGMENT(egraff, library) { define_fused<GraphAttention>(library); }

} // namespace egraff
