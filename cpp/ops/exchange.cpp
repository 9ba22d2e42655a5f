// SPDX-License-Identifier: GPL-2.0-or-later
#include "ops/exchange.h"

#include <atomic>

namespace egraff {

namespace {
std::atomic<ExchangeBackend *> active{nullptr};
}

ExchangeScope::ExchangeScope(ExchangeBackend *backend) : previous_(active.exchange(backend)) {}

ExchangeScope::~ExchangeScope() { active.store(previous_); }

ExchangeBackend *exchange_backend() { return active.load(); }

} // namespace egraff
