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

    // local [n_local, width] -> [n_nodes, width]: the local rows, then one row per ghost, filled
    // with its owner's features.
    virtual at::Tensor forward(const at::Tensor &local, int64_t n_nodes) = 0;

    // all [n_nodes, width] -> [n_local, width]: the adjoint of forward. Each local row plus the
    // rows of all its ghosts, wherever these are.
    virtual at::Tensor reverse(const at::Tensor &all, int64_t n_local) = 0;
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

// While it exists, an operator of this thread that has nothing to exchange may return its very
// argument instead of a copy. For programs that never write into a tensor that they have read.
class EGRAFF_PUBLIC SharedResultScope {
  public:
    SharedResultScope();
    ~SharedResultScope();
    SharedResultScope(const SharedResultScope &) = delete;
    SharedResultScope &operator=(const SharedResultScope &) = delete;
};

EGRAFF_PUBLIC bool may_share_result();

} // namespace egraff
