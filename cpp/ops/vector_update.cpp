// SPDX-License-Identifier: GPL-2.0-or-later
//
// egraff::gated_vector_update: what an atom of the equivariant transformer makes of the sums of
// its messages (Thoelke & De Fabritiis, arXiv:2202.02541, eqs. 9-11), in one go through memory. For
// gates q, three linear maps U1, U2, U3 of its own vectors, and the sum w of the vector messages
//
//   dx = q3 + q2 sum over components of U1 U2 ;   dv = w + q1 U3
//
// First derivatives by all three; it serves inference, training uses the plain form.
#include "ops/edge_convolution_kernels.h"

#include <ATen/Parallel.h>
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

constexpr const char *OPERATOR = "egraff::gated_vector_update";
constexpr const char *DOUBLE_BACKWARD =
    "egraff::gated_vector_update has no second derivative: fused models are for inference.\n"
    "  fix: train with the plain model, or export it with --no-fuse";
constexpr const char *NO_GPU =
    "egraff::gated_vector_update runs on the CPU only, got tensors on a GPU.\n"
    "  fix: use device cpu, or export the model with --no-fuse for the GPU";
// nodes that a thread takes at a time
constexpr int64_t GRAIN = 64;

void expect(const Tensor &x, const char *name, at::IntArrayRef shape, const Tensor &like) {
    TORCH_CHECK_VALUE(x.scalar_type() == like.scalar_type() && x.sizes() == shape, OPERATOR, ": ",
                      name, ": expected ", like.scalar_type(), " ", shape, ", got ",
                      x.scalar_type(), " ", x.sizes());
}

void check(const Tensor &gates, const Tensor &maps, const Tensor &sums) {
    const auto dtype = gates.scalar_type();
    TORCH_CHECK_VALUE((dtype == at::kFloat || dtype == at::kDouble) && gates.dim() == 2 &&
                          gates.size(1) % 3 == 0,
                      OPERATOR, ": gates: expected float32 or float64 [n, 3 width], got ", dtype,
                      " ", gates.sizes());
    const int64_t n = gates.size(0), width = gates.size(1) / 3;
    expect(maps, "maps", {n, 3, 3 * width}, gates);
    expect(sums, "sums", {n, 3, width}, gates);
}

template <typename T>
Pair forward_typed(const Tensor &gates, const Tensor &maps, const Tensor &sums) {
    const int64_t n = gates.size(0), width = gates.size(1) / 3;
    Tensor scalars = at::empty({n, width}, gates.options()), vectors = at::empty_like(sums);
    const T *gate = gates.const_data_ptr<T>(), *map = maps.const_data_ptr<T>();
    const T *sum = sums.const_data_ptr<T>();
    T *scalar = scalars.mutable_data_ptr<T>(), *vector = vectors.mutable_data_ptr<T>();
    at::parallel_for(0, n, GRAIN, [&](int64_t begin, int64_t end) {
        convolution::kernels<T>().update_forward(
            {end - begin, width, gate + 3 * begin * width, map + 9 * begin * width,
             sum + 3 * begin * width, scalar + begin * width, vector + 3 * begin * width});
    });
    return {scalars, vectors};
}

template <typename T>
Pair backward_typed(const Tensor &by_scalars, const Tensor &by_vectors, const Tensor &gates,
                    const Tensor &maps) {
    const int64_t n = gates.size(0), width = gates.size(1) / 3;
    Tensor d_gates = at::empty_like(gates), d_maps = at::empty_like(maps);
    const T *gate = gates.const_data_ptr<T>(), *map = maps.const_data_ptr<T>();
    const T *by_scalar = by_scalars.const_data_ptr<T>();
    const T *by_vector = by_vectors.const_data_ptr<T>();
    T *d_gate = d_gates.mutable_data_ptr<T>(), *d_map = d_maps.mutable_data_ptr<T>();
    at::parallel_for(0, n, GRAIN, [&](int64_t begin, int64_t end) {
        convolution::kernels<T>().update_backward(
            {end - begin, width, gate + 3 * begin * width, map + 9 * begin * width,
             by_scalar + begin * width, by_vector + 3 * begin * width, d_gate + 3 * begin * width,
             d_map + 9 * begin * width});
    });
    return {d_gates, d_maps};
}

Pair forward_kernel(const Tensor &gates, const Tensor &maps, const Tensor &sums) {
    check(gates, maps, sums);
    const Tensor a = gates.contiguous(), b = maps.contiguous(), c = sums.contiguous();
    return gates.scalar_type() == at::kFloat ? forward_typed<float>(a, b, c)
                                             : forward_typed<double>(a, b, c);
}

