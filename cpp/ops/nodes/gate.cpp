// SPDX-License-Identifier: GPL-2.0-or-later
//
// egraff::gate: scalars go through a nonlinearity, and each channel of any other irrep is
// multiplied by the nonlinearity of a scalar of its own (Weiler et al., arXiv:1807.02547,
// section 3.2), in one pass through memory. Channels lie as [component][channel]. First derivative
// by x; it serves inference, training uses the plain form.
#include "ops/nodes/gate_kernels.h"
#include "ops/simd/kernels.h"
#include "ops/torch/operator.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <vector>

namespace egraff {
namespace {

using gate::NO_GATE;

constexpr const char *OPERATOR = "egraff::gate";
// nodes that a thread takes at a time: their rows stay in the cache from block to block
constexpr int64_t GRAIN = 16;

// columns of `blocks`
enum BlockColumn { START_IN, START_OUT, CHANNELS, DIM, GATE, ACTIVATION, BLOCK_COLUMNS };

// The blocks of a call, checked: they and their gates are all of x, and all of the result.
template <typename T>
std::vector<gate::Block<T>> read_blocks(const Tensor &x, const Tensor &blocks,
                                        const Tensor &factors, int64_t width_out) {
    const int64_t n = factors.size(0), width_in = x.size(1);
    const int64_t *row = blocks.const_data_ptr<int64_t>();
    const double *factor = factors.const_data_ptr<double>();
    std::vector<gate::Block<T>> read;
    std::vector<int> seen_in(width_in), seen_out(width_out);
    const auto mark = [](std::vector<int> &seen, int64_t first, int64_t count) {
        const auto width = static_cast<int64_t>(seen.size());
        if (first < 0 || count < 0 || first > width || count > width - first) {
            return false;
        }
        std::for_each_n(seen.begin() + first, count, [](int &times) { ++times; });
        return true;
    };
    const auto expect_fit = [&](bool good, const auto &...got) {
        TORCH_CHECK_VALUE(good, OPERATOR,
                          ": blocks: expected blocks and gates that are each column of x (",
                          width_in, ") and of the result (", width_out, ") once, got ", got...,
                          "\n  fix: export the model again");
    };
    for (int64_t k = 0; k < n; ++k, row += BLOCK_COLUMNS) {
        const bool gated = row[GATE] != NO_GATE;
        const bool fits = row[CHANNELS] > 0 && row[DIM] > 0 && (gated || row[DIM] == 1) &&
                          row[CHANNELS] <= width_in && row[DIM] <= width_in &&
                          row[ACTIVATION] >= 0 &&
                          row[ACTIVATION] <= static_cast<int64_t>(Activation::SIGMOID) &&
                          mark(seen_in, row[START_IN], row[CHANNELS] * row[DIM]) &&
                          mark(seen_out, row[START_OUT], row[CHANNELS] * row[DIM]) &&
                          (!gated || mark(seen_in, row[GATE], row[CHANNELS]));
        expect_fit(fits, at::IntArrayRef(row, BLOCK_COLUMNS), " in row ", k);
        read.push_back({row[START_IN], row[START_OUT], row[CHANNELS], row[DIM], row[GATE],
                        static_cast<Activation>(row[ACTIVATION]), static_cast<T>(factor[k])});
    }
    const auto expect_once = [&](const std::vector<int> &seen, const char *of) {
        for (size_t column = 0; column < seen.size(); ++column) {
            expect_fit(seen[column] == 1, "column ", column, of, " ", seen[column], " times");
        }
    };
    expect_once(seen_in, " of x");
    expect_once(seen_out, " of the result");
    return read;
}

void check(const Tensor &x, const Tensor &blocks, const Tensor &factors) {
    const auto dtype = x.scalar_type();
    TORCH_CHECK_VALUE((dtype == at::kFloat || dtype == at::kDouble) && x.dim() == 2, OPERATOR,
                      ": x: expected float32 or float64 [n, width], got ", dtype, " ", x.sizes());
    TORCH_CHECK_VALUE(factors.scalar_type() == at::kDouble && factors.dim() == 1, OPERATOR,
                      ": factors: expected float64 [n_blocks], got ", factors.scalar_type(), " ",
                      factors.sizes());
    const std::array<int64_t, 2> shape{factors.size(0), BLOCK_COLUMNS};
    TORCH_CHECK_VALUE(blocks.scalar_type() == at::kLong && blocks.sizes() == at::IntArrayRef(shape),
                      OPERATOR, ": blocks: expected int64 ", at::IntArrayRef(shape), ", got ",
                      blocks.scalar_type(), " ", blocks.sizes());
}

template <typename T>
Tensor forward_typed(const Tensor &x, const std::vector<gate::Block<T>> &blocks,
                     int64_t width_out) {
    const int64_t n = x.size(0), width_in = x.size(1);
    Tensor result = at::empty({n, width_out}, x.options());
    const T *from = x.const_data_ptr<T>();
    T *to = result.mutable_data_ptr<T>();
    const auto n_blocks = static_cast<int64_t>(blocks.size());
    at::parallel_for(0, n, GRAIN, [&](int64_t first, int64_t last) {
        for (int64_t k = first; k < last; k += GRAIN) {
            simd::kernels<gate::Kernels<T>>().forward({std::min(GRAIN, last - k), width_in,
                                                       width_out, blocks.data(), n_blocks,
                                                       from + k * width_in, to + k * width_out});
        }
    });
    return result;
}

template <typename T>
Tensor backward_typed(const Tensor &gradient, const Tensor &x,
                      const std::vector<gate::Block<T>> &blocks) {
    const int64_t n = x.size(0), width_in = x.size(1), width_out = gradient.size(1);
    Tensor d_x = at::empty_like(x);
    const T *from = x.const_data_ptr<T>(), *by_result = gradient.const_data_ptr<T>();
    T *to = d_x.mutable_data_ptr<T>();
    const auto n_blocks = static_cast<int64_t>(blocks.size());
    at::parallel_for(0, n, GRAIN, [&](int64_t first, int64_t last) {
        for (int64_t k = first; k < last; k += GRAIN) {
            simd::kernels<gate::Kernels<T>>().backward(
                {std::min(GRAIN, last - k), width_in, width_out, blocks.data(), n_blocks,
                 from + k * width_in, by_result + k * width_out, to + k * width_in});
        }
    });
    return d_x;
}

struct GateBackward {
    static constexpr const char *SCHEMA =
        "gate_backward(Tensor gradient, Tensor x, Tensor blocks, Tensor factors) -> Tensor";

