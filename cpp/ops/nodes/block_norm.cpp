// SPDX-License-Identifier: GPL-2.0-or-later
//
// egraff::block_norm: Equiformer's layer norm (Liao & Smidt, arXiv:2206.11990, eq. 7) on rows of
// blocks of columns. For a block b of N columns, of which the first, if there is a bias, loses its
// mean before and gets the bias after,
//
//   out = weight b / sqrt( sum over the block of b^2 / N + eps )  ( + bias )
//
// The derivative, by the row, is formed from the row alone, so that nothing else is kept. First
// derivatives; it serves inference, training uses the plain form.
#include "ops/nodes/node_blocks.h"
#include "ops/torch/fused_operator.h"

#include <ATen/ops/empty_like.h>

#include <cmath>
#include <numeric>

namespace egraff {
namespace {

constexpr const char *OPERATOR = "egraff::block_norm";

struct Inputs {
    Tensor x;                   // [n, width]
    Tensor weight;              // [width]
    Tensor bias;                // [0], or [columns of the first block]
    std::vector<int64_t> sizes; // columns of the blocks
    double eps;

    static constexpr auto list() {
        return std::tuple{Argument{"x", &Inputs::x}, Argument{"weight", &Inputs::weight},
                          Argument{"bias", &Inputs::bias}, Argument{"sizes", &Inputs::sizes},
                          Argument{"eps", &Inputs::eps}};
    }
};

// The sum of term(0..n - 1), in lanes that the compiler can hold in registers.
template <typename T, typename Term> T sum(int64_t n, const Term &term) {
    constexpr int64_t LANES = 16;
    T lanes[LANES] = {};
    int64_t k = 0;
    for (; k + LANES <= n; k += LANES) {
        for (int64_t lane = 0; lane < LANES; ++lane) {
            lanes[lane] += term(k + lane);
        }
    }
    T total = 0;
    for (; k < n; ++k) {
        total += term(k);
    }
    for (const T lane : lanes) {
        total += lane;
    }
    return total;
}

// One block of one row: its mean, if that is taken off, and the inverse of its root mean square.
template <typename T> struct Moments {
    Moments(const T *x, int64_t n, bool centred, double eps) {
        mean = centred ? sum<T>(n, [&](int64_t k) { return x[k]; }) / static_cast<T>(n) : T(0);
        const T square = sum<T>(n, [&](int64_t k) { return (x[k] - mean) * (x[k] - mean); });
        inverse = T(1) / std::sqrt(square / static_cast<T>(n) + static_cast<T>(eps));
    }
    T mean, inverse;
};

// Calls use(where the block starts in all rows, where in its own, columns, whether it is centred)
// for all blocks of all rows.
template <typename Use> void for_all(const Inputs &in, const Use &use) {
    const std::vector<int64_t> &sizes = in.sizes;
    const int64_t width = in.x.size(1);
    const bool biased = in.bias.size(0) != 0;
    nodes::for_blocks(in.x.size(0), [&] {
        return [&](int64_t first, int64_t count) {
            for (int64_t node = first; node < first + count; ++node) {
                int64_t column = 0;
                for (size_t k = 0; k < sizes.size(); column += sizes[k], ++k) {
                    if (sizes[k] > 0) {
                        use(node * width + column, column, sizes[k], biased && k == 0);
                    }
                }
            }
        };
    });
}

struct Cpu {
    template <typename T> static Tensors<1> forward(const Inputs &inputs) {
        const Tensor &x = inputs.x, &weight = inputs.weight;
        Tensor out = at::empty_like(x);
        const T *const from = x.const_data_ptr<T>(), *const weights = weight.const_data_ptr<T>();
        const T *const biases = inputs.bias.const_data_ptr<T>();
        T *const to = out.mutable_data_ptr<T>();
        for_all(inputs,
                [&, eps = inputs.eps](int64_t start, int64_t column, int64_t n, bool centred) {
                    const T *in = from + start, *w = weights + column;
                    T *__restrict result = to + start;
                    const Moments<T> m(in, n, centred, eps);
                    for (int64_t k = 0; k < n; ++k) {
                        result[k] = (in[k] - m.mean) * m.inverse * w[k];
                    }
                    if (centred) {
                        for (int64_t k = 0; k < n; ++k) {
                            result[k] += biases[k];
                        }
                    }
                });
        return {out};
    }

