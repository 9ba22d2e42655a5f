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
#include "ops/torch/operator.h"

namespace egraff {
namespace {

using convolution::Inputs;

#define EGRAFF_CONVOLUTION_ARGUMENTS                                                               \
    const Tensor &x, const Tensor &edge_vec, const Tensor &edge_index, const Tensor &species,      \
        const Tensor &tables, const Tensor &pair_scale, const Tensor &pair_table,                  \
        const Tensor &paths, const Tensor &coupling_index, const Tensor &coupling_value,           \
        double grid_start, c10::SymInt n_local, c10::SymInt width_out, double grid_stretch,        \
        bool channels_last, at::TensorList after, c10::SymInt width_after
#define EGRAFF_CONVOLUTION_VALUES                                                                  \
    x, edge_vec, edge_index, species, tables, pair_scale, pair_table, paths, coupling_index,       \
        coupling_value, grid_start, n_local, width_out, grid_stretch, channels_last, after,        \
        width_after

using Pair = std::tuple<Tensor, Tensor>;

Inputs checked(EGRAFF_CONVOLUTION_ARGUMENTS) {
    Inputs in{x.contiguous(),
              edge_vec.contiguous(),
              edge_index.contiguous(),
              species.contiguous(),
              tables.contiguous(),
              pair_scale.contiguous(),
              pair_table.contiguous(),
              paths,
              coupling_index,
              coupling_value,
              grid_start,
              n_local.guard_int(__FILE__, __LINE__),
              width_out.guard_int(__FILE__, __LINE__),
              grid_stretch,
              channels_last,
              {},
              width_after.guard_int(__FILE__, __LINE__)};
    // without a map four empty tensors come: compiled programs cannot hand over an empty list
    for (size_t k = 0; in.width_after > 0 && k < after.size(); ++k) {
        in.after.push_back(after[k].contiguous());
    }
    convolution::check(in);
    return in;
}

#define EGRAFF_CONVOLUTION_SCHEMA                                                                  \
    "Tensor x, Tensor edge_vec, Tensor edge_index, Tensor species, Tensor tables, "                \
    "Tensor pair_scale, Tensor pair_table, Tensor paths, Tensor coupling_index, "                  \
    "Tensor coupling_value, float grid_start, SymInt n_local, SymInt width_out, "                  \
    "float grid_stretch, bool channels_last, Tensor[] after, SymInt width_after"

struct ConvolutionBackward {
    static constexpr const char *SCHEMA =
        "edge_convolution_backward(Tensor gradient, " EGRAFF_CONVOLUTION_SCHEMA
        ", bool wants_x, bool wants_edge_vec) -> (Tensor, Tensor)";

    static Pair cpu(const Tensor &gradient, EGRAFF_CONVOLUTION_ARGUMENTS, bool wants_x,
                    bool wants_edge_vec) {
        const Inputs in = checked(EGRAFF_CONVOLUTION_VALUES);
        const std::array<int64_t, 2> shape{in.n_local, in.width_result()};
        TORCH_CHECK_VALUE(
            gradient.scalar_type() == x.scalar_type() && gradient.sizes() == at::IntArrayRef(shape),
            "egraff::edge_convolution_backward: gradient: expected ", x.scalar_type(), " ",
            at::IntArrayRef(shape), ", got ", gradient.scalar_type(), " ", gradient.sizes());
        auto [d_x, d_vec] =
            convolution::backward_cpu(gradient.contiguous(), in, wants_x, wants_edge_vec);
        return {d_x.defined() ? d_x : x.new_empty({0}), d_vec.defined() ? d_vec : x.new_empty({0})};
    }

    static Pair meta(const Tensor &gradient, EGRAFF_CONVOLUTION_ARGUMENTS, bool wants_x,
                     bool wants_edge_vec) {
        return {wants_x ? shape_of(x) : x.new_empty({0}),
                wants_edge_vec ? x.new_empty_symint(edge_vec.sym_sizes()) : x.new_empty({0})};
    }

    static std::string no_derivative() { return no_second_derivative("egraff::edge_convolution"); }
};

struct Convolution {
    static constexpr const char *SCHEMA =
        "edge_convolution(" EGRAFF_CONVOLUTION_SCHEMA ") -> Tensor";

    static Tensor cpu(EGRAFF_CONVOLUTION_ARGUMENTS) {
        return convolution::forward_cpu(checked(EGRAFF_CONVOLUTION_VALUES));
    }

    static Tensor meta(EGRAFF_CONVOLUTION_ARGUMENTS) {
        return x.new_empty_symint({n_local, width_after == 0 ? width_out : width_after});
    }

    static variable_list derivative(AutogradContext *ctx, const variable_list &gradients,
                                    EGRAFF_CONVOLUTION_ARGUMENTS) {
        const bool wants_x = ctx->needs_input_grad(0), wants_edge_vec = ctx->needs_input_grad(1);
        auto [d_x, d_vec] = call<ConvolutionBackward>(gradients[0], EGRAFF_CONVOLUTION_VALUES,
                                                      wants_x, wants_edge_vec);
        return {wants_x ? d_x : Tensor(), wants_edge_vec ? d_vec : Tensor()};
    }
};

} // namespace

TORCH_LIBRARY_FRAGMENT(egraff, library) {
    define<Convolution>(library);
    define<ConvolutionBackward>(library);
}

} // namespace egraff