    static Tensor cpu(const Tensor &gradient, const Tensor &x, const Tensor &blocks,
                      const Tensor &factors) {
        check(x, blocks, factors);
        TORCH_CHECK_VALUE(gradient.scalar_type() == x.scalar_type() && gradient.dim() == 2 &&
                              gradient.size(0) == x.size(0),
                          OPERATOR, "_backward: gradient: expected ", x.scalar_type(), " [",
                          x.size(0), ", width_out], got ", gradient.scalar_type(), " ",
                          gradient.sizes());
        const Tensor g = gradient.contiguous(), a = x.contiguous();
        const Tensor b = blocks.contiguous(), c = factors.contiguous();
        return x.scalar_type() == at::kFloat
                   ? backward_typed(g, a, read_blocks<float>(a, b, c, g.size(1)))
                   : backward_typed(g, a, read_blocks<double>(a, b, c, g.size(1)));
    }

    static Tensor meta(const Tensor &gradient, const Tensor &x, const Tensor &blocks,
                       const Tensor &factors) {
        return shape_of(x);
    }

    static std::string no_derivative() { return no_second_derivative(OPERATOR); }
};

struct Gate {
    static constexpr const char *SCHEMA =
        "gate(Tensor x, Tensor blocks, Tensor factors, SymInt width_out) -> Tensor";

    static Tensor cpu(const Tensor &x, const Tensor &blocks, const Tensor &factors,
                      c10::SymInt width_out) {
        check(x, blocks, factors);
        const Tensor a = x.contiguous(), b = blocks.contiguous(), c = factors.contiguous();
        const int64_t width = width_out.guard_int(__FILE__, __LINE__);
        return x.scalar_type() == at::kFloat
                   ? forward_typed(a, read_blocks<float>(a, b, c, width), width)
                   : forward_typed(a, read_blocks<double>(a, b, c, width), width);
    }

    static Tensor meta(const Tensor &x, const Tensor &blocks, const Tensor &factors,
                       c10::SymInt width_out) {
        return x.new_empty_symint({x.sym_size(0), width_out});
    }

    static variable_list derivative(AutogradContext *, const variable_list &gradients,
                                    const Tensor &x, const Tensor &blocks, const Tensor &factors,
                                    const c10::SymInt &width_out) {
        return {call<GateBackward>(gradients[0], x, blocks, factors)};
    }
};

} // namespace

TORCH_LIBRARY_FRAGMENT(egraff, library) {
    define<Gate>(library);
    define<GateBackward>(library);
}

} // namespace egraff
