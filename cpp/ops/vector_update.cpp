// SPDX-License-Identifier: GPL-2.0-or-later
//
// egraff::gated_vector_update: what an atom of the equivariant transformer makes of the sums of
// its messages (Thoelke & De Fabritiis, arXiv:2202.02541, eqs. 8-11). For scalars x and vectors v,
// sums y and w of scalar and vector messages, and linear maps O, U1, U2, U3
//
//   q1, q2, q3 = O y ;   x' = x + q3 + q2 sum over components of U1 v U2 v ;   v' = v + w + q1 U3 v
//
// Gates q and the three maps of v are twelve rows of channels for four that go out. They are made
// for a block of atoms at a time, and again for the derivatives, which are by x, v, y and w; it
// serves inference, training uses the plain form.
#include "ops/edge_convolution_kernels.h"
#include "ops/node_blocks.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace egraff {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

using Pair = std::tuple<Tensor, Tensor>;

constexpr const char *NAME = "egraff::gated_vector_update";
constexpr const char *DOUBLE_BACKWARD =
    "egraff::gated_vector_update has no second derivative: fused models are for inference.\n"
    "  fix: train with the plain model, or export it with --no-fuse";
constexpr const char *NO_GPU =
    "egraff::gated_vector_update runs on the CPU only, got tensors on a GPU.\n"
    "  fix: use device cpu, or export the model with --no-fuse for the GPU";

#define EGRAFF_UPDATE_ARGUMENTS                                                                    \
    const Tensor &x, const Tensor &v, const Tensor &scalars, const Tensor &vectors,                \
        const Tensor &weight, const Tensor &bias, const Tensor &maps
#define EGRAFF_UPDATE_VALUES x, v, scalars, vectors, weight, bias, maps
// what derivatives depend on
#define EGRAFF_UPDATE_BACKWARD_ARGUMENTS                                                           \
    const Tensor &by_x, const Tensor &by_v, const Tensor &v, const Tensor &scalars,                \
        const Tensor &weight, const Tensor &bias, const Tensor &maps
#define EGRAFF_UPDATE_BACKWARD_VALUES by_x, by_v, v, scalars, weight, bias, maps

constexpr int64_t PARTS = 3;      // gates, and maps of vectors
constexpr int64_t COMPONENTS = 3; // of vectors

// What derivatives depend on, contiguous and outside of autograd, and sizes.
struct Call {
    Call(const Tensor &v, const Tensor &scalars, const Tensor &weight, const Tensor &bias,
         const Tensor &maps)
        : v(v.detach().contiguous()), scalars(scalars.detach().contiguous()),
          weight(weight.detach()), bias(bias.detach()), maps(maps.detach()) {
        const auto dtype = v.scalar_type();
        TORCH_CHECK_VALUE((dtype == at::kFloat || dtype == at::kDouble) && v.dim() == 3 &&
                              v.size(1) == COMPONENTS,
                          NAME, ": v: expected float32 or float64 [n, 3, width], got ", dtype, " ",
                          v.sizes());
        n = v.size(0), width = v.size(2);
        expect(scalars, "scalars", {n, width});
        expect(weight, "weight", {PARTS * width, width});
        expect(bias, "bias", {PARTS * width});
        expect(maps, "maps", {PARTS * width, width});
    }

    void expect(const Tensor &y, const char *name, at::IntArrayRef shape) const {
        TORCH_CHECK_VALUE(y.scalar_type() == v.scalar_type() && y.sizes() == shape, NAME, ": ",
                          name, ": expected ", v.scalar_type(), " ", shape, ", got ",
                          y.scalar_type(), " ", y.sizes());
    }

    // the vectors of some nodes, one component after another
    Tensor components(const Tensor &y, int64_t first, int64_t count) const {
        return y.narrow(0, first, count).view({count * COMPONENTS, width});
    }

    Tensor v, scalars, weight, bias, maps;
    int64_t n, width;
};

// Gates and maps of a block of nodes.
struct Block {
    explicit Block(const Call &c)
        : gates(at::empty({nodes::BLOCK, PARTS * c.width}, c.v.options())),
          mapped(at::empty({nodes::BLOCK * COMPONENTS, PARTS * c.width}, c.v.options())) {}

