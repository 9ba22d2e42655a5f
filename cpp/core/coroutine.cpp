// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/coroutine.h"

#include <utility>

namespace egraff {

Coroutine::Coroutine() : thread_([this] { loop(); }) {}

Coroutine::~Coroutine() {
    closing_ = true;
    enter_.release();
    thread_.join();
}

void Coroutine::start(std::function<void()> function) {
    function_ = std::move(function);
    running_ = true;
}

bool Coroutine::resume() {
    enter_.release();
    leave_.acquire();
    if (failure_) {
        std::rethrow_exception(std::exchange(failure_, nullptr));
    }
    return running_;
}

void Coroutine::pause() {
    leave_.release();
    enter_.acquire();
}

void Coroutine::loop() {
    for (;;) {
        enter_.acquire();
        if (closing_) {
            return;
        }
        try {
            function_();
        } catch (...) {
            failure_ = std::current_exception();
        }
        function_ = nullptr;
        running_ = false;
        leave_.release();
    }
}

} // namespace egraff
