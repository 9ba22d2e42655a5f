// SPDX-License-Identifier: GPL-2.0-or-later
//
// egraff::allegro_energy: from edge vectors to the sums of the edges' energies, for a model whose
// states live on edges and that sees nothing but a centre's own edges (Allegro). What it computes
// is a list of steps; see allegro_plan.h. Together with the energies it makes their derivatives, as
// the energy of a centre has no derivative by the edges of another one; the backward only scales
// them. It serves inference, training uses the plain form.
#include "ops/allegro_cpu.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace egraff {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

#define EGRAFF_ALLEGRO_ARGUMENTS                                                                   \
    const Tensor &edge_vec, const Tensor &edge_index, const Tensor &species, const Tensor &tables, \
        const Tensor &pair_scale, const Tensor &pair_table, const Tensor &buffers,                 \
        const Tensor &steps, const Tensor &matrices, const Tensor &products,                       \
        const Tensor &entries, const Tensor &terms, const Tensor &term_weights, double grid_start, \
        int64_t l_max, c10::SymInt n_local
#define EGRAFF_ALLEGRO_VALUES                                                                      \
    edge_vec, edge_index, species, tables, pair_scale, pair_table, buffers, steps, matrices,       \
        products, entries, terms, term_weights, grid_start, l_max, n_local

constexpr const char *DOUBLE_BACKWARD =
    "egraff::allegro_energy has no second derivative: fused models are for inference.\n"
    "  fix: train with the plain model, or export it with --no-fuse";
constexpr const char *NO_GPU =
    "egraff::allegro_energy runs on the CPU only, got tensors on a GPU.\n"
    "  fix: use device cpu, or export the model with --no-fuse for the GPU";

std::tuple<Tensor, Tensor> evaluate(EGRAFF_ALLEGRO_ARGUMENTS, bool wants_gradient) {
    return allegro::evaluate_cpu(
        {edge_vec.contiguous(), edge_index.contiguous(), species.contiguous(), tables.contiguous(),
         pair_scale.contiguous(), pair_table.contiguous(), buffers.contiguous(), steps.contiguous(),
         matrices.contiguous(), products.contiguous(), entries.contiguous(), terms.contiguous(),
         term_weights.contiguous(), grid_start, l_max, n_local.guard_int(__FILE__, __LINE__)},
        wants_gradient);
}

Tensor energy_kernel(EGRAFF_ALLEGRO_ARGUMENTS) {
    return std::get<0>(evaluate(EGRAFF_ALLEGRO_VALUES, false));
}

std::tuple<Tensor, Tensor> energy_and_gradient_kernel(EGRAFF_ALLEGRO_ARGUMENTS) {
    return evaluate(EGRAFF_ALLEGRO_VALUES, true);
}

Tensor energy_no_gpu(EGRAFF_ALLEGRO_ARGUMENTS) {
    (void)std::make_tuple(EGRAFF_ALLEGRO_VALUES);
    TORCH_CHECK_NOT_IMPLEMENTED(false, NO_GPU);
}

std::tuple<Tensor, Tensor> energy_and_gradient_no_gpu(EGRAFF_ALLEGRO_ARGUMENTS) {
    (void)std::make_tuple(EGRAFF_ALLEGRO_VALUES);
    TORCH_CHECK_NOT_IMPLEMENTED(false, NO_GPU);
}

// ---- shapes, for torch.export and torch.compile ----------------------------------------------

Tensor energy_meta(EGRAFF_ALLEGRO_ARGUMENTS) {
    (void)std::make_tuple(EGRAFF_ALLEGRO_VALUES);
    return edge_vec.new_empty_symint({n_local});
}

std::tuple<Tensor, Tensor> energy_and_gradient_meta(EGRAFF_ALLEGRO_ARGUMENTS) {
    return {energy_meta(EGRAFF_ALLEGRO_VALUES), edge_vec.new_empty_symint(edge_vec.sym_sizes())};
}

// ---- derivatives -----------------------------------------------------------------------------

Tensor call_energy(EGRAFF_ALLEGRO_ARGUMENTS) {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("egraff::allegro_energy", "")
                               .typed<Tensor(EGRAFF_ALLEGRO_ARGUMENTS)>();
    return op.call(EGRAFF_ALLEGRO_VALUES);
}

std::tuple<Tensor, Tensor> call_energy_and_gradient(EGRAFF_ALLEGRO_ARGUMENTS) {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("egraff::allegro_energy_and_gradient", "")
                               .typed<std::tuple<Tensor, Tensor>(EGRAFF_ALLEGRO_ARGUMENTS)>();
    return op.call(EGRAFF_ALLEGRO_VALUES);
}

