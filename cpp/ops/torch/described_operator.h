// SPDX-License-Identifier: GPL-2.0-or-later
//
// An operator whose arguments are one struct, so that its schema, its signatures, contiguity, the
// choice between float and double and its checks follow. It is a struct without data:
//
//   NAME              "name"
//   Inputs            all arguments; see arguments.h
//   like(in)          the tensor whose type and device the results have
//   shapes(in)        of the results, by which their number is known, too
//   check(in)         throws ValueError if arguments do not fit each other
//   Cpu               its kernels: forward<T>(in) for T = float and double
//   Cuda              likewise; without it, calls with tensors on a GPU are refused
//
// and derivative(), no_derivative() or keep(in) as in operator.h. Described<Op> is the operator for
// define() and call().
#pragma once

#include "ops/torch/arguments.h"
#include "ops/torch/operator.h"

#include <array>

namespace egraff {

using Shape = std::vector<c10::SymInt>;
template <size_t N> using Tensors = std::array<Tensor, N>;

// What torch wants for N results: a tensor, or a tuple.
template <size_t N> auto to_torch(Tensors<N> tensors) {
    if constexpr (N == 1) {
        return std::move(tensors[0]);
    } else {
        return std::apply([](auto &&...x) { return std::tuple{std::move(x)...}; },
                          std::move(tensors));
    }
}
template <size_t N> using Results = decltype(to_torch(Tensors<N>()));

template <size_t N> Tensors<N> from_torch(Results<N> results) {
    if constexpr (N == 1) {
        return {std::move(results)};
    } else {
        return std::apply([](auto &&...x) { return Tensors<N>{std::move(x)...}; },
                          std::move(results));
    }
}

template <typename Op>
inline constexpr size_t N_RESULTS =
    std::tuple_size_v<decltype(Op::shapes(std::declval<const typename Op::Inputs &>()))>;

// Calls run<T>() with the type of the results.
template <typename Op, typename Run> auto by_type(const typename Op::Inputs &in, const Run &run) {
    return Op::like(in).scalar_type() == at::kFloat ? run.template operator()<float>()
                                                    : run.template operator()<double>();
}

template <typename Op, typename = Passed<typename Op::Inputs>> struct Described;

template <typename Op, typename... Arguments> struct Described<Op, Types<Arguments...>> : Op {
    static constexpr size_t N = N_RESULTS<Op>;
    static constexpr bool RUNS_ON_GPU = requires { typename Op::Cuda; };
    using Inputs = typename Op::Inputs;

    static std::string schema() {
        return std::string(Op::NAME) + "(" + schema_text<Inputs>() + ") -> " + results_text(N);
    }

    static Results<N> cpu(Arguments... arguments) {
        return run<typename Op::Cpu>(collect<Inputs>(arguments...));
    }

    static Results<N> cuda(Arguments... arguments) {
        return run<typename Op::Cuda>(collect<Inputs>(arguments...));
    }

    static Results<N> meta(Arguments... arguments) {
        const Inputs in = collect<Inputs>(arguments...);
        Tensors<N> results;
        std::array<Shape, N> shapes = Op::shapes(in);
        for (size_t k = 0; k < N; ++k) {
            results[k] = Op::like(in).new_empty_symint(shapes[k]);
        }
        return to_torch(std::move(results));
    }

    static auto keep(Arguments... arguments)
        requires requires { &Op::keep; }
    {
        return Op::keep(collect<Inputs>(arguments...));
    }

  private:
    template <typename Device> static Results<N> run(const Inputs &arguments) {
        const Inputs in = contiguous(arguments);
        Op::check(in);
        return to_torch<N>(
            by_type<Op>(in, [&]<typename T>() { return Device::template forward<T>(in); }));
    }
};

} // namespace egraff
