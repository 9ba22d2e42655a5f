// SPDX-License-Identifier: GPL-2.0-or-later
#include "ops/exchange.h"

#include <atomic>

namespace egraff {

namespace {
std::atomic<ExchangeBackend *> active{nullptr};
thread_local int sharing = 0; // scopes of this thread: they may end in any order
} // namespace

ExchangeScope::ExchangeScope(ExchangeBackend *backend) : previous_(active.exchange(backend)) {}

ExchangeScope::~ExchangeScope() { active.store(previous_); }

ExchangeBackend *exchange_backend() { return active.load(); }

SharedResultScope::SharedResultScope() { ++sharing; }

SharedResultScope::~SharedResultScope() { --sharing; }

bool may_share_result() { return sharing > 0; }

} // namespace egraff
