// SPDX-License-Identifier: GPL-2.0-or-later
//
// egraff::ghost_exchange(x_local [n_local, w], n_nodes) -> x_all [n_nodes, w]
// egraff::ghost_reduce(g_all [n_nodes, w], n_local) -> g_local [n_local, w]
//
// Each is linear and the adjoint of the other, so each is the other's derivative, to any order.
// Results never alias inputs, for functionalisation and AOTInductor rely on that, but where a
// SharedResultScope allows it: there as little as possible is copied.
#include "ops/exchange.h"
#include "ops/torch/operator.h"

namespace egraff {
namespace {

void check_rows(const char *op, const char *argument, const Tensor &x) {
    TORCH_CHECK_VALUE(x.dim() == 2, "egraff::", op, ": expected `", argument,
                      "` of shape [rows, width], got ", x.dim(),
                      " dimension(s).\n  fix: flatten the features of each node into one row");
}

void check_result(const char *op, const Tensor &y, int64_t rows, int64_t width) {
    TORCH_CHECK(y.dim() == 2 && y.size(0) == rows && y.size(1) == width, "egraff::", op,
                ": expected the engine to return [", rows, ", ", width, "], got ", y.sizes());
}

bool nothing_to_do(const Tensor &x, const c10::SymInt &rows) {
    return may_share_result() && !exchange_backend() && x.dim() == 2 && x.sym_size(0) == rows;
}

// The kernels are for any device whose tensors the backend understands. A collective operator may
// not depend on which gradients one rank happens to need, so derivatives have no shortcut for
// undefined ones: autograd fills them with zeros.
struct Exchange {
    static constexpr const char *SCHEMA =
        "ghost_exchange(Tensor x_local, SymInt n_nodes) -> Tensor";

    static Tensor cpu(const Tensor &x_local, int64_t n_nodes) {
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
                          "  fix: fold ghosts onto the atoms that own them (n_nodes == n_local), "
                          "or evaluate inside LAMMPS");
        return x_local.clone(at::MemoryFormat::Contiguous);
    }

    static constexpr auto cuda = cpu;

    static Tensor meta(const Tensor &x_local, c10::SymInt n_nodes) {
        check_rows("ghost_exchange", "x_local", x_local);
        return x_local.new_empty_symint({n_nodes, x_local.sym_size(1)});
    }

    static Tensor autograd(const Tensor &x_local, c10::SymInt n_nodes) {
        return nothing_to_do(x_local, n_nodes) ? x_local
                                               : Autograd<Exchange>::kernel(x_local, n_nodes);
    }

    static auto keep(const Tensor &x_local, const c10::SymInt &n_nodes) {
        return std::tuple(x_local.sym_size(0));
    }

    static variable_list derivative(AutogradContext *, const variable_list &gradients,
                                    const c10::SymInt &n_local);
};

struct Reduce {
    static constexpr const char *SCHEMA = "ghost_reduce(Tensor g_all, SymInt n_local) -> Tensor";

    static Tensor cpu(const Tensor &g_all, int64_t n_local) {
        check_rows("ghost_reduce", "g_all", g_all);
        if (ExchangeBackend *backend = exchange_backend()) {
            TORCH_CHECK_VALUE(n_local <= g_all.size(0),
                              "egraff::ghost_reduce: expected n_local <= ", g_all.size(0),
                              " (the rows of `g_all`), got ", n_local);
            Tensor g_local = backend->reverse(g_all.contiguous(), n_local);
            check_result("ghost_reduce", g_local, n_local, g_all.size(1));
            return g_local;
        }
        TORCH_CHECK_VALUE(n_local == g_all.size(0), "egraff::ghost_reduce: expected ",
                          g_all.size(0), " nodes, all local, got n_local = ", n_local,
                          ": the graph has ghost nodes, but no engine is there to send them home.\n"
                          "  fix: fold ghosts onto the atoms that own them (n_nodes == n_local), "
                          "or evaluate inside LAMMPS");
        return g_all.clone(at::MemoryFormat::Contiguous);
    }

    static constexpr auto cuda = cpu;

    static Tensor meta(const Tensor &g_all, c10::SymInt n_local) {
        check_rows("ghost_reduce", "g_all", g_all);
        return g_all.new_empty_symint({n_local, g_all.sym_size(1)});
    }

    static Tensor autograd(const Tensor &g_all, c10::SymInt n_local) {
        return nothing_to_do(g_all, n_local) ? g_all : Autograd<Reduce>::kernel(g_all, n_local);
    }

    static auto keep(const Tensor &g_all, const c10::SymInt &n_local) {
        return std::tuple(g_all.sym_size(0));
    }

    static variable_list derivative(AutogradContext *, const variable_list &gradients,
                                    const c10::SymInt &n_nodes) {
        return {call<Exchange>(gradients[0], n_nodes)};
    }
};

// Autograd has given its gradients away: what it still held would be counted here.
bool nobody_else_holds(const Tensor &x) {
    return x.use_count() == 1 && x.has_storage() && x.storage().use_count() == 1;
}

variable_list Exchange::derivative(AutogradContext *, const variable_list &gradients,
                                   const c10::SymInt &n_local) {
    const Tensor &g = gradients[0];
    ExchangeBackend *backend = exchange_backend();
    if (backend && may_share_result() && !at::GradMode::is_enabled() && g.dim() == 2 &&
        g.is_contiguous() && nobody_else_holds(g)) {
        const int64_t rows = n_local.expect_int();
        Tensor sums = backend->reverse_in_place(g, rows);
        check_result("ghost_reduce", sums, rows, g.size(1));
        return {sums};
    }
    return {call<Reduce>(g, n_local)};
}

} // namespace

TORCH_LIBRARY(egraff, library) {
    define<Exchange>(library);
    define<Reduce>(library);
}

} // namespace egraff
