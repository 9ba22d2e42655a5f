// SPDX-License-Identifier: GPL-2.0-or-later
//
// An operator's arguments as one struct, which names them once:
//
//   struct Arguments {
//       Tensor x;    // [n, width]
//       int64_t n_heads;
//       static constexpr auto list() {
//           return std::tuple{Argument{"x", &Arguments::x}, Argument{"n_heads",
//           &Arguments::n_heads}};
//       }
//   };
//
// The schema, the signature of the kernels and the way from there to the struct follow.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/SymInt.h>

#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace egraff {

using at::Tensor;

template <typename Struct, typename Value> struct Argument {
    const char *name;
    Value Struct::*member;
    const char *initial = nullptr; // as the schema says it, of an argument that may be left out
};

// A size, which is a symbol where a call is traced and a number for kernels.
struct Size {
    c10::SymInt symbol;

    operator int64_t() const { return symbol.expect_int(); }
};

// ---- kinds of arguments ----------------------------------------------------------------------

// How torch's schemas call a type, and how it hands over a value.
template <typename Value> struct ArgumentType;
template <> struct ArgumentType<Tensor> {
    static constexpr const char *NAME = "Tensor";
    using Passed = const Tensor &;
};
template <> struct ArgumentType<std::optional<Tensor>> {
    static constexpr const char *NAME = "Tensor?";
    using Passed = const std::optional<Tensor> &;
};
template <> struct ArgumentType<std::vector<Tensor>> {
    static constexpr const char *NAME = "Tensor[]";
    using Passed = at::TensorList;
};
template <> struct ArgumentType<double> {
    static constexpr const char *NAME = "float";
    using Passed = double;
};
template <> struct ArgumentType<bool> {
    static constexpr const char *NAME = "bool";
    using Passed = bool;
};
template <> struct ArgumentType<int64_t> {
    static constexpr const char *NAME = "int";
    using Passed = int64_t;
};
template <> struct ArgumentType<Size> {
    static constexpr const char *NAME = "SymInt";
    using Passed = c10::SymInt;
};
template <> struct ArgumentType<std::vector<int64_t>> {
    static constexpr const char *NAME = "int[]";
    using Passed = at::IntArrayRef;
};
template <> struct ArgumentType<std::string> {
    static constexpr const char *NAME = "str";
    using Passed = c10::string_view;
};

template <typename... T> struct Types {};

template <typename Struct, typename... Value>
Types<typename ArgumentType<Value>::Passed...>
passed_types(const std::tuple<Argument<Struct, Value>...> &);
// the types in which torch hands over all arguments
template <typename Struct> using Passed = decltype(passed_types(Struct::list()));

// ---- a struct from what torch hands over -----------------------------------------------------

inline void assign(Tensor &to, const Tensor &value) { to = value; }
inline void assign(std::vector<Tensor> &to, at::TensorList value) { to = value.vec(); }
inline void assign(std::vector<int64_t> &to, at::IntArrayRef value) { to = value.vec(); }
inline void assign(Size &to, const c10::SymInt &value) { to.symbol = value; }
inline void assign(std::string &to, c10::string_view value) { to = std::string(value); }
template <typename Value> void assign(Value &to, const Value &value) { to = value; }

template <typename Struct, typename... P> Struct collect(const P &...passed) {
    Struct result;
    std::apply([&](const auto &...one) { (assign(result.*one.member, passed), ...); },
               Struct::list());
    return result;
}

inline void make_contiguous(Tensor &x) { x = x.contiguous(); }
inline void make_contiguous(std::optional<Tensor> &x) {
    if (x) {
        make_contiguous(*x);
    }
}
inline void make_contiguous(std::vector<Tensor> &list) {
    for (Tensor &x : list) {
        make_contiguous(x);
    }
}
template <typename Value> void make_contiguous(Value &) {}

// As kernels want them.
template <typename Struct> Struct contiguous(Struct arguments) {
    std::apply([&](const auto &...one) { (make_contiguous(arguments.*one.member), ...); },
               Struct::list());
    return arguments;
}

// ---- schemas ---------------------------------------------------------------------------------

template <typename Struct, typename Value>
std::string text_of(const Argument<Struct, Value> &argument) {
    return std::string(ArgumentType<Value>::NAME) + " " + argument.name +
           (argument.initial ? std::string("=") + argument.initial : "");
}

// "Tensor x, int n_heads"
template <typename Struct> std::string schema_text() {
    std::string text;
    std::apply(
        [&](const auto &...one) { ((text += (text.empty() ? "" : ", ") + text_of(one)), ...); },
        Struct::list());
    return text;
}

// "Tensor", "(Tensor, Tensor)"
inline std::string results_text(int count) {
    std::string text = "Tensor";
    for (int k = 1; k < count; ++k) {
        text += ", Tensor";
    }
    return count == 1 ? text : "(" + text + ")";
}

} // namespace egraff
