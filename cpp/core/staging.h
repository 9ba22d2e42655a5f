// SPDX-License-Identifier: GPL-2.0-or-later
//
// Memory on the host that a GPU copies to and from by itself, at full speed ("pinned").
#pragma once

#include <ATen/ops/empty.h>
#include <c10/core/Device.h>

namespace egraff {

// Uninitialised memory on the CPU for copies to or from `device`. torch keeps what is given back,
// so that asking for it in every step costs nothing.
inline at::Tensor staging(at::IntArrayRef shape, at::ScalarType type, at::Device device) {
    return at::empty(shape, at::device(at::kCPU).dtype(type).pinned_memory(device.is_cuda()));
}

// A copy of x in such memory, complete when this returns. Without a GPU in between, x itself.
inline at::Tensor on_host(const at::Tensor &x) {
    return x.is_cpu() ? x : staging(x.sizes(), x.scalar_type(), x.device()).copy_(x);
}

} // namespace egraff
