// SPDX-License-Identifier: GPL-2.0-or-later
//
// egraff::swish_gate: the non-linearity of Equiformer's feed-forward network (Liao & Smidt,
// arXiv:2206.11990, section 3.2) on rows of even scalars s, gates g and gated features t, blocks of
// channels with the components of each channel side by side:
//
//   out = ( scale silu(s) , gate_scale sigmoid(g) t )
//
// The derivative, by the row, is formed from the row alone, so that nothing else is kept; the plain
// form keeps a gate for each component, and all gates. First derivatives; it serves inference.
#include "ops/node_blocks.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/sigmoid.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <vector>

namespace egraff {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr const char *NAME = "egraff::swish_gate";
constexpr const char *DOUBLE_BACKWARD =
    "egraff::swish_gate has no second derivative: fused models are for inference.\n"
    "  fix: train with the plain model, or export it with --no-fuse";
constexpr const char *NO_GPU =
    "egraff::swish_gate runs on the CPU only, got tensors on a GPU.\n"
    "  fix: use device cpu, or export the model with --no-fuse for the GPU";

#define EGRAFF_GATE_ARGUMENTS                                                                      \
    const Tensor &x, int64_t n_scalars, at::IntArrayRef channels, at::IntArrayRef dims,            \
        double scale, double gate_scale
#define EGRAFF_GATE_VALUES x, n_scalars, channels, dims, scale, gate_scale

// What the columns of a row are.
struct Columns {
    Columns(EGRAFF_GATE_ARGUMENTS)
        : n_scalars(n_scalars), channels(channels), dims(dims), scale(scale),
          gate_scale(gate_scale) {
        TORCH_CHECK_VALUE(channels.size() == dims.size(), NAME, ": dims: expected one for each of ",
                          channels.size(), " blocks of channels, got ", dims.size());
        for (size_t k = 0; k < dims.size(); ++k) {
            n_gates += channels[k];
            n_gated += channels[k] * dims[k];
        }
        const auto dtype = x.scalar_type();
        TORCH_CHECK_VALUE(
            (dtype == at::kFloat || dtype == at::kDouble) && x.dim() == 2 && x.size(1) == in(),
            NAME, ": x: expected float32 or float64 [n, ", in(), "], got ", dtype, " ", x.sizes());
    }

    int64_t in() const { return n_scalars + n_gates + n_gated; }
    int64_t out() const { return n_scalars + n_gated; }
    int64_t activated() const { return n_scalars + n_gates; }

