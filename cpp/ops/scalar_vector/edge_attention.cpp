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
#include "ops/torch/fused_operator.h"

namespace egraff {
namespace {

struct ScalarVectorAttention {
    static constexpr const char *NAME = "scalar_vector_attention";
    using Inputs = attention::Inputs;
    static constexpr std::array GRADIENTS{"by_scalar", "by_vector"};
    static constexpr size_t N_DERIVATIVES = 3; // query, source, edge_vec
    static constexpr std::array WANTED{Wanted{"wants_centre", 0b101},
                                       Wanted{"wants_neighbour", 0b010}};
    using Cpu = attention::Cpu;

    static const Tensor &like(const Inputs &in) { return in.query; }
    static std::array<Shape, 2> shapes(const Inputs &in) {
        const c10::SymInt n_local = in.query.sym_size(0), width = in.query.sym_size(1);
        return {Shape{n_local, width}, Shape{n_local, 3, width}};
    }
    static void check(const Inputs &in) { attention::check(in); }
};

} // namespace

TORCH_LIBRARY_FRAGMENT(egraff, library) { define_fused<ScalarVectorAttention>(library); }

} // namespace egraff
