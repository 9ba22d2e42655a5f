// SPDX-License-Identifier: GPL-2.0-or-later
#include "lammps/type_check.h"

#include "lammps/periodic_table.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>
#include <utility>

namespace egraff {

namespace {

double atomic_weight(const std::string &symbol) {
    const auto found = std::find_if(PERIODIC_TABLE.begin(), PERIODIC_TABLE.end(),
                                    [&](const Element &it) { return it.symbol == symbol; });
    return found == PERIODIC_TABLE.end() ? 0.0 : found->mass;
}

// The element that a mass plainly is, or "". People round: 1.01, 12, 35.5, 56.
std::string element_of(double mass) {
    Element nearest{"", 0.0};
    const auto consider = [&](const Element &candidate) {
        if (std::abs(mass - candidate.mass) < std::abs(mass - nearest.mass)) {
            nearest = candidate;
        }
    };
    std::for_each(PERIODIC_TABLE.begin(), PERIODIC_TABLE.end(), consider);
    consider({"H", 2.014}); // deuterium
    consider({"H", 3.016}); // tritium
    return std::abs(mass - nearest.mass) <= std::max(0.02, 0.003 * mass) ? nearest.symbol : "";
}

double ratio(const AtomType &type) { return type.mass / atomic_weight(type.element); }

// Hydrogen from protium to tritium, and with mass that was taken from its neighbours.
bool is_hydrogen(const AtomType &type) {
    return type.element == "H" && 0.9 < ratio(type) && ratio(type) < 4.1;
}

// An atom that stands for itself and up to four hydrogens.
bool is_united_atom(const AtomType &type) {
    for (int n = 1; n <= 4; ++n) {
        if (std::abs(type.mass - atomic_weight(type.element) - 1.008 * n) < 0.01) {
            return true;
        }
    }
    return false;
}

bool is_isotope(const AtomType &type) { return 0.85 < ratio(type) && ratio(type) < 1.15; }

// What types are in pair_coeff, and what they seem to be.
using Claims = std::vector<std::pair<std::string, std::string>>;

// Whether some types would be right if their elements changed places.
bool has_cycle(const Claims &claims) {
    for (const auto &[element, other] : claims) {
        std::set<std::string> reached{other};
        for (bool grows = true; grows;) {
            grows = false;
            for (const auto &[from, to] : claims) {
                grows |= reached.count(from) && reached.insert(to).second;
            }
        }
        if (reached.count(element)) {
            return true;
        }
    }
    return false;
}

} // namespace

TypeCheck check_types(const std::vector<AtomType> &types) {
    const auto any = [&](const auto &condition) {
        return std::any_of(types.begin(), types.end(), condition);
    };
    const bool placeholders = !any([](const AtomType &it) { return it.mass != 1.0; });
    const auto other_by_mass = [&](const AtomType &type) -> std::string {
        const std::string seen = placeholders || type.mass <= 0.0 || !atomic_weight(type.element)
                                     ? ""
                                     : element_of(type.mass);
        return seen == type.element ? "" : seen;
    };
    const auto other_by_label = [](const AtomType &type) {
        return type.label == type.element ? "" : type.label;
    };

    TypeCheck result{"", false, ""};
    Claims by_mass, by_label;
    for (const AtomType &type : types) {
        const std::string mass = other_by_mass(type), label = other_by_label(type);
        result.swapped |= !mass.empty() && mass == label;
        if (!mass.empty()) {
            by_mass.emplace_back(type.element, mass);
        }
        if (!label.empty()) {
            by_label.emplace_back(type.element, label);
        }
    }
    result.swapped |= has_cycle(by_mass) || has_cycle(by_label);

    const bool heavy_hydrogen =
        any([](const AtomType &it) { return is_hydrogen(it) && it.mass > 1.5; });
    const auto has_a_reason = [&](const AtomType &type, const std::string &seen) {
        const bool seen_elsewhere = any([&](const AtomType &it) { return it.element == seen; });
        return is_hydrogen(type) || is_united_atom(type) || (heavy_hydrogen && ratio(type) < 1.0) ||
               (is_isotope(type) && !seen_elsewhere);
    };
    for (const AtomType &type : types) {
        std::string mass = other_by_mass(type);
        const std::string label = other_by_label(type);
        if (!result.swapped && !mass.empty() && has_a_reason(type, mass)) {
            mass.clear();
        }
        const std::string seen = !label.empty() ? label : !mass.empty() ? mass : type.element;
        result.order += (result.order.empty() ? "" : " ") + seen;
        if (mass.empty() && label.empty()) {
            continue;
        }
        std::ostringstream remark;
        remark << (result.remarks.empty() ? "" : "; ") << "atom type " << type.number << " is "
               << type.element << " in pair_coeff, but has ";
        if (!mass.empty()) {
            remark << "the mass " << type.mass << " of " << mass << (label.empty() ? "" : " and ");
        }
        if (!label.empty()) {
            remark << "the label " << label;
        }
        result.remarks += remark.str();
    }
    return result;
}

} // namespace egraff
