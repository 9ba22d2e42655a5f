// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <memory>
#include <new>

namespace egraff::simd {

// An array that starts at a cache line. Its numbers are not initialised.
template <typename T> class Buffer {
  public:
    T *resize(size_t n) {
        if (n > size_) {
            data_.reset(static_cast<T *>(::operator new(n * sizeof(T), alignment)));
            size_ = n;
        }
        return data_.get();
    }
    T *data() const { return data_.get(); }

  private:
    static constexpr std::align_val_t alignment{64};
    struct Free {
        void operator()(T *p) const { ::operator delete(p, alignment); }
    };
    std::unique_ptr<T, Free> data_;
    size_t size_ = 0;
};

} // namespace egraff::simd
