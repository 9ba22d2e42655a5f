// SPDX-License-Identifier: GPL-2.0-or-later
//
// Memory for the large arrays of a step, used again by the next one.
//
// A model frees hundreds of megabytes in each step and asks for them again. The C library gives
// arrays of more than 32 MB back to the operating system at once, and the system clears each page
// before it hands it out again: of 100,000 atoms' step a sixth of the time. The pool keeps the
// pages instead, and never more of them than the arrays of one step need together.
//
// Torch has one allocator for a process, which others may share: a thread of Python, a second
// library. So the pool takes that place once, for good, and answers for itself only threads that
// are in a step; for all others it passes the call on to the allocator that was there before.
#pragma once

#include <c10/core/Allocator.h>

#include <cstddef>
#include <map>
#include <mutex>
#include <unordered_map>

namespace egraff {

class ArrayPool : public c10::Allocator {
  public:
    // Smaller arrays come from the allocator before, which does not give them back either.
    static constexpr size_t MIN_BYTES = size_t(1) << 23;

    // The one pool of the process; never destroyed, for arrays may outlive everything.
    static ArrayPool &instance();

    c10::DataPtr allocate(size_t n_bytes) override;
    c10::DeleterFnPtr raw_deleter() const override;
    void copy_data(void *to, const void *from, size_t n_bytes) const override;

    // A step begins and ends: what the arrays of this one did not need is given back.
    void begin_step();
    void end_step();
    // Gives back all that no array holds.
    void release();

  private:
    using Ranges = std::map<char *, size_t>;

    ArrayPool();
    static void deallocate(void *array);
    static void deallocate_any(void *array); // also one of the allocator before
    bool give_back(void *array);             // false: it is not the pool's

    char *take_free(size_t n_bytes);
    char *map_new(size_t n_bytes);
    Ranges::const_iterator smallest() const;
    void take_from_free(char *start, size_t n_bytes);
    void add_free(char *start, size_t n_bytes);
    void release_down_to(size_t n_bytes);

    c10::Allocator *const before_;
    std::mutex mutex_;
    Ranges free_; // ranges that no array holds; neighbours are one range
    std::unordered_map<void *, size_t> held_;
    size_t held_bytes_ = 0, free_bytes_ = 0;
    size_t most_ = 0;      // bytes held at a time in this step
    size_t most_last_ = 0; // in the step before
};

// While it exists, arrays in main memory that torch makes on this thread come from the pool.
class ArrayPoolScope {
  public:
    ArrayPoolScope();
    ~ArrayPoolScope();
    ArrayPoolScope(const ArrayPoolScope &) = delete;
    ArrayPoolScope &operator=(const ArrayPoolScope &) = delete;
};

} // namespace egraff
