// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

namespace egraff {

// Models work in eV and Angstrom, and masses of elements are in g/mol; these are the sizes of all
// three in LAMMPS's units.
struct UnitFactors {
    double energy = 1.0; // LAMMPS energy units per eV
    double length = 1.0; // LAMMPS length units per Angstrom
    double mass = 1.0;   // LAMMPS mass units per g/mol

    double force() const { return energy / length; }
};

// LAMMPS's own constants in the units of the input.
struct Constants {
    double boltzmann;   // energy per Kelvin
    double angstrom;    // length
    double femtosecond; // time
    double mvv2e;       // energy per mass and squared velocity
};

// style: LAMMPS's `units`. Throws egraff::Error for `units lj`, where an eV has no meaning.
UnitFactors unit_factors(const std::string &style, const Constants &constants);

} // namespace egraff
