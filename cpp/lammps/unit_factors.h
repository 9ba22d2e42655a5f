// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

namespace egraff {

// Models work in eV and Angstrom; these are the sizes of both in LAMMPS's units.
struct UnitFactors {
    double energy = 1.0; // LAMMPS energy units per eV
    double length = 1.0; // LAMMPS length units per Angstrom

    double force() const { return energy / length; }
};

// style: LAMMPS's `units`; boltzmann and angstrom: LAMMPS's own constants in these units (energy
// per Kelvin, length). Throws egraff::Error for `units lj`, where an eV has no meaning.
UnitFactors unit_factors(const std::string &style, double boltzmann, double angstrom);

} // namespace egraff