    int64_t n_scalars, n_gates = 0, n_gated = 0;
    at::IntArrayRef channels, dims;
    double scale, gate_scale;
};

template <typename T>
void forward_row(const Columns &c, const T *x, const T *sigmoid, T *__restrict out) {
    for (int64_t k = 0; k < c.n_scalars; ++k) {
        out[k] = static_cast<T>(c.scale) * x[k] * sigmoid[k];
    }
    x += c.activated(), sigmoid += c.n_scalars, out += c.n_scalars;
    for (size_t block = 0; block < c.dims.size(); ++block) {
        for (int64_t channel = 0; channel < c.channels[block]; ++channel) {
            const T gate = static_cast<T>(c.gate_scale) * *sigmoid++;
            for (int64_t m = 0; m < c.dims[block]; ++m) {
                *out++ = gate * *x++;
            }
        }
    }
}

template <typename T>
void backward_row(const Columns &c, const T *by, const T *x, const T *sigmoid, T *__restrict d_x) {
    for (int64_t k = 0; k < c.n_scalars; ++k) {
        const T s = sigmoid[k];
        d_x[k] = static_cast<T>(c.scale) * by[k] * s * (T(1) + x[k] * (T(1) - s));
    }
    const T *gated = x + c.activated();
    T *d_gated = d_x + c.activated(), *d_gate = d_x + c.n_scalars;
    by += c.n_scalars, sigmoid += c.n_scalars;
    for (size_t block = 0; block < c.dims.size(); ++block) {
        for (int64_t channel = 0; channel < c.channels[block]; ++channel) {
            const T s = *sigmoid++, gate = static_cast<T>(c.gate_scale) * s;
            T sum = 0;
            for (int64_t m = 0; m < c.dims[block]; ++m) {
                sum += *by * *gated++;
                *d_gated++ = gate * *by++;
            }
            *d_gate++ = sum * gate * (T(1) - s);
        }
    }
}

// Calls row(node, its sigmoids) for all nodes.
template <typename T, typename Row>
void with_sigmoids(const Tensor &x, const Columns &c, const Row &row) {
    nodes::for_blocks(x.size(0), [&] {
        Tensor sigmoids = at::empty({nodes::BLOCK, c.activated()}, x.options());
        return [&, sigmoids](int64_t first, int64_t count) {
            Tensor to = sigmoids.narrow(0, 0, count);
            at::sigmoid_out(to, x.narrow(0, first, count).narrow(1, 0, c.activated()));
            for (int64_t k = 0; k < count; ++k) {
                row(first + k, sigmoids.const_data_ptr<T>() + k * c.activated());
            }
        };
    });
}

template <typename T> Tensor forward_typed(const Tensor &x, const Columns &c) {
    Tensor out = at::empty({x.size(0), c.out()}, x.options());
    const T *const from = x.const_data_ptr<T>();
    T *const to = out.mutable_data_ptr<T>();
    with_sigmoids<T>(x, c, [&](int64_t node, const T *sigmoid) {
        forward_row(c, from + node * c.in(), sigmoid, to + node * c.out());
    });
    return out;
}

template <typename T> Tensor backward_typed(const Tensor &by, const Tensor &x, const Columns &c) {
    Tensor d_x = at::empty_like(x);
    const T *const from = x.const_data_ptr<T>(), *const gradient = by.const_data_ptr<T>();
    T *const to = d_x.mutable_data_ptr<T>();
    with_sigmoids<T>(x, c, [&](int64_t node, const T *sigmoid) {
        backward_row(c, gradient + node * c.out(), from + node * c.in(), sigmoid,
                     to + node * c.in());
    });
    return d_x;
}

Tensor forward_kernel(EGRAFF_GATE_ARGUMENTS) {
    const Columns columns(EGRAFF_GATE_VALUES);
    const Tensor rows = x.detach().contiguous();
    return x.scalar_type() == at::kFloat ? forward_typed<float>(rows, columns)
                                         : forward_typed<double>(rows, columns);
}

Tensor backward_kernel(const Tensor &by_out, EGRAFF_GATE_ARGUMENTS) {
    const Columns columns(EGRAFF_GATE_VALUES);
    const std::array<int64_t, 2> shape{x.size(0), columns.out()};
    TORCH_CHECK_VALUE(by_out.scalar_type() == x.scalar_type() &&
                          by_out.sizes() == at::IntArrayRef(shape),
                      NAME, ": by_out: expected ", x.scalar_type(), " ", at::IntArrayRef(shape),
                      ", got ", by_out.scalar_type(), " ", by_out.sizes());
    const Tensor by = by_out.detach().contiguous(), rows = x.detach().contiguous();
    return x.scalar_type() == at::kFloat ? backward_typed<float>(by, rows, columns)
                                         : backward_typed<double>(by, rows, columns);
}

Tensor forward_no_gpu(EGRAFF_GATE_ARGUMENTS) {
    (void)std::make_tuple(EGRAFF_GATE_VALUES);
    TORCH_CHECK_NOT_IMPLEMENTED(false, NO_GPU);
}

// ---- shapes, for torch.export and torch.compile ----------------------------------------------

Tensor forward_meta(EGRAFF_GATE_ARGUMENTS) {
    (void)std::make_tuple(EGRAFF_GATE_VALUES);
    int64_t n_gates = 0;
    for (const int64_t n : channels) {
        n_gates += n;
    }
    return x.new_empty_symint({x.sym_size(0), x.sym_size(1) - n_gates});
}

Tensor backward_meta(const Tensor &, EGRAFF_GATE_ARGUMENTS) {
    (void)std::make_tuple(EGRAFF_GATE_VALUES);
    return x.new_empty_symint(x.sym_sizes());
}

// ---- derivatives -----------------------------------------------------------------------------

Tensor call_forward(EGRAFF_GATE_ARGUMENTS) {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("egraff::swish_gate", "")
                               .typed<Tensor(EGRAFF_GATE_ARGUMENTS)>();
    return op.call(EGRAFF_GATE_VALUES);
}

Tensor call_backward(const Tensor &by_out, EGRAFF_GATE_ARGUMENTS) {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("egraff::swish_gate_backward", "")
                               .typed<Tensor(const Tensor &, EGRAFF_GATE_ARGUMENTS)>();
    return op.call(by_out, EGRAFF_GATE_VALUES);
}

struct Gate : torch::autograd::Function<Gate> {
    static Tensor forward(AutogradContext *ctx, EGRAFF_GATE_ARGUMENTS) {
        ctx->save_for_backward({x});
        ctx->saved_data["n_scalars"] = n_scalars;
        ctx->saved_data["channels"] = channels.vec();
        ctx->saved_data["dims"] = dims.vec();
        ctx->saved_data["scale"] = scale;
        ctx->saved_data["gate_scale"] = gate_scale;
        at::AutoDispatchBelowADInplaceOrView below_autograd;
        return call_forward(EGRAFF_GATE_VALUES);
    }

