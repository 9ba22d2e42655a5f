// SPDX-License-Identifier: GPL-2.0-or-later
//
// A function that can be left in the middle and entered again. It has a thread, hence a stack and
// thread-local state of its own, but that thread and its owner's never run at the same time.
#pragma once

#include "ops/visibility.h"

#include <exception>
#include <functional>
#include <semaphore>
#include <thread>

namespace egraff {

// Whoever made it calls start(), then resume() until that returns false. The thread is kept for
// further functions: what libraries remember for each thread is worth keeping.
class EGRAFF_PUBLIC Coroutine {
  public:
    Coroutine();
    // No function may be paused inside.
    ~Coroutine();
    Coroutine(const Coroutine &) = delete;
    Coroutine &operator=(const Coroutine &) = delete;

    // Takes a function, which begins to run at the first resume().
    void start(std::function<void()> function);

    // Waits while the function runs; returns true if it has paused, false if it has returned.
    // Throws what the function throws.
    bool resume();

    // For the function: back to where resume() was called, until it is called again.
    void pause();

  private:
    void loop();

    std::function<void()> function_;
    std::exception_ptr failure_;
    bool running_ = false; // from the first resume() until the function returns
    bool closing_ = false;
    std::binary_semaphore enter_{0}, leave_{0};
    std::thread thread_; // last: it uses all the others
};

} // namespace egraff
