// SPDX-License-Identifier: GPL-2.0-or-later
//
// Operators that do much at once, for inference: with first derivatives, by their first arguments,
// that an operator of their own makes. Such a pair is described by a struct without data:
//
//   NAME              "name"; the other one is "name_backward"
//   Inputs            all arguments; see arguments.h
//   GRADIENTS         of the derivatives by the results, their names for the other one
//   N_DERIVATIVES     arguments, from the first on, by which there are derivatives
//   WANTED            flags of the other one: which derivatives to make. Without, it makes all
//   like(in)          the tensor whose type and device the results have
//   shapes(in)        of the results
//   check(in)         throws ValueError if arguments do not fit each other
//   Cpu               its kernels, for T = float and double:
//     forward<T>(in)                       the results
//     backward<T>(gradients, in, wanted)   the derivatives; those not wanted may be undefined
//   Cuda              likewise; without it, calls with tensors on a GPU are refused
//
// define_fused<Op>(library) registers both.
#pragma once

#include "ops/torch/described_operator.h"

namespace egraff {

// A flag, and the derivatives that are made if it is set, one bit for each.
struct Wanted {
    const char *flag;
    unsigned derivatives;

    bool has(size_t k) const { return derivatives >> k & 1; }
};

// ---- numbers of tensors ----------------------------------------------------------------------

template <typename T, size_t> using Always = T;
template <typename T, size_t... k> Types<Always<T, k>...> repeat(std::index_sequence<k...>);
template <typename T, size_t N> using Repeated = decltype(repeat<T>(std::make_index_sequence<N>()));

template <typename Op> constexpr auto wanted_of() {
    if constexpr (requires { Op::WANTED; }) {
        return Op::WANTED;
    } else {
        return std::array<Wanted, 0>();
    }
}
template <typename Op> inline constexpr auto WANTED = wanted_of<Op>();

// ---- both operators --------------------------------------------------------------------------

template <typename Op, typename = Passed<typename Op::Inputs>> struct Fused;
template <typename Op, typename = Repeated<const Tensor &, N_RESULTS<Op>>,
          typename = Passed<typename Op::Inputs>, typename = Repeated<bool, WANTED<Op>.size()>>
struct FusedBackward;

template <typename Op, typename... Arguments>
struct Fused<Op, Types<Arguments...>> : Described<Op> {
    static variable_list derivative(AutogradContext *ctx, const variable_list &gradients,
                                    Arguments... arguments) {
        const auto wants = [&](size_t flag) {
            bool any = false;
            for (size_t k = 0; k < Op::N_DERIVATIVES; ++k) {
                any = any || (WANTED<Op>[flag].has(k) && ctx->needs_input_grad(k));
            }
            return any;
        };
        auto made = [&]<size_t... g, size_t... w>(std::index_sequence<g...>,
                                                  std::index_sequence<w...>) {
            return from_torch<Op::N_DERIVATIVES>(
                call<FusedBackward<Op>>(gradients[g]..., arguments..., wants(w)...));
        }(std::make_index_sequence<N_RESULTS<Op>>(), std::make_index_sequence<WANTED<Op>.size()>());
        variable_list result(Op::N_DERIVATIVES);
        for (size_t k = 0; k < Op::N_DERIVATIVES; ++k) {
            if (ctx->needs_input_grad(k)) {
                result[k] = std::move(made[k]);
            }
        }
        return result;
    }
};

template <typename Op, typename... Gradients, typename... Arguments, typename... Flags>
struct FusedBackward<Op, Types<Gradients...>, Types<Arguments...>, Types<Flags...>> {
    static constexpr size_t N = Op::N_DERIVATIVES;
    static constexpr bool RUNS_ON_GPU = Described<Op>::RUNS_ON_GPU;
    using Inputs = typename Op::Inputs;

    static std::string schema() {
        std::string text = std::string(Op::NAME) + "_backward(";
        for (const char *name : Op::GRADIENTS) {
            text += std::string("Tensor ") + name + ", ";
        }
        text += schema_text<Inputs>();
        for (const Wanted &wanted : WANTED<Op>) {
            text += std::string(", bool ") + wanted.flag;
        }
        return text + ") -> " + results_text(N);
    }

    static Results<N> cpu(Gradients... gradients, Arguments... arguments, Flags... flags) {
        return run<typename Op::Cpu>({gradients...}, collect<Inputs>(arguments...),
                                     wanted({flags...}));
    }

    static Results<N> cuda(Gradients... gradients, Arguments... arguments, Flags... flags) {
        return run<typename Op::Cuda>({gradients...}, collect<Inputs>(arguments...),
                                      wanted({flags...}));
    }

    static Results<N> meta(Gradients..., Arguments... arguments, Flags... flags) {
        const Inputs in = collect<Inputs>(arguments...);
        const auto makes = wanted({flags...});
        const Tensors<N> by = differentiable(in);
        Tensors<N> made;
        for (size_t k = 0; k < N; ++k) {
            made[k] = makes[k] ? shape_of(by[k]) : by[k].new_empty({0});
        }
        return to_torch(std::move(made));
    }

    static std::string no_derivative() {
        return no_second_derivative(std::string("egraff::") + Op::NAME);
    }

  private:
    static Tensors<N> differentiable(const Inputs &in) {
        return [&]<size_t... k>(std::index_sequence<k...>) {
            return Tensors<N>{in.*std::get<k>(Inputs::list()).member...};
        }(std::make_index_sequence<N>());
    }

    static std::array<bool, N> wanted(const std::array<bool, sizeof...(Flags)> &flags) {
        std::array<bool, N> result;
        result.fill(flags.empty());
        for (size_t flag = 0; flag < flags.size(); ++flag) {
            for (size_t k = 0; k < N; ++k) {
                result[k] = result[k] || (flags[flag] && WANTED<Op>[flag].has(k));
            }
        }
        return result;
    }

    template <typename Device>
    static Results<N> run(Tensors<N_RESULTS<Op>> gradients, const Inputs &arguments,
                          const std::array<bool, N> &wanted) {
        const Inputs in = contiguous(arguments);
        Op::check(in);
        const auto shapes = Op::shapes(in);
        const auto dtype = Op::like(in).scalar_type();
        for (size_t k = 0; k < gradients.size(); ++k) {
            Tensor &g = gradients[k];
            TORCH_CHECK_VALUE(g.scalar_type() == dtype && g.sym_sizes().equals(shapes[k]),
                              "egraff::", Op::NAME, "_backward: ", Op::GRADIENTS[k], ": expected ",
                              dtype, " ", c10::SymIntArrayRef(shapes[k]), ", got ", g.scalar_type(),
                              " ", g.sizes());
            g = g.contiguous();
        }
        Tensors<N> made = by_type<Op>(in, [&]<typename T>() -> Tensors<N> {
            return Device::template backward<T>(gradients, in, wanted);
        });
        const Tensors<N> by = differentiable(in);
        for (size_t k = 0; k < N; ++k) {
            if (!made[k].defined()) {
                made[k] = by[k].new_empty({0});
            }
        }
        return to_torch(std::move(made));
    }
};

template <typename Op> void define_fused(torch::Library &library) {
    define<Fused<Op>>(library);
    define<FusedBackward<Op>>(library);
}

} // namespace egraff
