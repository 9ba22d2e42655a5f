// SPDX-License-Identifier: GPL-2.0-or-later
#include "lammps/unit_factors.h"

#include "core/error.h"

namespace egraff {

UnitFactors unit_factors(const std::string &style, const Constants &constants) {
    if (style == "lj") {
        throw Error("expected physical units, got units lj", {"pair_style egraff", "units"},
                    "use units metal (or real, si, cgs, electron, micro, nano)");
    }
    if (style == "metal") {
        return {};
    }
    // LAMMPS's constants of `units metal` (eV, Angstrom, ps, g/mol). Ratios, not tabulated factors,
    // keep energies, temperatures and masses consistent with what LAMMPS itself assumes.
    constexpr Constants metal{8.617343e-5, 1.0, 1e-3, 1.0364269e-4};
    const double energy = constants.boltzmann / metal.boltzmann;
    const double velocity = (constants.angstrom / constants.femtosecond) /
                            (metal.angstrom / metal.femtosecond); // units per Angstrom/ps
    return {energy, constants.angstrom,
            energy * metal.mvv2e / (constants.mvv2e * velocity * velocity)};
}

} // namespace egraff