    static variable_list backward(AutogradContext *ctx, const variable_list &gradients) {
        const std::vector<int64_t> channels = ctx->saved_data["channels"].toIntVector();
        const std::vector<int64_t> dims = ctx->saved_data["dims"].toIntVector();
        variable_list result(6);
        result[0] = call_backward(gradients[0], ctx->get_saved_variables()[0],
                                  ctx->saved_data["n_scalars"].toInt(), channels, dims,
                                  ctx->saved_data["scale"].toDouble(),
                                  ctx->saved_data["gate_scale"].toDouble());
        return result;
    }
};

// A first derivative whose own derivative is an error, not a zero.
struct GateBackward : torch::autograd::Function<GateBackward> {
    static Tensor forward(AutogradContext *, const Tensor &by_out, EGRAFF_GATE_ARGUMENTS) {
        at::AutoDispatchBelowADInplaceOrView below_autograd;
        return call_backward(by_out, EGRAFF_GATE_VALUES);
    }

    static variable_list backward(AutogradContext *, const variable_list &) {
        TORCH_CHECK_NOT_IMPLEMENTED(false, DOUBLE_BACKWARD);
    }
};

Tensor forward_autograd(EGRAFF_GATE_ARGUMENTS) { return Gate::apply(EGRAFF_GATE_VALUES); }

Tensor backward_autograd(const Tensor &by_out, EGRAFF_GATE_ARGUMENTS) {
    return GateBackward::apply(by_out, EGRAFF_GATE_VALUES);
}

} // namespace
} // namespace egraff

#define EGRAFF_GATE_SCHEMA                                                                         \
    "Tensor x, int n_scalars, int[] channels, int[] dims, float scale, float gate_scale"

TORCH_LIBRARY_FRAGMENT(egraff, library) {
    library.def("swish_gate(" EGRAFF_GATE_SCHEMA ") -> Tensor", {at::Tag::pt2_compliant_tag});
    library.def("swish_gate_backward(Tensor by_out, " EGRAFF_GATE_SCHEMA ") -> Tensor",
                {at::Tag::pt2_compliant_tag});
}

TORCH_LIBRARY_IMPL(egraff, CPU, library) {
    library.impl("swish_gate", egraff::forward_kernel);
    library.impl("swish_gate_backward", egraff::backward_kernel);
}

TORCH_LIBRARY_IMPL(egraff, CUDA, library) { library.impl("swish_gate", egraff::forward_no_gpu); }

TORCH_LIBRARY_IMPL(egraff, Meta, library) {
    library.impl("swish_gate", egraff::forward_meta);
    library.impl("swish_gate_backward", egraff::backward_meta);
}

TORCH_LIBRARY_IMPL(egraff, Autograd, library) {
    library.impl("swish_gate", egraff::forward_autograd);
    library.impl("swish_gate_backward", egraff::backward_autograd);
}
