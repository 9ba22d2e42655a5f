// SPDX-License-Identifier: GPL-2.0-or-later
//
// Several models of the same system, trained apart: their mean drives a simulation, and how much
// they differ tells where none of them should be believed.
#pragma once

#include "core/model.h"
#include "ops/visibility.h"

namespace egraff {

// Throws egraff::Error, which names the member, if the models cannot share one graph: all must
// have the same elements in the same order, the same cutoffs and the same dtype.
EGRAFF_PUBLIC void check_alike(const std::vector<std::unique_ptr<Model>> &members);

// The mean of energies, gradients and extras; the members' own are left as they are.
EGRAFF_PUBLIC Evaluation mean(const std::vector<Evaluation> &members);

// sqrt(mean over members m of |F_m,i - <F>_i|^2) for each atom i, from forces of each member,
// [n_atoms, 3]; Y. Zhang et al., Comput. Phys. Commun. 253, 107206 (2020), eq. 2.
EGRAFF_PUBLIC std::vector<double>
force_deviation(const std::vector<std::vector<double>> &forces_of_members);

} // namespace egraff