    void fill(const Call &c, int64_t first, int64_t count) {
        nodes::map(c.scalars.narrow(0, first, count), c.weight, c.bias, gates.narrow(0, 0, count));
        Tensor to = mapped.narrow(0, 0, count * COMPONENTS);
        at::mm_out(to, c.components(c.v, first, count), c.maps.t());
    }

    Tensor gates, mapped;
};

template <typename T> void add(const T *from, int64_t n, T *to) {
    for (int64_t k = 0; k < n; ++k) {
        to[k] += from[k];
    }
}

template <typename T> Pair forward_typed(const Call &c, const Tensor &x_in, const Tensor &vectors) {
    Tensor x_out = at::empty_like(x_in), v_out = at::empty_like(c.v);
    const int64_t w = c.width;
    nodes::for_blocks(c.n, [&] {
        return [&, block = Block(c)](int64_t first, int64_t count) mutable {
            block.fill(c, first, count);
            T *const x = x_out.mutable_data_ptr<T>() + first * w;
            T *const v = v_out.mutable_data_ptr<T>() + first * COMPONENTS * w;
            convolution::kernels<T>().update_forward(
                {count, w, block.gates.template const_data_ptr<T>(),
                 block.mapped.template const_data_ptr<T>(),
                 vectors.const_data_ptr<T>() + first * COMPONENTS * w, x, v});
            add(x_in.const_data_ptr<T>() + first * w, count * w, x);
            add(c.v.const_data_ptr<T>() + first * COMPONENTS * w, count * COMPONENTS * w, v);
        };
    });
    return {x_out, v_out};
}

template <typename T> Pair backward_typed(const Tensor &by_x, const Tensor &by_v, const Call &c) {
    Tensor d_v = at::empty_like(c.v), d_scalars = at::empty_like(c.scalars);
    const int64_t w = c.width;
    nodes::for_blocks(c.n, [&] {
        return [&, block = Block(c), by = Block(c)](int64_t first, int64_t count) mutable {
            block.fill(c, first, count);
            convolution::kernels<T>().update_backward(
                {count, w, block.gates.template const_data_ptr<T>(),
                 block.mapped.template const_data_ptr<T>(), by_x.const_data_ptr<T>() + first * w,
                 by_v.const_data_ptr<T>() + first * COMPONENTS * w,
                 by.gates.template mutable_data_ptr<T>(),
                 by.mapped.template mutable_data_ptr<T>()});
            Tensor to = d_scalars.narrow(0, first, count);
            at::mm_out(to, by.gates.narrow(0, 0, count), c.weight);
            to = c.components(d_v, first, count);
            at::addmm_out(to, c.components(by_v, first, count),
                          by.mapped.narrow(0, 0, count * COMPONENTS), c.maps);
        };
    });
    return {d_v, d_scalars};
}

Pair forward_kernel(EGRAFF_UPDATE_ARGUMENTS) {
    const Call call(v, scalars, weight, bias, maps);
    call.expect(x, "x", {call.n, call.width});
    call.expect(vectors, "vectors", {call.n, COMPONENTS, call.width});
    const Tensor a = x.detach().contiguous(), b = vectors.detach().contiguous();
    return x.scalar_type() == at::kFloat ? forward_typed<float>(call, a, b)
                                         : forward_typed<double>(call, a, b);
}

Pair backward_kernel(EGRAFF_UPDATE_BACKWARD_ARGUMENTS) {
    const Call call(v, scalars, weight, bias, maps);
    call.expect(by_x, "by_x", {call.n, call.width});
    call.expect(by_v, "by_v", {call.n, COMPONENTS, call.width});
    const Tensor a = by_x.detach().contiguous(), b = by_v.detach().contiguous();
    return v.scalar_type() == at::kFloat ? backward_typed<float>(a, b, call)
                                         : backward_typed<double>(a, b, call);
}

Pair forward_no_gpu(EGRAFF_UPDATE_ARGUMENTS) {
    (void)std::make_tuple(EGRAFF_UPDATE_VALUES);
    TORCH_CHECK_NOT_IMPLEMENTED(false, NO_GPU);
}

// ---- shapes, for torch.export and torch.compile ----------------------------------------------

Pair forward_meta(EGRAFF_UPDATE_ARGUMENTS) {
    (void)std::make_tuple(EGRAFF_UPDATE_VALUES);
    return {x.new_empty_symint(x.sym_sizes()), v.new_empty_symint(v.sym_sizes())};
}

