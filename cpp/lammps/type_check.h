// SPDX-License-Identifier: GPL-2.0-or-later
//
// Do the elements of pair_coeff fit the atom types? Their order is the user's, and a wrong one
// makes another substance of the structure. Masses and type labels often know better.
#pragma once

#include <string>
#include <vector>

namespace egraff {

struct AtomType {
    int number;          // of LAMMPS, from 1
    std::string element; // of pair_coeff
    double mass;         // g/mol; 0: not known
    std::string label;   // if it is the symbol of an element, else ""
};

struct TypeCheck {
    std::string remarks; // one for each type that looks like another element, or ""
    bool swapped;        // clearly in the wrong order
    std::string order;   // the elements that the types seem to be
};

// Masses speak of another element only if they are close to its atomic weight, and not where they
// may be chosen: isotopes, masses moved to hydrogen from its neighbours, united atoms, and 1 for
// all types. Clearly wrong are types that would be right if they changed places, and a type whose
// mass and label agree on another element.
TypeCheck check_types(const std::vector<AtomType> &types);

} // namespace egraff
