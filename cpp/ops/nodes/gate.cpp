// SPDX-License-Identifier: GPL-2.0-or-later
//
// egraff::gate: scalars go through a nonlinearity, and each channel of any other irrep is
// multiplied by the nonlinearity of a scalar of its own (Weiler et al., arXiv:1807.02547,
// section 3.2), in one pass through memory. Channels lie as [component][channel]. First derivative
// by x; it serves inference, training uses the plain form.
#include "ops/nodes/gate_kernels.h"
#include "ops/simd/kernels.h"
#include "ops/torch/described_operator.h"
#include "ops/torch/expect.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <vector>

namespace egraff {
namespace {

using gate::NO_GATE;

constexpr const char *OPERATOR = "egraff::gate";
constexpr Expect expect(OPERATOR);
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

// Calls use(first node, their number) for groups of nodes.
template <typename Use> void for_groups(int64_t n, const Use &use) {
    at::parallel_for(0, n, GRAIN, [&](int64_t first, int64_t last) {
        for (int64_t k = first; k < last; k += GRAIN) {
            use(k, std::min(GRAIN, last - k));
        }
    });
}

void check(const Tensor &x, const Tensor &blocks, const Tensor &factors) {
    expect((x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble) && x.dim() == 2, "x",
           "float32 or float64 [n, width]", x);
    expect(factors.scalar_type() == at::kDouble && factors.dim() == 1, "factors",
           "float64 [n_blocks]", factors);
    expect(blocks.scalar_type() == at::kLong && blocks.dim() == 2 &&
               blocks.size(0) == factors.size(0) && blocks.size(1) == BLOCK_COLUMNS,
           "blocks", "int64 [n_blocks, 6] as in factors", blocks);
}

struct GateBackward {
    struct Inputs {
        Tensor gradient; // [n, width_out]
        Tensor x, blocks, factors;

        static constexpr auto list() {
            return std::tuple{Argument{"gradient", &Inputs::gradient}, Argument{"x", &Inputs::x},
                              Argument{"blocks", &Inputs::blocks},
                              Argument{"factors", &Inputs::factors}};
        }
    };
    static constexpr const char *NAME = "gate_backward";

    static const Tensor &like(const Inputs &in) { return in.x; }
    static std::array<Shape, 1> shapes(const Inputs &in) { return {in.x.sym_sizes().vec()}; }
    static void check(const Inputs &in) {
        egraff::check(in.x, in.blocks, in.factors);
        expect(in.gradient.scalar_type() == in.x.scalar_type() && in.gradient.dim() == 2 &&
                   in.gradient.size(0) == in.x.size(0),
               "gradient", "[n, width_out] of the type of x", in.gradient);
    }
    static std::string no_derivative() { return no_second_derivative(OPERATOR); }

    struct Cpu {
        template <typename T> static Tensors<1> forward(const Inputs &in) {
            const int64_t width_in = in.x.size(1), width_out = in.gradient.size(1);
            const auto blocks = read_blocks<T>(in.x, in.blocks, in.factors, width_out);
            Tensor d_x = at::empty_like(in.x);
            const T *from = in.x.const_data_ptr<T>(), *by = in.gradient.const_data_ptr<T>();
            T *to = d_x.mutable_data_ptr<T>();
            for_groups(in.x.size(0), [&](int64_t first, int64_t count) {
                simd::kernels<gate::Kernels<T>>().backward(
                    {count, width_in, width_out, blocks.data(), std::ssize(blocks),
                     from + first * width_in, by + first * width_out, to + first * width_in});
            });
            return {d_x};
        }
    };
};

struct Gate {
    struct Inputs {
        Tensor x;       // [n, width]
        Tensor blocks;  // int64 [n_blocks, 6], see BlockColumn
        Tensor factors; // float64 [n_blocks], of the activations
        Size width_out;

        static constexpr auto list() {
            return std::tuple{Argument{"x", &Inputs::x}, Argument{"blocks", &Inputs::blocks},
                              Argument{"factors", &Inputs::factors},
                              Argument{"width_out", &Inputs::width_out}};
        }
    };
    static constexpr const char *NAME = "gate";

    static const Tensor &like(const Inputs &in) { return in.x; }
    static std::array<Shape, 1> shapes(const Inputs &in) {
        return {Shape{in.x.sym_size(0), in.width_out.symbol}};
    }
    static void check(const Inputs &in) { egraff::check(in.x, in.blocks, in.factors); }

    struct Cpu {
        template <typename T> static Tensors<1> forward(const Inputs &in) {
            const int64_t n = in.x.size(0), width_in = in.x.size(1), width_out = in.width_out;
            const auto blocks = read_blocks<T>(in.x, in.blocks, in.factors, width_out);
            Tensor result = at::empty({n, width_out}, in.x.options());
            const T *from = in.x.const_data_ptr<T>();
            T *to = result.mutable_data_ptr<T>();
            for_groups(n, [&](int64_t first, int64_t count) {
                simd::kernels<gate::Kernels<T>>().forward(
                    {count, width_in, width_out, blocks.data(), std::ssize(blocks),
                     from + first * width_in, to + first * width_out});
            });
            return {result};
        }
    };

    static variable_list derivative(AutogradContext *, const variable_list &gradients,
                                    const Tensor &x, const Tensor &blocks, const Tensor &factors,
                                    const c10::SymInt &) {
        return {call<Described<GateBackward>>(gradients[0], x, blocks, factors)};
    }
};

} // namespace

TORCH_LIBRARY_FRAGMENT(egraff, library) {
    define<Described<Gate>>(library);
    define<Described<GateBackward>>(library);
}

} // namespace egraff
