// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

namespace egraff::edges {

// highest order of features and harmonics, and orders up to it
inline constexpr int MAX_L = 3;
inline constexpr int ORDERS = MAX_L + 1;

} // namespace egraff::edges
