// SPDX-License-Identifier: GPL-2.0-or-later
//
// egraff::allegro_energy: from edge vectors to the sums of the edges' energies, for a model whose
// states live on edges and that sees nothing but a centre's own edges (Allegro). What it computes
// is a list of steps; see allegro_plan.h. Together with the energies it makes their derivatives, as
// the energy of a centre has no derivative by the edges of another one; the backward only scales
// them. It serves inference, training uses the plain form.
#include "ops/allegro/allegro_cpu.h"
#include "ops/torch/operator.h"

#include <ATen/ops/zeros.h>

namespace egraff {
namespace {

#define EGRAFF_ALLEGRO_ARGUMENTS                                                                   \
    const Tensor &edge_vec, const Tensor &edge_index, const Tensor &species, const Tensor &tables, \
        const Tensor &pair_scale, const Tensor &pair_table, const Tensor &buffers,                 \
        const Tensor &steps, const Tensor &matrices, const Tensor &products,                       \
        const Tensor &entries, const Tensor &terms, const Tensor &term_weights, double grid_start, \
        int64_t l_max, c10::SymInt n_local
#define EGRAFF_ALLEGRO_VALUES                                                                      \
    edge_vec, edge_index, species, tables, pair_scale, pair_table, buffers, steps, matrices,       \
        products, entries, terms, term_weights, grid_start, l_max, n_local

using Pair = std::tuple<Tensor, Tensor>;

Pair evaluate(EGRAFF_ALLEGRO_ARGUMENTS, bool wants_gradient) {
    return allegro::evaluate_cpu(
        {edge_vec.contiguous(), edge_index.contiguous(), species.contiguous(), tables.contiguous(),
         pair_scale.contiguous(), pair_table.contiguous(), buffers.contiguous(), steps.contiguous(),
         matrices.contiguous(), products.contiguous(), entries.contiguous(), terms.contiguous(),
         term_weights.contiguous(), grid_start, l_max, n_local.guard_int(__FILE__, __LINE__)},
        wants_gradient);
}

#define EGRAFF_ALLEGRO_SCHEMA                                                                      \
    "Tensor edge_vec, Tensor edge_index, Tensor species, Tensor tables, Tensor pair_scale, "       \
    "Tensor pair_table, Tensor buffers, Tensor steps, Tensor matrices, Tensor products, "          \
    "Tensor entries, Tensor terms, Tensor term_weights, float grid_start, int l_max, "             \
    "SymInt n_local"

// Energies and gradients for whoever asks for both at once.
struct EnergyAndGradient {
    static constexpr const char *SCHEMA =
        "allegro_energy_and_gradient(" EGRAFF_ALLEGRO_SCHEMA ") -> (Tensor, Tensor)";

    static Pair cpu(EGRAFF_ALLEGRO_ARGUMENTS) { return evaluate(EGRAFF_ALLEGRO_VALUES, true); }

    static Pair meta(EGRAFF_ALLEGRO_ARGUMENTS) {
        return {edge_vec.new_empty_symint({n_local}), shape_of(edge_vec)};
    }

    static std::string no_derivative() {
        return "egraff::allegro_energy_and_gradient is not differentiable.\n"
               "  fix: call egraff::allegro_energy, whose backward gives the derivative";
    }
};

// The derivative by edge vectors, from that by the energies.
struct Scale : torch::autograd::Function<Scale> {
    static Tensor forward(AutogradContext *, const Tensor &by_energy, const Tensor &edge_index,
                          const Tensor &gradient) {
        at::AutoDispatchBelowADInplaceOrView below_autograd;
        return gradient.mul(by_energy.index_select(0, edge_index.select(0, 0)).unsqueeze(1));
    }

    static variable_list backward(AutogradContext *, const variable_list &) {
        TORCH_CHECK_NOT_IMPLEMENTED(false, no_second_derivative("egraff::allegro_energy"));
    }
};

struct EnergyAutograd : torch::autograd::Function<EnergyAutograd> {
    static Tensor forward(AutogradContext *ctx, EGRAFF_ALLEGRO_ARGUMENTS) {
        at::AutoDispatchBelowADInplaceOrView below_autograd;
        auto [energy, gradient] = call<EnergyAndGradient>(EGRAFF_ALLEGRO_VALUES);
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

struct Energy {
    static constexpr const char *SCHEMA = "allegro_energy(" EGRAFF_ALLEGRO_SCHEMA ") -> Tensor";

    static Tensor cpu(EGRAFF_ALLEGRO_ARGUMENTS) {
        return std::get<0>(evaluate(EGRAFF_ALLEGRO_VALUES, false));
    }

    static Tensor meta(EGRAFF_ALLEGRO_ARGUMENTS) { return edge_vec.new_empty_symint({n_local}); }

    // unlike others, makes the gradient together with the energy
    static Tensor autograd(EGRAFF_ALLEGRO_ARGUMENTS) {
        if (at::GradMode::is_enabled() && edge_vec.requires_grad()) {
            return EnergyAutograd::apply(EGRAFF_ALLEGRO_VALUES);
        }
        at::AutoDispatchBelowADInplaceOrView below_autograd;
        return call<Energy>(EGRAFF_ALLEGRO_VALUES);
    }
};

} // namespace

TORCH_LIBRARY_FRAGMENT(egraff, library) {
    define<Energy>(library);
    define<EnergyAndGradient>(library);
}

} // namespace egraff
