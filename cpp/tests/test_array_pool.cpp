// SPDX-License-Identifier: GPL-2.0-or-later
#include "lammps/array_pool.h"
#include "tests/check.h"

#include <ATen/ops/ones.h>
#include <c10/core/CPUAllocator.h>

#include <cstring>
#include <thread>

namespace egraff {
namespace {

constexpr size_t LARGE = 3 * ArrayPool::MIN_BYTES;

// Whether a large array that this thread makes comes from the pool.
bool is_pooled() {
    return c10::GetCPUAllocator()->allocate(LARGE).get_deleter() !=
           c10::GetDefaultCPUAllocator()->raw_deleter();
}

TEST(arrays_of_a_step_come_from_the_pool_and_no_others) {
    CHECK(!is_pooled());
    {
        const ArrayPoolScope step;
        CHECK(is_pooled());
        {
            const ArrayPoolScope inner;
            CHECK(is_pooled());
        }
        CHECK(is_pooled());
    }
    CHECK(!is_pooled());
}

TEST(other_threads_are_left_alone_during_a_step) {
    const ArrayPoolScope step;
    bool pooled = true;
    std::thread([&] { pooled = is_pooled(); }).join();
    CHECK(!pooled);
    CHECK(is_pooled());
}

TEST(an_allocator_that_somebody_installs_stays) {
    struct Theirs : c10::Allocator {
        c10::DataPtr allocate(size_t n) override {
            return c10::GetDefaultCPUAllocator()->allocate(n);
        }
        void copy_data(void *to, const void *from, size_t n) const override {
            std::memcpy(to, from, n);
        }
    };
    static Theirs theirs;
    {
        const ArrayPoolScope step;
        c10::SetCPUAllocator(&theirs);
    }
    CHECK(c10::GetCPUAllocator() == &theirs);
    const ArrayPoolScope again;
    CHECK(c10::GetCPUAllocator() == &theirs);
}

// As programs in C allocate through torch, and free when no step is going on any more.
TEST(raw_memory_is_freed_wherever_it_came_from) {
    void *from_pool = nullptr, *small = nullptr;
    {
        const ArrayPoolScope step;
        from_pool = c10::GetCPUAllocator()->raw_allocate(LARGE);
        small = c10::GetCPUAllocator()->raw_allocate(64);
    }
    void *const outside = c10::GetCPUAllocator()->raw_allocate(LARGE);
    std::memset(from_pool, 1, LARGE);
    std::memset(outside, 1, LARGE);
    for (void *memory : {from_pool, small, outside}) {
        c10::GetCPUAllocator()->raw_deallocate(memory);
    }
    const ArrayPoolScope step;
    CHECK(c10::GetCPUAllocator()->allocate(LARGE).get() != nullptr);
}

TEST(an_array_outlives_its_step_and_its_thread) {
    at::Tensor kept;
    std::thread([&] {
        const ArrayPoolScope step;
        kept = at::ones({int64_t(LARGE)}, at::kByte);
    }).join();
    ArrayPool::instance().release();
    CHECK(kept.sum().item<int64_t>() == int64_t(LARGE));
}

} // namespace
} // namespace egraff
