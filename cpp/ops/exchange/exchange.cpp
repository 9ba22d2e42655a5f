// SPDX-License-Identifier: GPL-2.0-or-later
#include "ops/exchange.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <atomic>
#include <vector>

namespace egraff {

namespace {

using StorageReference = c10::weak_intrusive_ptr<c10::StorageImpl>;

std::atomic<ExchangeBackend *> active{nullptr};
// of arrays to send that have not been sent yet
thread_local std::vector<StorageReference> reserved;

} // namespace

ExchangeScope::ExchangeScope(ExchangeBackend *backend) : previous_(active.exchange(backend)) {}

ExchangeScope::~ExchangeScope() { active.store(previous_); }

ExchangeBackend *exchange_backend() { return active.load(); }

at::Tensor rows_to_send(int64_t n, int64_t width, const at::TensorOptions &options) {
    const ExchangeBackend *backend = exchange_backend();
    const int64_t n_ghosts = backend ? backend->n_ghosts(n) : 0;
    if (n_ghosts == 0) {
        return at::empty({n, width}, options);
    }
    const at::Tensor all = at::empty({n + n_ghosts, width}, options);
    std::erase_if(reserved, [](const StorageReference &storage) { return storage.expired(); });
    reserved.push_back(all.storage().getWeakStorageImpl());
    return all.narrow(0, 0, n);
}

at::Tensor with_ghost_rows(const at::Tensor &rows, int64_t n_nodes) {
    const c10::Storage &storage = rows.storage();
    const auto found = std::find_if(reserved.begin(), reserved.end(), [&](const auto &reference) {
        return reference._unsafe_get_target() == storage.unsafeGetStorageImpl();
    });
    const int64_t width = rows.size(1);
    if (found == reserved.end() || rows.storage_offset() != 0 || !rows.is_contiguous() ||
        size_t(n_nodes * width * rows.element_size()) > storage.nbytes()) {
        return {};
    }
    reserved.erase(found);
    return at::empty({0}, rows.options()).set_(storage, 0, {n_nodes, width}, {width, 1});
}

} // namespace egraff
