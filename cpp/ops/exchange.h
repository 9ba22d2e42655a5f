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
// the same order, also when it has no atoms. Arrays are contiguous [n_nodes, width], of any
// floating type, on the model's device: rows of the n_local local nodes, then one for each ghost.
class EGRAFF_PUBLIC ExchangeBackend {
  public:
    virtual ~ExchangeBackend() = default;

    // Writes into each ghost's row that of its owner. Rows of ghosts that no edge ends at may hold
    // anything.
    virtual void fill_ghosts(const at::Tensor &all, int64_t n_local) = 0;

    // The adjoint: adds to each local row those of all its ghosts, wherever these are. What the
    // rows of ghosts hold afterwards is not defined.
    virtual void add_ghosts(const at::Tensor &all, int64_t n_local) = 0;

    // How many rows there are beyond those of n_local atoms; 0 where that is not known.
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

// An array [n, width] for features that are about to be exchanged, with memory for the rows of
// ghosts behind its own.
EGRAFF_PUBLIC at::Tensor rows_to_send(int64_t n, int64_t width, const at::TensorOptions &options);
// The memory of such an array, from its first row on to row n_nodes; undefined if it is not one, or
// has been asked for before.
EGRAFF_PUBLIC at::Tensor with_ghost_rows(const at::Tensor &rows, int64_t n_nodes);

} // namespace egraff
