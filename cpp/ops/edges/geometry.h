// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "ops/edges/geometry_kernels.h"

#include <vector>

namespace egraff::edges {

Grid make_grid(double start, double stretch);

// Prefactors of the harmonics, [l_max + 1][l_max + 1], as the kernels take them.
template <typename T> std::vector<T> harmonic_norms(int l_max);

} // namespace egraff::edges
