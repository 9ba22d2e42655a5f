// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/lockstep.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/ThreadLocalState.h>

#include <numeric>
#include <stdexcept>

namespace egraff {

namespace {

// Unwinds an evaluation that waits for an exchange that will not be made.
struct Abandoned : std::runtime_error {
    Abandoned() : std::runtime_error("another member of the committee failed") {}
};

// The number of threads is a setting of each thread in OpenMP; changing it is not free.
void use_threads(int n_threads) {
    if (at::get_num_threads() != n_threads) {
        at::set_num_threads(n_threads);
    }
}

} // namespace

void Lockstep::run(size_t n, const std::function<void(size_t)> &evaluate, ExchangeBackend &engine) {
    while (evaluations_.size() < n) {
        evaluations_.push_back(std::make_unique<Evaluation>());
    }
    const at::ThreadLocalState settings;
    const int n_threads = at::get_num_threads();
    ExchangeScope scope(this);
    for (size_t k = 0; k < n; ++k) {
        evaluations_[k]->coroutine.start([&, k] {
            const at::ThreadLocalStateGuard guard(settings);
            use_threads(n_threads);
            evaluate(k);
        });
    }
    std::vector<size_t> ready(n);
    std::iota(ready.begin(), ready.end(), 0);
    try {
        while (!ready.empty()) {
            for (const size_t k : ready) {
                resume(k);
            }
            ready = answer_requests(engine);
        }
    } catch (...) {
        abandon();
        throw;
    }
}

void Lockstep::resume(size_t k) {
    current_ = k;
    evaluations_[k]->coroutine.resume();
}

void Lockstep::abandon() {
    abandoned_ = true;
    for (size_t k = 0; k < evaluations_.size(); ++k) {
        if (evaluations_[k]->request) {
            try {
                resume(k);
            } catch (...) { // it was made to fail
            }
            evaluations_[k]->request.reset();
        }
    }
    abandoned_ = false;
}

// Makes one exchange and returns the evaluations that can go on; none if all have ended.
std::vector<size_t> Lockstep::answer_requests(ExchangeBackend &engine) {
    std::vector<size_t> forward, reverse;
    for (size_t k = 0; k < evaluations_.size(); ++k) {
        if (const auto &request = evaluations_[k]->request) {
            (request->reverse ? reverse : forward).push_back(k);
        }
    }
    const std::vector<size_t> &chosen = forward.empty() ? reverse : forward;
    if (chosen.empty()) {
        return {};
    }
    std::vector<at::Tensor> rows;
    std::vector<int64_t> widths;
    for (const size_t k : chosen) {
        rows.push_back(evaluations_[k]->request->rows);
        widths.push_back(rows.back().size(1));
    }
    const int64_t n_rows = evaluations_[chosen.front()]->request->n_rows;
    const at::Tensor merged = rows.size() == 1 ? rows.front() : at::cat(rows, 1);
    const at::Tensor answer =
        forward.empty() ? engine.reverse(merged, n_rows) : engine.forward(merged, n_rows);
    const auto parts = answer.split_with_sizes(widths, 1);
    for (size_t k = 0; k < chosen.size(); ++k) {
        evaluations_[chosen[k]]->request->answer = parts[k].contiguous();
    }
    return chosen;
}

at::Tensor Lockstep::forward(const at::Tensor &local, int64_t n_nodes) {
    return wait_for({false, local, n_nodes, {}});
}

at::Tensor Lockstep::reverse(const at::Tensor &all, int64_t n_local) {
    return wait_for({true, all, n_local, {}});
}

at::Tensor Lockstep::wait_for(Request request) {
    if (abandoned_) {
        throw Abandoned();
    }
    const size_t k = current_;
    evaluations_[k]->request = std::move(request);
    evaluations_[k]->coroutine.pause();
    if (abandoned_) {
        throw Abandoned();
    }
    at::Tensor answer = std::move(evaluations_[k]->request->answer);
    evaluations_[k]->request.reset();
    return answer;
}

} // namespace egraff