    template <typename T>
    static Tensors<1> backward(const Tensors<1> &gradients, const Inputs &inputs,
                               const std::array<bool, 1> &) {
        const Tensor &x = inputs.x, &weight = inputs.weight;
        Tensor d_x = at::empty_like(x);
        const T *const from = x.const_data_ptr<T>(), *const weights = weight.const_data_ptr<T>();
        const T *const gradient = gradients[0].const_data_ptr<T>();
        T *const to = d_x.mutable_data_ptr<T>();
        for_all(inputs, [&, eps = inputs.eps](int64_t start, int64_t column, int64_t n,
                                              bool centred) {
            const T *in = from + start, *w = weights + column, *by = gradient + start;
            T *__restrict result = to + start;
            const Moments<T> m(in, n, centred, eps);
            // a change along the block itself changes only what it is divided by
            const T along = sum<T>(n, [&](int64_t k) { return by[k] * w[k] * (in[k] - m.mean); });
            const T share = along * m.inverse * m.inverse / static_cast<T>(n);
            for (int64_t k = 0; k < n; ++k) {
                result[k] = m.inverse * (by[k] * w[k] - (in[k] - m.mean) * share);
            }
            if (centred) {
                const T mean = sum<T>(n, [&](int64_t k) { return result[k]; }) / static_cast<T>(n);
                for (int64_t k = 0; k < n; ++k) {
                    result[k] -= mean;
                }
            }
        });
        return {d_x};
    }
};

struct BlockNorm {
    static constexpr const char *NAME = "block_norm";
    using Inputs = egraff::Inputs;
    static constexpr std::array GRADIENTS{"by_out"};
    static constexpr size_t N_DERIVATIVES = 1; // x
    using Cpu = egraff::Cpu;

    static const Tensor &like(const Inputs &in) { return in.x; }
    static std::array<Shape, 1> shapes(const Inputs &in) { return {in.x.sym_sizes().vec()}; }
    static void check(const Inputs &in) {
        const Tensor &x = in.x, &weight = in.weight, &bias = in.bias;
        const std::vector<int64_t> &sizes = in.sizes;
        const auto dtype = x.scalar_type();
        const int64_t width = std::accumulate(sizes.begin(), sizes.end(), int64_t(0));
        TORCH_CHECK_VALUE((dtype == at::kFloat || dtype == at::kDouble) && x.dim() == 2 &&
                              x.size(1) == width,
                          OPERATOR, ": x: expected float32 or float64 [n, ", width, "], got ",
                          dtype, " ", x.sizes());
        TORCH_CHECK_VALUE(weight.scalar_type() == dtype && weight.dim() == 1 &&
                              weight.size(0) == width,
                          OPERATOR, ": weight: expected ", dtype, " [", width, "], got ",
                          weight.scalar_type(), " ", weight.sizes());
        TORCH_CHECK_VALUE(bias.scalar_type() == dtype && bias.dim() == 1 &&
                              (bias.size(0) == 0 || (!sizes.empty() && bias.size(0) == sizes[0])),
                          OPERATOR, ": bias: expected ", dtype,
                          " [0] or as many as the first of the sizes ", at::IntArrayRef(sizes),
                          ", got ", bias.scalar_type(), " ", bias.sizes());
    }
};

} // namespace

TORCH_LIBRARY_FRAGMENT(egraff, library) { define_fused<BlockNorm>(library); }

} // namespace egraff
