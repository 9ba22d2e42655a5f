// SPDX-License-Identifier: GPL-2.0-or-later
//
// egraff::ghost_exchange(x_local [n_local, w], n_nodes) -> x_all [n_nodes, w]
// egraff::ghost_reduce(g_all [n_nodes, w], n_local) -> g_local [n_local, w]
//
// Each is linear and the adjoint of the other, so each is the other's derivative, to any order.
// Their results are new arrays, on which functionalisation and AOTInductor rely.
//
// egraff::ghost_exchange_shared is the first one for engines, which put it where nobody writes into
// either array: its result may share memory with its argument, as that of Tensor.reshape may.
#include "ops/exchange.h"
#include "ops/torch/operator.h"

namespace egraff {
namespace {

void check_rows(const char *op, const char *argument, const Tensor &x) {
    TORCH_CHECK_VALUE(x.dim() == 2, "egraff::", op, ": expected `", argument,
                      "` of shape [rows, width], got ", x.dim(),
                      " dimension(s).\n  fix: flatten the features of each node into one row");
}

constexpr const char *NO_ENGINE =
    "\n  fix: fold ghosts onto the atoms that own them (n_nodes == n_local), or evaluate inside "
    "LAMMPS";

void check_exchange(const char *op, const Tensor &x_local, int64_t n_nodes) {
    check_rows(op, "x_local", x_local);
    const int64_t n_local = x_local.size(0);
    if (exchange_backend()) {
        TORCH_CHECK_VALUE(n_nodes >= n_local, "egraff::", op, ": expected n_nodes >= ", n_local,
                          " (the rows of `x_local`), got ", n_nodes);
    } else {
        TORCH_CHECK_VALUE(n_nodes == n_local, "egraff::", op, ": expected ", n_local,
                          " nodes, all local, got ", n_nodes,
                          ": the graph has ghost nodes, but no engine is there to fill them.",
                          NO_ENGINE);
    }
}

void fill_ghosts(const Tensor &all, int64_t n_local) {
    if (ExchangeBackend *backend = exchange_backend()) {
        backend->fill_ghosts(all, n_local);
    }
}

// The kernels are for any device whose tensors the backend understands. A collective operator may
// not depend on which gradients one rank happens to need, so derivatives have no shortcut for
// undefined ones: autograd fills them with zeros.
struct Exchange {
    static constexpr const char *SCHEMA =
        "ghost_exchange(Tensor x_local, SymInt n_nodes) -> Tensor";

    static Tensor cpu(const Tensor &x_local, int64_t n_nodes) {
        check_exchange("ghost_exchange", x_local, n_nodes);
        const int64_t n_local = x_local.size(0);
        Tensor all = at::empty({n_nodes, x_local.size(1)}, x_local.options());
        all.narrow(0, 0, n_local).copy_(x_local);
        fill_ghosts(all, n_local);
        return all;
    }

    static constexpr auto cuda = cpu;

    static Tensor meta(const Tensor &x_local, c10::SymInt n_nodes) {
        check_rows("ghost_exchange", "x_local", x_local);
        return x_local.new_empty_symint({n_nodes, x_local.sym_size(1)});
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
        const int64_t n_nodes = g_all.size(0);
        ExchangeBackend *backend = exchange_backend();
        if (!backend) {
            TORCH_CHECK_VALUE(
                n_local == n_nodes, "egraff::ghost_reduce: expected ", n_nodes,
                " nodes, all local, got n_local = ", n_local,
                ": the graph has ghost nodes, but no engine is there to send them home.",
                NO_ENGINE);
            return g_all.clone(at::MemoryFormat::Contiguous);
        }
        TORCH_CHECK_VALUE(n_local <= n_nodes, "egraff::ghost_reduce: expected n_local <= ", n_nodes,
                          " (the rows of `g_all`), got ", n_local);
        const Tensor sums = g_all.clone(at::MemoryFormat::Contiguous);
        backend->add_ghosts(sums, n_local);
        return sums.narrow(0, 0, n_local);
    }

    static constexpr auto cuda = cpu;

    static Tensor meta(const Tensor &g_all, c10::SymInt n_local) {
        check_rows("ghost_reduce", "g_all", g_all);
        return g_all.new_empty_symint({n_local, g_all.sym_size(1)});
    }

    static auto keep(const Tensor &g_all, const c10::SymInt &n_local) {
        return std::tuple(g_all.sym_size(0));
    }

    static variable_list derivative(AutogradContext *, const variable_list &gradients,
                                    const c10::SymInt &n_nodes) {
        return {call<Exchange>(gradients[0], n_nodes)};
    }
};

variable_list Exchange::derivative(AutogradContext *, const variable_list &gradients,
                                   const c10::SymInt &n_local) {
    return {call<Reduce>(gradients[0], n_local)};
}

struct SharedExchange {
    static constexpr const char *SCHEMA =
        "ghost_exchange_shared(Tensor(a) x_local, SymInt n_nodes) -> Tensor(a)";
    static constexpr bool MAY_ALIAS = true;

    static Tensor cpu(const Tensor &x_local, int64_t n_nodes) {
        check_exchange("ghost_exchange_shared", x_local, n_nodes);
        if (!exchange_backend()) {
            return x_local;
        }
        const Tensor all = with_ghost_rows(x_local, n_nodes);
        if (!all.defined()) {
            return Exchange::cpu(x_local, n_nodes);
        }
        fill_ghosts(all, x_local.size(0));
        return all;
    }

    static constexpr auto cuda = cpu;

    static Tensor meta(const Tensor &x_local, c10::SymInt n_nodes) {
        return Exchange::meta(x_local, n_nodes);
    }

    // Autograd has nothing to know about a result that is the argument.
    static Tensor autograd(const Tensor &x_local, c10::SymInt n_nodes) {
        const bool is_identity =
            !exchange_backend() && x_local.dim() == 2 && x_local.sym_size(0) == n_nodes;
        return is_identity ? x_local : Autograd<SharedExchange>::kernel(x_local, n_nodes);
    }

    static auto keep(const Tensor &x_local, const c10::SymInt &n_nodes) {
        return std::tuple(x_local.sym_size(0));
    }

    // Autograd has given a gradient away: what it still held would be counted here.
    static bool nobody_else_holds(const Tensor &g) {
        return g.use_count() == 1 && g.has_storage() && g.storage().use_count() == 1;
    }

    static variable_list derivative(AutogradContext *, const variable_list &gradients,
                                    const c10::SymInt &n_local) {
        const Tensor &g = gradients[0];
        ExchangeBackend *backend = exchange_backend();
        if (backend && !at::GradMode::is_enabled() && g.dim() == 2 && g.is_contiguous() &&
            nobody_else_holds(g)) {
            backend->add_ghosts(g, n_local.expect_int());
            return {g.narrow(0, 0, n_local.expect_int())};
        }
        return {call<Reduce>(g, n_local)};
    }
};

} // namespace

TORCH_LIBRARY(egraff, library) {
    define<Exchange>(library);
    define<Reduce>(library);
    define<SharedExchange>(library);
}

} // namespace egraff
