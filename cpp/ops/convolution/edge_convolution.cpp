// SPDX-License-Identifier: GPL-2.0-or-later
//
// egraff::edge_convolution: from node features, edge vectors and radial tables to the sum of all
// messages, without storing a message:
//
//   out_i = sum over edges (i, j) of  C . ( w(r_ij) x_j (x) Y(r_ij) )
//
// with one weight w per path and channel, a quintic Hermite spline of the distance. A linear map of
// the sums may follow, so that they, far wider than the features, need not be stored. It has first
// derivatives by x and edge_vec; it serves inference, training uses the plain form.
#include "ops/convolution/edge_convolution_cpu.h"
#include "ops/torch/fused_operator.h"

namespace egraff {
namespace {

struct EdgeConvolution {
    static constexpr const char *NAME = "edge_convolution";
    using Inputs = convolution::Inputs;
    static constexpr std::array GRADIENTS{"gradient"};
    static constexpr size_t N_DERIVATIVES = 2; // x, edge_vec
    static constexpr std::array WANTED{Wanted{"wants_x", 0b01}, Wanted{"wants_edge_vec", 0b10}};
    using Cpu = convolution::Cpu;

    static const Tensor &like(const Inputs &in) { return in.x; }
    static std::array<Shape, 1> shapes(const Inputs &in) {
        const bool mapped = in.width_after.symbol != 0;
        return {Shape{in.n_local.symbol, mapped ? in.width_after.symbol : in.width_out.symbol}};
    }
    static void check(const Inputs &in) { convolution::check(in); }
};

} // namespace

TORCH_LIBRARY_FRAGMENT(egraff, library) { define_fused<EdgeConvolution>(library); }

} // namespace egraff