Pair backward_kernel(const Tensor &by_scalars, const Tensor &by_vectors, const Tensor &gates,
                     const Tensor &maps) {
    check(gates, maps, by_vectors);
    expect(by_scalars, "by_scalars", {gates.size(0), gates.size(1) / 3}, gates);
    const Tensor a = by_scalars.contiguous(), b = by_vectors.contiguous();
    const Tensor c = gates.contiguous(), d = maps.contiguous();
    return gates.scalar_type() == at::kFloat ? backward_typed<float>(a, b, c, d)
                                             : backward_typed<double>(a, b, c, d);
}

Pair forward_no_gpu(const Tensor &, const Tensor &, const Tensor &) {
    TORCH_CHECK_NOT_IMPLEMENTED(false, NO_GPU);
}

// ---- shapes, for torch.export and torch.compile ----------------------------------------------

Pair forward_meta(const Tensor &gates, const Tensor &, const Tensor &sums) {
    return {gates.new_empty_symint({sums.sym_size(0), sums.sym_size(2)}),
            sums.new_empty_symint(sums.sym_sizes())};
}

Pair backward_meta(const Tensor &, const Tensor &, const Tensor &gates, const Tensor &maps) {
    return {gates.new_empty_symint(gates.sym_sizes()), maps.new_empty_symint(maps.sym_sizes())};
}

// ---- derivatives -----------------------------------------------------------------------------

Pair call_forward(const Tensor &gates, const Tensor &maps, const Tensor &sums) {
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("egraff::gated_vector_update", "")
                               .typed<Pair(const Tensor &, const Tensor &, const Tensor &)>();
    return op.call(gates, maps, sums);
}

Pair call_backward(const Tensor &by_scalars, const Tensor &by_vectors, const Tensor &gates,
                   const Tensor &maps) {
    static const auto op =
        c10::Dispatcher::singleton()
            .findSchemaOrThrow("egraff::gated_vector_update_backward", "")
            .typed<Pair(const Tensor &, const Tensor &, const Tensor &, const Tensor &)>();
    return op.call(by_scalars, by_vectors, gates, maps);
}

struct Update : torch::autograd::Function<Update> {
    static variable_list forward(AutogradContext *ctx, const Tensor &gates, const Tensor &maps,
                                 const Tensor &sums) {
        ctx->save_for_backward({gates, maps});
        at::AutoDispatchBelowADInplaceOrView below_autograd;
        auto [scalars, vectors] = call_forward(gates, maps, sums);
        return {scalars, vectors};
    }

    static variable_list backward(AutogradContext *ctx, const variable_list &gradients) {
        const variable_list s = ctx->get_saved_variables();
        auto [d_gates, d_maps] = call_backward(gradients[0], gradients[1], s[0], s[1]);
        return {d_gates, d_maps, gradients[1]};
    }
};

// A first derivative whose own derivative is an error, not a zero.
struct UpdateBackward : torch::autograd::Function<UpdateBackward> {
    static variable_list forward(AutogradContext *, const Tensor &by_scalars,
                                 const Tensor &by_vectors, const Tensor &gates,
                                 const Tensor &maps) {
        at::AutoDispatchBelowADInplaceOrView below_autograd;
        auto [d_gates, d_maps] = call_backward(by_scalars, by_vectors, gates, maps);
        return {d_gates, d_maps};
    }

    static variable_list backward(AutogradContext *, const variable_list &) {
        TORCH_CHECK_NOT_IMPLEMENTED(false, DOUBLE_BACKWARD);
    }
};

Pair forward_autograd(const Tensor &gates, const Tensor &maps, const Tensor &sums) {
    const variable_list result = Update::apply(gates, maps, sums);
    return {result[0], result[1]};
}

Pair backward_autograd(const Tensor &by_scalars, const Tensor &by_vectors, const Tensor &gates,
                       const Tensor &maps) {
    const variable_list result = UpdateBackward::apply(by_scalars, by_vectors, gates, maps);
    return {result[0], result[1]};
}

} // namespace
} // namespace egraff

TORCH_LIBRARY_FRAGMENT(egraff, library) {
    library.def("gated_vector_update(Tensor gates, Tensor maps, Tensor sums) -> (Tensor, Tensor)",
                {at::Tag::pt2_compliant_tag});
    library.def("gated_vector_update_backward(Tensor by_scalars, Tensor by_vectors, Tensor gates, "
                "Tensor maps) -> (Tensor, Tensor)",
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
