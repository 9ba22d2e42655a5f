// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <ATen/core/Tensor.h>

namespace egraff {

// Throws ValueError, with an operator's name, the argument's, what was expected and what came:
//
//   constexpr Expect expect("egraff::name");
//   expect(x.dim() == 2, "x", "[n, width]", x);
class Expect {
  public:
    explicit constexpr Expect(const char *op) : op_(op) {}

    void operator()(bool good, const char *name, const char *expected,
                    const at::Tensor &got) const {
        TORCH_CHECK_VALUE(good, op_, ": ", name, ": expected ", expected, ", got ",
                          got.scalar_type(), " ", got.sizes());
    }

  private:
    const char *op_;
};

} // namespace egraff
