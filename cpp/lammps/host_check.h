// SPDX-License-Identifier: GPL-2.0-or-later
//
// Is the running LAMMPS the one that this plugin was compiled for? LAMMPS does not ask, and what it
// shares with a plugin are classes: their layout changes between releases, and between the updates
// of one release. A mismatch ends in a crash, or in wrong numbers.
#pragma once

#include <string>

namespace egraff {

// What differs first, "expected ..., got ...", or "" if this fits: release and update of LAMMPS,
// sizes of its integers, kind of MPI, torch, and layout of the classes themselves.
std::string host_mismatch(void *lammps);

} // namespace egraff