Pair backward_meta(EGRAFF_UPDATE_BACKWARD_ARGUMENTS) {
    (void)std::make_tuple(EGRAFF_UPDATE_BACKWARD_VALUES);
    return {v.new_empty_symint(v.sym_sizes()), scalars.new_empty_symint(scalars.sym_sizes())};
}

// ---- derivatives -----------------------------------------------------------------------------

Pair call_forward(EGRAFF_UPDATE_ARGUMENTS) {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("egraff::gated_vector_update", "")
                               .typed<Pair(EGRAFF_UPDATE_ARGUMENTS)>();
    return op.call(EGRAFF_UPDATE_VALUES);
}

Pair call_backward(EGRAFF_UPDATE_BACKWARD_ARGUMENTS) {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("egraff::gated_vector_update_backward", "")
                               .typed<Pair(EGRAFF_UPDATE_BACKWARD_ARGUMENTS)>();
    return op.call(EGRAFF_UPDATE_BACKWARD_VALUES);
}

struct Update : torch::autograd::Function<Update> {
    static variable_list forward(AutogradContext *ctx, EGRAFF_UPDATE_ARGUMENTS) {
        ctx->save_for_backward({v, scalars, weight, bias, maps});
        at::AutoDispatchBelowADInplaceOrView below_autograd;
        auto [x_out, v_out] = call_forward(EGRAFF_UPDATE_VALUES);
        return {x_out, v_out};
    }

    static variable_list backward(AutogradContext *ctx, const variable_list &gradients) {
        const variable_list s = ctx->get_saved_variables();
        auto [d_v, d_scalars] =
            call_backward(gradients[0], gradients[1], s[0], s[1], s[2], s[3], s[4]);
        return {gradients[0], d_v, d_scalars, gradients[1], Tensor(), Tensor(), Tensor()};
    }
};

// A first derivative whose own derivative is an error, not a zero.
struct UpdateBackward : torch::autograd::Function<UpdateBackward> {
    static variable_list forward(AutogradContext *, EGRAFF_UPDATE_BACKWARD_ARGUMENTS) {
        at::AutoDispatchBelowADInplaceOrView below_autograd;
        auto [d_v, d_scalars] = call_backward(EGRAFF_UPDATE_BACKWARD_VALUES);
        return {d_v, d_scalars};
    }

    static variable_list backward(AutogradContext *, const variable_list &) {
        TORCH_CHECK_NOT_IMPLEMENTED(false, DOUBLE_BACKWARD);
    }
};

Pair forward_autograd(EGRAFF_UPDATE_ARGUMENTS) {
    const variable_list result = Update::apply(EGRAFF_UPDATE_VALUES);
    return {result[0], result[1]};
}

Pair backward_autograd(EGRAFF_UPDATE_BACKWARD_ARGUMENTS) {
    const variable_list result = UpdateBackward::apply(EGRAFF_UPDATE_BACKWARD_VALUES);
    return {result[0], result[1]};
}

} // namespace
} // namespace egraff

TORCH_LIBRARY_FRAGMENT(egraff, library) {
    library.def("gated_vector_update(Tensor x, Tensor v, Tensor scalars, Tensor vectors, "
                "Tensor weight, Tensor bias, Tensor maps) -> (Tensor, Tensor)",
                {at::Tag::pt2_compliant_tag});
    library.def("gated_vector_update_backward(Tensor by_x, Tensor by_v, Tensor v, Tensor scalars, "
                "Tensor weight, Tensor bias, Tensor maps) -> (Tensor, Tensor)",
                {at::Tag::pt2_compliant_tag});
}

TORCH_LIBRARY_IMPL(egraff, CPU, library) {
    library.impl("gated_vector_update", egraff::forward_kernel);
    library.impl("gated_vector_update_backward", egraff::backward_kernel);
}

TORCH_LIBRARY_IMPL(egraff, CUDA, library) {
    library.impl("gated_vector_update", egraff::forward_no_gpu);
}

TORCH_LIBRARY_IMPL(egraff, Meta, library) {
    library.impl("gated_vector_update", egraff::forward_meta);
    library.impl("gated_vector_update_backward", egraff::backward_meta);
}

TORCH_LIBRARY_IMPL(egraff, Autograd, library) {
    library.impl("gated_vector_update", egraff::forward_autograd);
    library.impl("gated_vector_update_backward", egraff::backward_autograd);
}
