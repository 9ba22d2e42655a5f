// SPDX-License-Identifier: GPL-2.0-or-later
//
// The elements of pair_coeff against what LAMMPS knows of its atom types (type_check.h).
#include "lammps/pair_egraff.h"

#include "core/error.h"
#include "lammps/periodic_table.h"
#include "lammps/type_check.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "input.h"
#include "variable.h"

namespace LAMMPS_NS {

// Labels of types that are symbols of elements, by type from 1; others ("OW", "CA", "C1") may stand
// for anything. Through variables, because LAMMPS does not install the header of its label map.
std::vector<std::string> PairEgraff::element_labels() const {
    std::vector<std::string> labels(atom->ntypes + 1);
    if (atom->labelmapflag) {
        for (const egraff::Element &element : egraff::PERIODIC_TABLE) {
            const std::string of_label = fmt::format("(atom,{})", element.symbol);
            if (input->variable->compute_equal("is_typelabel" + of_label) != 0.0) {
                labels[int(input->variable->compute_equal("label2type" + of_label))] =
                    element.symbol;
            }
        }
    }
    return labels;
}

void PairEgraff::check_types() {
    if (!options_.check_masses) {
        return;
    }
    const std::vector<std::string> labels = element_labels();
    std::vector<egraff::AtomType> types;
    for (int type = 1; type <= atom->ntypes; ++type) {
        if (species_[type - 1] >= 0) {
            const bool known = !atom->rmass && atom->mass && atom->mass_setflag[type];
            types.push_back({type, metadata().elements[species_[type - 1]],
                             known ? atom->mass[type] / units_.mass : 0.0, labels[type]});
        }
    }
    const egraff::TypeCheck found = egraff::check_types(types);
    if (found.swapped) {
        throw egraff::Error(
            "expected elements in the order of the atom types, got " + found.remarks,
            {"pair_coeff", members_.front()->path()},
            "the order " + found.order + "; or pair_style egraff masses ignore, if this is meant");
    }
    if (!found.remarks.empty() && found.remarks != type_remarks_ && comm->me == 0) {
        error->warning(FLERR,
                       "pair_style egraff: {} (pair_style egraff masses ignore, if this is meant)",
                       found.remarks);
    }
    type_remarks_ = found.remarks; // said once, not at every run
}

} // namespace LAMMPS_NS
