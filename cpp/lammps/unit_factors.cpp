// SPDX-License-Identifier: GPL-2.0-or-later
#include "lammps/unit_factors.h"

#include "core/error.h"

namespace egraff {

UnitFactors unit_factors(const std::string &style, double boltzmann, double angstrom) {
    if (style == "lj") {
        throw Error("expected physical units, got units lj", {"pair_style egraff", "units"},
                    "use units metal (or real, si, cgs, electron, micro, nano)");
    }
    if (style == "metal") {
        return {};
    }
    // Boltzmann's constant in `units metal`, eV/K. The ratio, not a tabulated factor, keeps
    // temperatures and energies consistent with what LAMMPS itself assumes.
    constexpr double boltzmann_ev = 8.617343e-5;
    return {boltzmann / boltzmann_ev, angstrom};
}

} // namespace egraff
