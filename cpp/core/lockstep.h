// SPDX-License-Identifier: GPL-2.0-or-later
//
// Evaluates several models of one graph so that they exchange features together: where each of k
// models would send w numbers per atom, one message of k w numbers is sent.
#pragma once

#include "core/coroutine.h"
#include "ops/exchange.h"
#include "ops/visibility.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace egraff {

// One evaluation runs at a time, up to its next exchange; when all have arrived at one, the calling
// thread makes it for all of them at once. So only that thread calls MPI, and the models' own
// threads never compete.
//
// This saves latency and costs locality. What was computed up to an exchange is held for all models
// at the same time, in memory of their threads; in turn, each model finds the memory of the one
// before it in the cache. So it is worth its while only where messages are slow: within a machine,
// 96 atoms of four NequIP models on two ranks took 27 % longer than in turn, and 9 atoms as long.
//
// Models need not have the same number of exchanges: those that are behind in their forward pass
// go on while others wait to go back, so there are as many messages as the deepest model has
// exchanges. Which ones are merged depends on the models alone and is the same on all ranks.
class EGRAFF_PUBLIC Lockstep : private ExchangeBackend {
  public:
    // Calls evaluate(0), ... evaluate(n - 1), each on a thread of its own that has the caller's
    // torch settings, with exchanges going through `engine`. If one fails, the others are ended and
    // this throws what that one threw. Tensors must be on the CPU.
    void run(size_t n, const std::function<void(size_t)> &evaluate, ExchangeBackend &engine);

  private:
    // What one evaluation waits for.
    struct Request {
        bool reverse;
        at::Tensor rows;
        int64_t n_rows; // of the answer
        at::Tensor answer;
    };
    struct Evaluation {
        Coroutine coroutine;
        std::optional<Request> request;
    };

    at::Tensor forward(const at::Tensor &local, int64_t n_nodes) override;
    at::Tensor reverse(const at::Tensor &all, int64_t n_local) override;
    at::Tensor wait_for(Request request);
    std::vector<size_t> answer_requests(ExchangeBackend &engine);
    void resume(size_t k);
    void abandon();

    std::vector<std::unique_ptr<Evaluation>> evaluations_;
    size_t current_ = 0; // the one that is running
    bool abandoned_ = false;
};

} // namespace egraff
