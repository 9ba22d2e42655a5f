// SPDX-License-Identifier: GPL-2.0-or-later
#include "ops/exchange.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <atomic>
#include <vector>

namespace egraff {

namespace {

using Room = c10::weak_intrusive_ptr<c10::StorageImpl>;

std::atomic<ExchangeBackend *> active{nullptr};
thread_local int sharing = 0; // scopes of this thread: they may end in any order
// memory of arrays to send that have not been sent yet
thread_local std::vector<Room> rooms;

} // namespace

ExchangeScope::ExchangeScope(ExchangeBackend *backend) : previous_(active.exchange(backend)) {}

ExchangeScope::~ExchangeScope() { active.store(previous_); }

ExchangeBackend *exchange_backend() { return active.load(); }

SharedResultScope::SharedResultScope() { ++sharing; }

SharedResultScope::~SharedResultScope() { --sharing; }

bool may_share_result() { return sharing > 0; }

at::Tensor rows_to_send(int64_t n, int64_t width, const at::TensorOptions &options) {
    const ExchangeBackend *backend = exchange_backend();
    const int64_t n_ghosts = backend && may_share_result() ? backend->n_ghosts(n) : 0;
    if (n_ghosts == 0) {
        return at::empty({n, width}, options);
    }
    const at::Tensor all = at::empty({n + n_ghosts, width}, options);
    rooms.erase(
        std::remove_if(rooms.begin(), rooms.end(), [](const Room &room) { return room.expired(); }),
        rooms.end());
    rooms.push_back(all.storage().getWeakStorageImpl());
    return all.narrow(0, 0, n);
}

at::Tensor with_ghost_rows(const at::Tensor &rows, int64_t n_nodes) {
    const c10::Storage &memory = rows.storage();
    const auto room = std::find_if(rooms.begin(), rooms.end(), [&](const Room &one) {
        return one._unsafe_get_target() == memory.unsafeGetStorageImpl();
    });
    const int64_t width = rows.size(1);
    if (room == rooms.end() || rows.storage_offset() != 0 || !rows.is_contiguous() ||
        size_t(n_nodes * width * rows.element_size()) > memory.nbytes()) {
        return {};
    }
    rooms.erase(room);
    return at::empty({0}, rows.options()).set_(memory, 0, {n_nodes, width}, {width, 1});
}

} // namespace egraff
