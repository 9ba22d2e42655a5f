// SPDX-License-Identifier: GPL-2.0-or-later
//
// How a model reaches atoms that live on other processes.
//
// A model calls the operator `egraff::ghost_exchange` wherever it is about to read features of
// neighbours. What that means is decided by whoever runs the model: the LAMMPS pair style installs
// an ExchangeBackend that talks to the other MPI ranks; with none installed every node is local
// and the operator is the identity.
#pragma once

#include "ops/visibility.h"

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace egraff {

// The engine's side of the exchange. Both calls are collective: every rank makes the same calls in
// the same order, also when it has no atoms. Tensors are contiguous [rows, width], of any floating
// type, on the model's device.
class EGRAFF_PUBLIC ExchangeBackend {
  public:
    virtual ~ExchangeBackend() = default;

    // local [n_local, width] -> [n_nodes, width]: the local rows, then one row per ghost with its
    // owner's features. Rows of ghosts that no edge ends at may hold anything.
    virtual at::Tensor forward(const at::Tensor &local, int64_t n_nodes) = 0;

    // all [n_nodes, width] -> [n_local, width]: the adjoint of forward. Each local row plus the
    // rows of all its ghosts, wherever these are.
    virtual at::Tensor reverse(const at::Tensor &all, int64_t n_local) = 0;
    // The same of an array that nobody else will read: it may become the result.
    virtual at::Tensor reverse_in_place(const at::Tensor &all, int64_t n_local) {
        return reverse(all, n_local);
    }

    // How many rows forward() adds to those of n_local atoms; 0 where that is not known.
    virtual int64_t n_ghosts(int64_t) const { return 0; }
};

// Installs a backend for as long as the object lives, and then restores the one before it. The
// pointer is global to the process, not to the thread, because autograd may run the backward of
// the operator on a thread of its own.
class EGRAFF_PUBLIC ExchangeScope {
  public:
    explicit ExchangeScope(ExchangeBackend *backend);
    ~ExchangeScope();
    ExchangeScope(const ExchangeScope &) = delete;
    ExchangeScope &operator=(const ExchangeScope &) = delete;

  private:
    ExchangeBackend *previous_;
};

// The backend in force, or nullptr.
EGRAFF_PUBLIC ExchangeBackend *exchange_backend();

// While it exists, results of the exchange on this thread may share memory with arguments: what has
// nothing to exchange returns its argument, forward() adds rows behind those it is given, and
// reverse() adds to those that nobody else holds. For programs that never write into a tensor that
// they have read.
class EGRAFF_PUBLIC SharedResultScope {
  public:
    SharedResultScope();
    ~SharedResultScope();
    SharedResultScope(const SharedResultScope &) = delete;
    SharedResultScope &operator=(const SharedResultScope &) = delete;
};

EGRAFF_PUBLIC bool may_share_result();

// An array [n, width] for features that are about to be exchanged: where results may be shared, it
// has memory for the rows of ghosts behind its own.
EGRAFF_PUBLIC at::Tensor rows_to_send(int64_t n, int64_t width, const at::TensorOptions &options);
// The memory of such an array, from its first row on to row n_nodes; undefined if it is not one, or
// has been asked for before.
EGRAFF_PUBLIC at::Tensor with_ghost_rows(const at::Tensor &rows, int64_t n_nodes);

} // namespace egraff
