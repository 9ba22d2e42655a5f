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
#include "ops/edge_convolution_cpu.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace egraff {
namespace {

using at::Tensor;
using convolution::Inputs;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

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

// arguments before `after`, and those that are no tensors
constexpr size_t N_TENSORS = 10, N_NUMBERS = 6;

constexpr const char *DOUBLE_BACKWARD =
    "egraff::edge_convolution has no second derivative: fused models are for inference.\n"
    "  fix: train with the plain model, or export it with --no-fuse";
constexpr const char *NO_GPU =
    "egraff::edge_convolution runs on the CPU only, got tensors on a GPU.\n"
    "  fix: use device cpu, or export the model with --no-fuse for the GPU";

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

Tensor forward_kernel(EGRAFF_CONVOLUTION_ARGUMENTS) {
    return convolution::forward_cpu(checked(EGRAFF_CONVOLUTION_VALUES));
}

std::tuple<Tensor, Tensor> backward_kernel(const Tensor &gradient, EGRAFF_CONVOLUTION_ARGUMENTS,
                                           bool wants_x, bool wants_edge_vec) {
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

Tensor forward_no_gpu(EGRAFF_CONVOLUTION_ARGUMENTS) {
    (void)std::make_tuple(EGRAFF_CONVOLUTION_VALUES);
    TORCH_CHECK_NOT_IMPLEMENTED(false, NO_GPU);
}

// ---- shapes, for torch.export and torch.compile ----------------------------------------------

Tensor forward_meta(EGRAFF_CONVOLUTION_ARGUMENTS) {
    (void)std::make_tuple(EGRAFF_CONVOLUTION_VALUES);
    return x.new_empty_symint({n_local, width_after == 0 ? width_out : width_after});
}

std::tuple<Tensor, Tensor> backward_meta(const Tensor &, EGRAFF_CONVOLUTION_ARGUMENTS, bool wants_x,
                                         bool wants_edge_vec) {
    (void)std::make_tuple(EGRAFF_CONVOLUTION_VALUES);
    return {wants_x ? x.new_empty_symint(x.sym_sizes()) : x.new_empty({0}),
            wants_edge_vec ? x.new_empty_symint(edge_vec.sym_sizes()) : x.new_empty({0})};
}

// ---- derivatives -----------------------------------------------------------------------------

Tensor call_forward(EGRAFF_CONVOLUTION_ARGUMENTS) {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("egraff::edge_convolution", "")
                               .typed<Tensor(EGRAFF_CONVOLUTION_ARGUMENTS)>();
    return op.call(EGRAFF_CONVOLUTION_VALUES);
}

std::tuple<Tensor, Tensor> call_backward(const Tensor &gradient, EGRAFF_CONVOLUTION_ARGUMENTS,
                                         bool wants_x, bool wants_edge_vec) {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("egraff::edge_convolution_backward", "")
                               .typed<std::tuple<Tensor, Tensor>(
                                   const Tensor &, EGRAFF_CONVOLUTION_ARGUMENTS, bool, bool)>();
    return op.call(gradient, EGRAFF_CONVOLUTION_VALUES, wants_x, wants_edge_vec);
}

struct Convolution : torch::autograd::Function<Convolution> {
    static Tensor forward(AutogradContext *ctx, EGRAFF_CONVOLUTION_ARGUMENTS) {
        variable_list saved{x,          edge_vec,   edge_index, species,        tables,
                            pair_scale, pair_table, paths,      coupling_index, coupling_value};
        saved.insert(saved.end(), after.begin(), after.end());
        ctx->save_for_backward(saved);
        ctx->saved_data["grid_start"] = grid_start;
        ctx->saved_data["n_local"] = n_local;
        ctx->saved_data["width_out"] = width_out;
        ctx->saved_data["grid_stretch"] = grid_stretch;
        ctx->saved_data["channels_last"] = channels_last;
        ctx->saved_data["width_after"] = width_after;
        at::AutoDispatchBelowADInplaceOrView below_autograd;
        return call_forward(EGRAFF_CONVOLUTION_VALUES);
    }

    static variable_list backward(AutogradContext *ctx, const variable_list &gradients) {
        const variable_list s = ctx->get_saved_variables();
        const bool wants_x = ctx->needs_input_grad(0);
        const bool wants_edge_vec = ctx->needs_input_grad(1);
        auto [d_x, d_vec] = call_backward(
            gradients[0], s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8], s[9],
            ctx->saved_data["grid_start"].toDouble(), ctx->saved_data["n_local"].toSymInt(),
            ctx->saved_data["width_out"].toSymInt(), ctx->saved_data["grid_stretch"].toDouble(),
            ctx->saved_data["channels_last"].toBool(), at::TensorList(s).slice(N_TENSORS),
            ctx->saved_data["width_after"].toSymInt(), wants_x, wants_edge_vec);
        variable_list result(s.size() + N_NUMBERS);
        result[0] = wants_x ? d_x : Tensor();
        result[1] = wants_edge_vec ? d_vec : Tensor();
        return result;
    }
};

// A first derivative whose own derivative is an error, not a zero.
struct ConvolutionBackward : torch::autograd::Function<ConvolutionBackward> {
    static variable_list forward(AutogradContext *, const Tensor &gradient,
                                 EGRAFF_CONVOLUTION_ARGUMENTS, bool wants_x, bool wants_edge_vec) {
        at::AutoDispatchBelowADInplaceOrView below_autograd;
        auto [d_x, d_vec] =
            call_backward(gradient, EGRAFF_CONVOLUTION_VALUES, wants_x, wants_edge_vec);
        return {d_x, d_vec};
    }

