// SPDX-License-Identifier: GPL-2.0-or-later
//
// What all operators share: how torch gets to know them, and their place in autograd. An operator
// is a struct without data, whose static members are all that is its own:
//
//   SCHEMA            "name(Tensor x, int n) -> Tensor"; results are a tensor or a tuple of
//   tensors;
//                     or schema(), which makes it
//   cpu(x, n)         its kernel
//   cuda(x, n)        likewise; without it, calls with tensors on a GPU are refused
//   meta(x, n)        results without data, for torch.export and torch.compile
//   derivative(ctx, gradients, x, n)
//                     from those by the results, the derivatives by the arguments: all that it
//                     leaves out at the end, and all that are undefined, are zero
//   keep(x, n)        a tuple of what derivative() is handed in place of all arguments, for an
//                     operator with tensors that it does not need and that need not live so long
//   no_derivative()   in place of derivative(): why there is none, for an error
//   autograd(x, n)    its kernel for autograd, if Autograd<Op>::kernel, made of these, will not do
//   MAY_ALIAS         the result may share memory with an argument, as the schema says: not for
//                     torch.compile
//
// define<Op>(library) registers an operator, call<Op>(x, n) calls it by way of torch's dispatcher.
#pragma once

#include "ops/torch/kept.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/forward_grad.h>
#include <torch/library.h>

#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

// all of an operator's functions take all of its arguments, and few need them all
#pragma GCC diagnostic ignored "-Wunused-parameter"

