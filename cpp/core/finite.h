// SPDX-License-Identifier: GPL-2.0-or-later
//
// What must not pass for a result. For graphs on the CPU of one process: an engine on several ranks
// looks for the same, but its ranks have to agree before any of them stops.
#pragma once

#include "core/model.h"
#include "ops/visibility.h"

namespace egraff {

// Throws egraff::Error, which names the atoms, if two of them are at one place: energies have no
// derivative there.
EGRAFF_PUBLIC void check_distances(const Graph &graph);

// Throws egraff::Error, which names an atom, if an energy or a gradient is not a finite number.
EGRAFF_PUBLIC void check_finite(const Graph &graph, const Evaluation &result);

} // namespace egraff
