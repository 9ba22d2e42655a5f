// SPDX-License-Identifier: GPL-2.0-or-later
//
// egraff::ghost_exchange(x_local [n_local, w], n_nodes) -> x_all [n_nodes, w]
// egraff::ghost_reduce(g_all [n_nodes, w], n_local) -> g_local [n_local, w]
//
// Each is linear and the adjoint of the other, so each is the other's derivative, to any order.
// Results never alias inputs, for functionalisation and AOTInductor rely on that; but where
// nothing is exchanged and a SharedResultScope allows it, autograd's caller gets its argument back.
#include "ops/exchange.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace egraff {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

void check_rows(const char *op, const char *argument, const Tensor &x) {
    TORCH_CHECK_VALUE(x.dim() == 2, "egraff::", op, ": expected `", argument,
                      "` of shape [rows, width], got ", x.dim(),
                      " dimension(s).\n  fix: flatten the features of each node into one row");
}

void check_result(const char *op, const Tensor &y, int64_t rows, int64_t width) {
    TORCH_CHECK(y.dim() == 2 && y.size(0) == rows && y.size(1) == width, "egraff::", op,
                ": expected the engine to return [", rows, ", ", width, "], got ", y.sizes());
}

// ---- kernels: CPU, CUDA, anything whose tensors the backend understands ----------------------

Tensor exchange_kernel(const Tensor &x_local, int64_t n_nodes) {
    check_rows("ghost_exchange", "x_local", x_local);
    if (ExchangeBackend *backend = exchange_backend()) {
        TORCH_CHECK_VALUE(n_nodes >= x_local.size(0),
                          "egraff::ghost_exchange: expected n_nodes >= ", x_local.size(0),
                          " (the rows of `x_local`), got ", n_nodes);
        Tensor x_all = backend->forward(x_local.contiguous(), n_nodes);
        check_result("ghost_exchange", x_all, n_nodes, x_local.size(1));
        return x_all;
    }
    TORCH_CHECK_VALUE(n_nodes == x_local.size(0), "egraff::ghost_exchange: expected ",
                      x_local.size(0), " nodes, all local, got ", n_nodes,
                      ": the graph has ghost nodes, but no engine is there to fill them.\n"
                      "  fix: fold ghosts onto the atoms that own them (n_nodes == n_local), or "
                      "evaluate inside LAMMPS");
    return x_local.clone(at::MemoryFormat::Contiguous);
}

Tensor reduce_kernel(const Tensor &g_all, int64_t n_local) {
    check_rows("ghost_reduce", "g_all", g_all);
    if (ExchangeBackend *backend = exchange_backend()) {
        TORCH_CHECK_VALUE(n_local <= g_all.size(0),
                          "egraff::ghost_reduce: expected n_local <= ", g_all.size(0),
                          " (the rows of `g_all`), got ", n_local);
        Tensor g_local = backend->reverse(g_all.contiguous(), n_local);
        check_result("ghost_reduce", g_local, n_local, g_all.size(1));
        return g_local;
    }
    TORCH_CHECK_VALUE(n_local == g_all.size(0), "egraff::ghost_reduce: expected ", g_all.size(0),
                      " nodes, all local, got n_local = ", n_local,
                      ": the graph has ghost nodes, but no engine is there to send them home.\n"
                      "  fix: fold ghosts onto the atoms that own them (n_nodes == n_local), or "
                      "evaluate inside LAMMPS");
    return g_all.clone(at::MemoryFormat::Contiguous);
}

// ---- shapes, for torch.export and torch.compile ----------------------------------------------

Tensor resized_meta(const Tensor &x, const c10::SymInt &rows) {
    return x.new_empty_symint({rows, x.sym_size(1)});
}

Tensor exchange_meta(const Tensor &x_local, c10::SymInt n_nodes) {
    check_rows("ghost_exchange", "x_local", x_local);
    return resized_meta(x_local, n_nodes);
}

Tensor reduce_meta(const Tensor &g_all, c10::SymInt n_local) {
    check_rows("ghost_reduce", "g_all", g_all);
    return resized_meta(g_all, n_local);
}

// ---- derivatives -----------------------------------------------------------------------------

Tensor call(const char *name, const Tensor &x, c10::SymInt rows) {
    return c10::Dispatcher::singleton()
        .findSchemaOrThrow(name, "")
        .typed<Tensor(const Tensor &, c10::SymInt)>()
        .call(x, std::move(rows));
}

Tensor call_exchange(const Tensor &x, c10::SymInt n_nodes) {
    return call("egraff::ghost_exchange", x, std::move(n_nodes));
}

Tensor call_reduce(const Tensor &g, c10::SymInt n_local) {
    return call("egraff::ghost_reduce", g, std::move(n_local));
}

// A collective operator may not depend on which gradients one rank happens to need, so there is no
// shortcut for undefined gradients: autograd fills them with zeros.
template <Tensor (*Self)(const Tensor &, c10::SymInt),
          Tensor (*Adjoint)(const Tensor &, c10::SymInt)>
struct Linear : torch::autograd::Function<Linear<Self, Adjoint>> {
    static Tensor forward(AutogradContext *ctx, const Tensor &x, c10::SymInt rows) {
        ctx->saved_data["rows"] = x.sym_size(0);
        at::AutoDispatchBelowADInplaceOrView below_autograd;
        return Self(x, std::move(rows));
    }

    static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
        return {Adjoint(grads[0], ctx->saved_data["rows"].toSymInt()), Tensor()};
    }
};

bool nothing_to_do(const Tensor &x, const c10::SymInt &rows) {
    return may_share_result() && !exchange_backend() && x.dim() == 2 && x.sym_size(0) == rows;
}

Tensor exchange_autograd(const Tensor &x_local, c10::SymInt n_nodes) {
    if (nothing_to_do(x_local, n_nodes)) {
        return x_local;
    }
    return Linear<call_exchange, call_reduce>::apply(x_local, std::move(n_nodes));
}

Tensor reduce_autograd(const Tensor &g_all, c10::SymInt n_local) {
    if (nothing_to_do(g_all, n_local)) {
        return g_all;
    }
    return Linear<call_reduce, call_exchange>::apply(g_all, std::move(n_local));
}

} // namespace
} // namespace egraff

TORCH_LIBRARY(egraff, library) {
    library.def("ghost_exchange(Tensor x_local, SymInt n_nodes) -> Tensor",
                {at::Tag::pt2_compliant_tag});
    library.def("ghost_reduce(Tensor g_all, SymInt n_local) -> Tensor",
                {at::Tag::pt2_compliant_tag});
}

TORCH_LIBRARY_IMPL(egraff, CPU, library) {
    library.impl("ghost_exchange", egraff::exchange_kernel);
    library.impl("ghost_reduce", egraff::reduce_kernel);
}

TORCH_LIBRARY_IMPL(egraff, CUDA, library) {
    library.impl("ghost_exchange", egraff::exchange_kernel);
    library.impl("ghost_reduce", egraff::reduce_kernel);
}

TORCH_LIBRARY_IMPL(egraff, Meta, library) {
    library.impl("ghost_exchange", egraff::exchange_meta);
    library.impl("ghost_reduce", egraff::reduce_meta);
}

TORCH_LIBRARY_IMPL(egraff, Autograd, library) {
    library.impl("ghost_exchange", egraff::exchange_autograd);
    library.impl("ghost_reduce", egraff::reduce_autograd);
}
