// SPDX-License-Identifier: GPL-2.0-or-later
//
// What the derivative of an operator needs, from the forward to the backward. Autograd wants it
// taken apart: tensors it keeps itself, and sees to it that nobody has changed them since; of
// plain values it has a map by name.
#pragma once

#include <ATen/core/ivalue.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace egraff {

// An argument as a value of its own, where it refers to something of the caller's.
template <typename T> struct OwnedType {
    using type = T;
};
template <> struct OwnedType<at::TensorList> {
    using type = std::vector<at::Tensor>;
};
template <> struct OwnedType<at::IntArrayRef> {
    using type = std::vector<int64_t>;
};
template <> struct OwnedType<std::string_view> {
    using type = std::string;
};
template <typename T> using Owned = typename OwnedType<std::remove_cvref_t<T>>::type;

// Arguments are taken out in the order in which they were put in. A list of tensors ends with the
// last tensor, so that there is one at the most, after all others.
class Kept {
  public:
    Kept() = default;

    explicit Kept(torch::autograd::AutogradContext *ctx) : tensors_(ctx->get_saved_variables()) {
        if (const auto saved = ctx->saved_data.find(VALUES); saved != ctx->saved_data.end()) {
            values_ = saved->second.toTupleRef().elements().vec();
        }
    }

    void save(torch::autograd::AutogradContext *ctx) && {
        ctx->save_for_backward(std::move(tensors_));
        if (!values_.empty()) {
            ctx->saved_data[VALUES] = c10::ivalue::Tuple::create(std::move(values_));
        }
    }

    size_t n_tensors() const { return tensors_.size(); }

    void put(const at::Tensor &x) { tensors_.push_back(x); }
    void put(const std::optional<at::Tensor> &x) { tensors_.push_back(x.value_or(at::Tensor())); }
    void put(at::TensorList list) { tensors_.insert(tensors_.end(), list.begin(), list.end()); }
    void put(at::IntArrayRef list) { values_.emplace_back(list.vec()); }
    void put(std::string_view text) { values_.emplace_back(std::string(text)); }
    template <typename T> void put(const T &value) { values_.emplace_back(value); }

    template <typename T> T take() {
        if constexpr (std::is_same_v<T, at::Tensor>) {
            return std::move(tensors_[next_tensor_++]);
        } else if constexpr (std::is_same_v<T, std::optional<at::Tensor>>) {
            at::Tensor x = take<at::Tensor>();
            return x.defined() ? T(std::move(x)) : std::nullopt;
        } else if constexpr (std::is_same_v<T, std::vector<at::Tensor>>) {
            return {tensors_.begin() + std::exchange(next_tensor_, n_tensors()), tensors_.end()};
        } else {
            return values_[next_value_++].to<T>();
        }
    }

  private:
    static constexpr const char *VALUES = "values";

    torch::autograd::variable_list tensors_;
    std::vector<c10::IValue> values_;
    size_t next_tensor_ = 0, next_value_ = 0;
};

} // namespace egraff