namespace egraff {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// ---- calls -----------------------------------------------------------------------------------

template <typename Op> std::string schema_of() {
    if constexpr (requires { Op::SCHEMA; }) {
        return Op::SCHEMA;
    } else {
        return Op::schema();
    }
}

template <typename Op> std::string name_of() {
    const std::string schema = schema_of<Op>();
    return "egraff::" + schema.substr(0, schema.find('('));
}

// A call may be traced, and then sizes are symbols, as they are where there are shapes only.
template <typename Op> using Signature = decltype(Op::meta);

template <typename Op, typename... Arguments> auto call(Arguments &&...arguments) {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow(name_of<Op>().c_str(), "")
                               .template typed<Signature<Op>>(); // found once
    return op.call(std::forward<Arguments>(arguments)...);
}

// For meta(): a tensor like x.
inline Tensor shape_of(const Tensor &x) { return x.new_empty_symint(x.sym_sizes()); }

// ---- derivatives -----------------------------------------------------------------------------

// For no_derivative() of operators that are a derivative themselves: an error, not a zero.
inline std::string no_second_derivative(const std::string &name) {
    return name + " has no second derivative: fused models are for inference.\n"
                  "  fix: train with the plain model, or export it with --no-fuse";
}

template <typename Op>
concept HasDerivative = requires { &Op::derivative; };
template <typename Op>
concept RefusesDerivative = requires { Op::no_derivative(); };

// What derivative() is handed, as references to a call's arguments.
template <typename Op, typename... Arguments> auto needed(const Arguments &...arguments) {
    if constexpr (requires { Op::keep(arguments...); }) {
        return Op::keep(arguments...);
    } else {
        return std::tie(arguments...);
    }
}

template <typename Op, typename = Signature<Op>> struct Autograd;

template <typename Op, typename Result, typename... Arguments>
struct Autograd<Op, Result(Arguments...)>
    : torch::autograd::Function<Autograd<Op, Result(Arguments...)>> {
    static constexpr bool ONE_RESULT = std::is_same_v<Result, Tensor>;
    using Outputs = std::conditional_t<ONE_RESULT, Tensor, variable_list>;

    static Outputs forward(AutogradContext *ctx, Arguments... arguments) {
        if constexpr (HasDerivative<Op>) {
            Kept kept;
            std::apply([&](const auto &...x) { (kept.put(x), ...); }, needed<Op>(arguments...));
            std::move(kept).save(ctx);
        }
        at::AutoDispatchBelowADInplaceOrView below_autograd;
        if constexpr (ONE_RESULT) {
            return call<Op>(arguments...);
        } else {
            return std::apply([](auto &&...y) { return variable_list{std::move(y)...}; },
                              call<Op>(arguments...));
        }
    }

    static variable_list backward(AutogradContext *ctx, const variable_list &gradients) {
        if constexpr (HasDerivative<Op>) {
            using Needed = decltype(needed<Op>(std::declval<Arguments>()...));
            return derivative(ctx, gradients, static_cast<Needed *>(nullptr));
        } else {
            TORCH_CHECK_NOT_IMPLEMENTED(false, Op::no_derivative());
        }
    }

    // What is registered. Compiled programs call without any derivative in mind; forward mode,
    // which torch switches by itself, is left to apply(), which refuses it.
    static Result kernel(Arguments... arguments) {
        if (!at::GradMode::is_enabled() && !torch::autograd::ForwardADLevel::try_get_by_idx(0)) {
            at::AutoDispatchBelowADInplaceOrView below_autograd;
            return call<Op>(arguments...);
        }
        auto outputs = Autograd::apply(arguments...);
        if constexpr (ONE_RESULT) {
            return outputs;
        } else {
            return [&]<size_t... k>(std::index_sequence<k...>) {
                return Result{std::move(outputs[k])...};
            }(std::make_index_sequence<std::tuple_size_v<Result>>());
        }
    }

  private:
    template <typename... T>
    static variable_list derivative(AutogradContext *ctx, const variable_list &gradients,
                                    std::tuple<T...> *) {
        Kept kept(ctx);
        const size_t n_tensors = kept.n_tensors();
        const std::tuple<Owned<T>...> needed{kept.take<Owned<T>>()...}; // braces: in this order
        variable_list result = std::apply(
            [&](const auto &...x) { return Op::derivative(ctx, gradients, x...); }, needed);
        // one for each argument and each tensor of a list; autograd drops what is too much
        result.resize(sizeof...(Arguments) + n_tensors);
        return result;
    }
};

// ---- registration ----------------------------------------------------------------------------

inline void refuse_gpu(const c10::OperatorHandle &op, torch::jit::Stack *) {
    TORCH_CHECK_NOT_IMPLEMENTED(
        false, op.schema().name(),
        " runs on the CPU only, got tensors on a GPU.\n"
        "  fix: use device cpu, or export the model with --no-fuse for the GPU");
}

template <typename Op> constexpr bool runs_on_gpu() {
    if constexpr (requires { Op::RUNS_ON_GPU; }) {
        return Op::RUNS_ON_GPU;
    } else {
        return requires { &Op::cuda; };
    }
}

template <typename Op> void define(torch::Library &library) {
    if constexpr (requires { Op::MAY_ALIAS; }) {
        library.def(schema_of<Op>().c_str());
    } else {
        library.def(schema_of<Op>().c_str(), {at::Tag::pt2_compliant_tag});
    }
    const std::string name = name_of<Op>();
    const auto add = [&](c10::DispatchKey key, auto &&kernel) {
        library.impl(name.c_str(), torch::dispatch(key, std::forward<decltype(kernel)>(kernel)));
    };
    add(c10::DispatchKey::CPU, Op::cpu);
    add(c10::DispatchKey::Meta, Op::meta);
    if constexpr (runs_on_gpu<Op>()) {
        add(c10::DispatchKey::CUDA, Op::cuda);
    } else {
        add(c10::DispatchKey::CUDA, torch::CppFunction::makeFromBoxedFunction<&refuse_gpu>());
    }
    if constexpr (requires { &Op::autograd; }) {
        add(c10::DispatchKey::Autograd, Op::autograd);
    } else if constexpr (HasDerivative<Op> || RefusesDerivative<Op>) {
        add(c10::DispatchKey::Autograd, Autograd<Op>::kernel);
    }
}

} // namespace egraff