    static variable_list backward(AutogradContext *, const variable_list &) {
        TORCH_CHECK_NOT_IMPLEMENTED(false, DOUBLE_BACKWARD);
    }
};

Tensor forward_autograd(EGRAFF_CONVOLUTION_ARGUMENTS) {
    return Convolution::apply(EGRAFF_CONVOLUTION_VALUES);
}

std::tuple<Tensor, Tensor> backward_autograd(const Tensor &gradient, EGRAFF_CONVOLUTION_ARGUMENTS,
                                             bool wants_x, bool wants_edge_vec) {
    variable_list result =
        ConvolutionBackward::apply(gradient, EGRAFF_CONVOLUTION_VALUES, wants_x, wants_edge_vec);
    return {result[0], result[1]};
}

} // namespace
} // namespace egraff

#define EGRAFF_CONVOLUTION_SCHEMA                                                                  \
    "Tensor x, Tensor edge_vec, Tensor edge_index, Tensor species, Tensor tables, "                \
    "Tensor pair_scale, Tensor pair_table, Tensor paths, Tensor coupling_index, "                  \
    "Tensor coupling_value, float grid_start, SymInt n_local, SymInt width_out, "                  \
    "float grid_stretch, bool channels_last, Tensor[] after, SymInt width_after"

TORCH_LIBRARY_FRAGMENT(egraff, library) {
    library.def("edge_convolution(" EGRAFF_CONVOLUTION_SCHEMA ") -> Tensor",
                {at::Tag::pt2_compliant_tag});
    library.def("edge_convolution_backward(Tensor gradient, " EGRAFF_CONVOLUTION_SCHEMA
                ", bool wants_x, bool wants_edge_vec) -> (Tensor, Tensor)",
                {at::Tag::pt2_compliant_tag});
}

TORCH_LIBRARY_IMPL(egraff, CPU, library) {
    library.impl("edge_convolution", egraff::forward_kernel);
    library.impl("edge_convolution_backward", egraff::backward_kernel);
}

TORCH_LIBRARY_IMPL(egraff, CUDA, library) {
    library.impl("edge_convolution", egraff::forward_no_gpu);
}

TORCH_LIBRARY_IMPL(egraff, Meta, library) {
    library.impl("edge_convolution", egraff::forward_meta);
    library.impl("edge_convolution_backward", egraff::backward_meta);
}

TORCH_LIBRARY_IMPL(egraff, Autograd, library) {
    library.impl("edge_convolution", egraff::forward_autograd);
    library.impl("edge_convolution_backward", egraff::backward_autograd);
}