// The derivative by edge vectors, from that by the energies; its own derivative is an error, not a
// zero.
struct Scale : torch::autograd::Function<Scale> {
    static Tensor forward(AutogradContext *, const Tensor &by_energy, const Tensor &edge_index,
                          const Tensor &gradient) {
        at::AutoDispatchBelowADInplaceOrView below_autograd;
        return gradient.mul(by_energy.index_select(0, edge_index.select(0, 0)).unsqueeze(1));
    }

    static variable_list backward(AutogradContext *, const variable_list &) {
        TORCH_CHECK_NOT_IMPLEMENTED(false, DOUBLE_BACKWARD);
    }
};

struct Energy : torch::autograd::Function<Energy> {
    static Tensor forward(AutogradContext *ctx, EGRAFF_ALLEGRO_ARGUMENTS) {
        at::AutoDispatchBelowADInplaceOrView below_autograd;
        auto [energy, gradient] = call_energy_and_gradient(EGRAFF_ALLEGRO_VALUES);
        ctx->save_for_backward({edge_index, gradient});
        return energy;
    }

    static variable_list backward(AutogradContext *ctx, const variable_list &gradients) {
        const variable_list saved = ctx->get_saved_variables();
        variable_list result(16);
        result[0] = Scale::apply(gradients[0], saved[0], saved[1]);
        return result;
    }
};

// The same for whoever asks for both at once.
struct EnergyAndGradient : torch::autograd::Function<EnergyAndGradient> {
    static variable_list forward(AutogradContext *, EGRAFF_ALLEGRO_ARGUMENTS) {
        at::AutoDispatchBelowADInplaceOrView below_autograd;
        auto [energy, gradient] = call_energy_and_gradient(EGRAFF_ALLEGRO_VALUES);
        return {energy, gradient};
    }

    static variable_list backward(AutogradContext *, const variable_list &) {
        TORCH_CHECK_NOT_IMPLEMENTED(
            false, "egraff::allegro_energy_and_gradient is not differentiable.\n"
                   "  fix: call egraff::allegro_energy, whose backward gives the derivative");
    }
};

Tensor energy_autograd(EGRAFF_ALLEGRO_ARGUMENTS) {
    if (at::GradMode::is_enabled() && edge_vec.requires_grad()) {
        return Energy::apply(EGRAFF_ALLEGRO_VALUES);
    }
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return call_energy(EGRAFF_ALLEGRO_VALUES);
}

std::tuple<Tensor, Tensor> energy_and_gradient_autograd(EGRAFF_ALLEGRO_ARGUMENTS) {
    variable_list result = EnergyAndGradient::apply(EGRAFF_ALLEGRO_VALUES);
    return {result[0], result[1]};
}

} // namespace
} // namespace egraff

#define EGRAFF_ALLEGRO_SCHEMA                                                                      \
    "Tensor edge_vec, Tensor edge_index, Tensor species, Tensor tables, Tensor pair_scale, "       \
    "Tensor pair_table, Tensor buffers, Tensor steps, Tensor matrices, Tensor products, "          \
    "Tensor entries, Tensor terms, Tensor term_weights, float grid_start, int l_max, "             \
    "SymInt n_local"

TORCH_LIBRARY_FRAGMENT(egraff, library) {
    library.def("allegro_energy(" EGRAFF_ALLEGRO_SCHEMA ") -> Tensor",
                {at::Tag::pt2_compliant_tag});
    library.def("allegro_energy_and_gradient(" EGRAFF_ALLEGRO_SCHEMA ") -> (Tensor, Tensor)",
                {at::Tag::pt2_compliant_tag});
}

TORCH_LIBRARY_IMPL(egraff, CPU, library) {
    library.impl("allegro_energy", egraff::energy_kernel);
    library.impl("allegro_energy_and_gradient", egraff::energy_and_gradient_kernel);
}

TORCH_LIBRARY_IMPL(egraff, CUDA, library) {
    library.impl("allegro_energy", egraff::energy_no_gpu);
    library.impl("allegro_energy_and_gradient", egraff::energy_and_gradient_no_gpu);
}

TORCH_LIBRARY_IMPL(egraff, Meta, library) {
    library.impl("allegro_energy", egraff::energy_meta);
    library.impl("allegro_energy_and_gradient", egraff::energy_and_gradient_meta);
}

TORCH_LIBRARY_IMPL(egraff, Autograd, library) {
    library.impl("allegro_energy", egraff::energy_autograd);
    library.impl("allegro_energy_and_gradient", egraff::energy_and_gradient_autograd);
}
