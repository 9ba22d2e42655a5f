// SPDX-License-Identifier: GPL-2.0-or-later
//
// egraff::allegro_energy: from edge vectors to the sums of the edges' energies, for a model whose
// states live on edges and that sees nothing but a centre's own edges (Allegro). What it computes
// is a list of steps; see allegro_plan.h. Together with the energies it makes their derivatives, as
// the energy of a centre has no derivative by the edges of another one; the backward only scales
// them. It serves inference, training uses the plain form.
#include "ops/allegro/allegro_cpu.h"
#include "ops/torch/operator.h"

namespace egraff {
namespace {

using allegro::Inputs;

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

template <typename = Passed<Inputs>> struct Allegro;
template <typename... Arguments> struct Allegro<Types<Arguments...>> {
    // Energies and gradients for whoever asks for both at once.
    struct EnergyAndGradient {
        static std::string schema() {
            return "allegro_energy_and_gradient(" + schema_text<Inputs>() + ") -> (Tensor, Tensor)";
        }

        static std::tuple<Tensor, Tensor> cpu(Arguments... arguments) {
            return allegro::evaluate_cpu(contiguous(collect<Inputs>(arguments...)), true);
        }

        static std::tuple<Tensor, Tensor> meta(Arguments... arguments) {
            const Inputs in = collect<Inputs>(arguments...);
            return {in.edge_vec.new_empty_symint({in.n_local.symbol}), shape_of(in.edge_vec)};
        }

        static std::string no_derivative() {
            return "egraff::allegro_energy_and_gradient is not differentiable.\n"
                   "  fix: call egraff::allegro_energy, whose backward gives the derivative";
        }
    };

    struct EnergyAutograd : torch::autograd::Function<EnergyAutograd> {
        static Tensor forward(AutogradContext *ctx, Arguments... arguments) {
            at::AutoDispatchBelowADInplaceOrView below_autograd;
            auto [energy, gradient] = call<EnergyAndGradient>(arguments...);
            ctx->save_for_backward({collect<Inputs>(arguments...).edge_index, gradient});
            return energy;
        }

        static variable_list backward(AutogradContext *ctx, const variable_list &gradients) {
            const variable_list saved = ctx->get_saved_variables();
            variable_list result(sizeof...(Arguments));
            result[0] = Scale::apply(gradients[0], saved[0], saved[1]);
            return result;
        }
    };

    struct Energy {
        static std::string schema() {
            return "allegro_energy(" + schema_text<Inputs>() + ") -> Tensor";
        }

        static Tensor cpu(Arguments... arguments) {
            return std::get<0>(
                allegro::evaluate_cpu(contiguous(collect<Inputs>(arguments...)), false));
        }

        static Tensor meta(Arguments... arguments) {
            const Inputs in = collect<Inputs>(arguments...);
            return in.edge_vec.new_empty_symint({in.n_local.symbol});
        }

        // unlike others, makes the gradient together with the energy
        static Tensor autograd(Arguments... arguments) {
            if (at::GradMode::is_enabled() &&
                collect<Inputs>(arguments...).edge_vec.requires_grad()) {
                return EnergyAutograd::apply(arguments...);
            }
            at::AutoDispatchBelowADInplaceOrView below_autograd;
            return call<Energy>(arguments...);
        }
    };
};

} // namespace

TORCH_LIBRARY_FRAGMENT(egraff, library) {
    define<Allegro<>::Energy>(library);
    define<Allegro<>::EnergyAndGradient>(library);
}

} // namespace egraff
