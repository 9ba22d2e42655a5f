// SPDX-License-Identifier: GPL-2.0-or-later
#include "lammps/array_pool.h"

#include <c10/core/CPUAllocator.h>

#include <sys/mman.h>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace egraff {

namespace {

// Memory comes from the system in pages of this size, where it offers them: they cost less to get
// and less to look up. Arrays and free ranges consist of whole ones.
constexpr size_t PAGE = size_t(1) << 21;

// The system lets a process have some 65,000 pieces of memory, and a page that was moved may be
// one.
constexpr size_t MOST_MOVED = 32'000 * PAGE;

size_t whole_pages(size_t n_bytes) { return (n_bytes + PAGE - 1) / PAGE * PAGE; }

char *map_pages(char *at, size_t n_bytes, int flags) {
    void *const start =
        mmap(at, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    if (start == MAP_FAILED) {
        return nullptr;
    }
    madvise(start, n_bytes, MADV_HUGEPAGE); // where there are none, small ones do
    return static_cast<char *>(start);
}

thread_local int steps = 0; // that this thread is in

// So many bytes of whole pages, or null.
char *map_whole_pages(size_t n_bytes) {
    char *const mapped = map_pages(nullptr, n_bytes + PAGE, 0);
    if (!mapped) {
        return nullptr;
    }
    const auto address = reinterpret_cast<uintptr_t>(mapped);
    const size_t before = whole_pages(address) - address;
    if (before > 0) {
        munmap(mapped, before);
    }
    if (before < PAGE) {
        munmap(mapped + before + n_bytes, PAGE - before);
    }
    return mapped + before;
}

} // namespace

ArrayPool &ArrayPool::instance() {
    static auto *const pool = new ArrayPool;
    return *pool;
}

ArrayPool::ArrayPool() : before_(c10::GetCPUAllocator()) {
#if defined(__GLIBC__)
    malloc_trim(0); // what loading the model has left behind, and will not be used any more
#endif
}

c10::DataPtr ArrayPool::allocate(size_t n_bytes) {
    if (n_bytes < MIN_BYTES || steps == 0) {
        return before_->allocate(n_bytes);
    }
    const size_t size = whole_pages(n_bytes);
    const std::lock_guard<std::mutex> lock(mutex_);
    char *array = take_free(size);
    if (!array) {
        array = map_new(size);
    }
    if (!array) {
        return before_->allocate(n_bytes); // has the words for it
    }
    held_.emplace(array, size);
    held_bytes_ += size;
    most_ = std::max(most_, held_bytes_);
    return {array, array, &ArrayPool::deallocate, c10::Device(c10::DeviceType::CPU)};
}

void ArrayPool::deallocate(void *array) { instance().give_back(array); }

void ArrayPool::deallocate_any(void *array) {
    if (!instance().give_back(array)) {
        instance().before_->raw_deallocate(array);
    }
}

c10::DeleterFnPtr ArrayPool::raw_deleter() const {
    return before_->raw_deleter() ? &ArrayPool::deallocate_any : nullptr;
}

bool ArrayPool::give_back(void *array) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = held_.find(array);
    if (found == held_.end()) {
        return false;
    }
    const size_t size = found->second;
    held_.erase(found);
    held_bytes_ -= size;
    add_free(static_cast<char *>(array), size);
    return true;
}

// The front of the smallest range that is large enough.
char *ArrayPool::take_free(size_t n_bytes) {
    auto best = free_.end();
    for (auto range = free_.begin(); range != free_.end(); ++range) {
        if (range->second >= n_bytes && (best == free_.end() || range->second < best->second)) {
            best = range;
        }
    }
    if (best == free_.end()) {
        return nullptr;
    }
    char *const start = best->first;
    take_from_free(start, n_bytes);
    return start;
}

// A new range, made of the pages of smaller ones: the system moves pages without clearing them.
// What is missing is new; arrays and ranges together stay within what the arrays of a step need.
char *ArrayPool::map_new(size_t n_bytes) {
    char *start = map_whole_pages(n_bytes);
    if (!start) {
        release_down_to(0);
        start = map_whole_pages(n_bytes);
    }
    if (!start) {
        return nullptr;
    }
    const bool move = held_bytes_ + free_bytes_ <= MOST_MOVED;
    // page by page, for the system moves only what it has mapped as one piece
    for (size_t filled = 0; move && filled < n_bytes && !free_.empty(); filled += PAGE) {
        char *const from = smallest()->first, *const to = start + filled;
        if (mremap(from, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == MAP_FAILED) {
            // what was there before may be gone
            munmap(to, PAGE);
            if (!map_pages(to, PAGE, MAP_FIXED_NOREPLACE)) {
                munmap(to, n_bytes - filled);
                add_free(start, filled);
                return nullptr;
            }
            break;
        }
        take_from_free(from, PAGE);
    }
    const size_t limit = std::max({most_, most_last_, held_bytes_ + n_bytes});
    release_down_to(limit - held_bytes_ - n_bytes);
    return start;
}

// Of the ranges the smallest one, which fits the fewest arrays.
ArrayPool::Ranges::const_iterator ArrayPool::smallest() const {
    return std::min_element(free_.begin(), free_.end(),
                            [](const auto &a, const auto &b) { return a.second < b.second; });
}

// The front of a range is no longer free.
void ArrayPool::take_from_free(char *start, size_t n_bytes) {
    const auto range = free_.find(start);
    const size_t size = range->second;
    free_.erase(range);
    free_bytes_ -= size;
    if (size > n_bytes) {
        add_free(start + n_bytes, size - n_bytes);
    }
}

void ArrayPool::add_free(char *start, size_t n_bytes) {
    free_bytes_ += n_bytes;
    auto after = free_.lower_bound(start);
    if (after != free_.end() && start + n_bytes == after->first) {
        n_bytes += after->second;
        after = free_.erase(after);
    }
    if (after != free_.begin()) {
        const auto before = std::prev(after);
        if (before->first + before->second == start) {
            before->second += n_bytes;
            return;
        }
    }
    free_.emplace_hint(after, start, n_bytes);
}

void ArrayPool::release_down_to(size_t n_bytes) {
    while (free_bytes_ > n_bytes) {
        const auto [start, size] = *smallest();
        const size_t released = std::min(size, free_bytes_ - n_bytes);
        munmap(start, released);
        take_from_free(start, released);
    }
}

void ArrayPool::copy_data(void *to, const void *from, size_t n_bytes) const {
    before_->copy_data(to, from, n_bytes);
}

void ArrayPool::begin_step() {
    const std::lock_guard<std::mutex> lock(mutex_);
    most_ = held_bytes_;
}

void ArrayPool::end_step() {
    const std::lock_guard<std::mutex> lock(mutex_);
    most_last_ = most_;
    release_down_to(most_last_ - std::min(most_last_, held_bytes_));
}

void ArrayPool::release() {
    const std::lock_guard<std::mutex> lock(mutex_);
    most_last_ = 0;
    release_down_to(0);
}

ArrayPoolScope::ArrayPoolScope() {
    ArrayPool &pool = ArrayPool::instance();
    static std::once_flag installed;
    std::call_once(installed, [&] { c10::SetCPUAllocator(&pool); });
    pool.begin_step();
    ++steps;
}

ArrayPoolScope::~ArrayPoolScope() {
    --steps;
    ArrayPool::instance().end_step();
}

} // namespace egraff
