// SPDX-License-Identifier: GPL-2.0-or-later
//
// Linear maps of nodes inside operators, a block of nodes at a time: what is made of the block is
// read while it is still in the cache, and nothing of it is stored.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/mm.h>

#include <algorithm>

namespace egraff::nodes {

// Nodes in a block: for 128 channels all that is made of them fits into a core's second cache.
inline constexpr int64_t BLOCK = 64;

// Calls make() once for every thread, and what it returns for each of the thread's blocks of nodes,
// as work(first node, their number). Blocks, and so results, do not depend on the threads.
template <typename Make> void for_blocks(int64_t n_nodes, const Make &make) {
    const int64_t n_blocks = (n_nodes + BLOCK - 1) / BLOCK;
    at::parallel_for(0, n_blocks, 1, [&](int64_t from, int64_t to) {
        auto work = make();
        for (int64_t k = from; k < to; ++k) {
            const int64_t first = k * BLOCK;
            work(first, std::min(BLOCK, n_nodes - first));
        }
    });
}

// to = x weight^T + bias, all in rows
inline void map(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias,
                at::Tensor to) {
    at::addmm_out(to, bias, x, weight.t());
}

} // namespace egraff::nodes
