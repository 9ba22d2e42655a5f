// SPDX-License-Identifier: GPL-2.0-or-later
//
// What the user wrote after pair_style egraff and pair_coeff, checked.
#pragma once

#include "core/metadata.h"

#include <string>
#include <vector>

namespace egraff {

enum class Mode { automatic, fold, exchange, extended };

std::string name(Mode mode);

// Stop the run when two atoms come closer, in LAMMPS's units; 0: never.
struct MinDistance {
    struct OfPair {
        std::string first, second; // elements, in either order
        double distance;
    };
    double all = 0.0;
    std::vector<OfPair> pairs; // instead of `all`

    bool is_set() const;
};

// pair_style egraff [keyword value ...]; the keywords are those of the table in pair_options.cpp.
struct StyleOptions {
    std::string device = "auto";
    int threads = 0; // 0: chosen from the environment
    Mode mode = Mode::automatic;
    bool check = false;  // compare two modes at the first step
    int devi_freq = 100; // steps between lines of devi_file, 0: none; for committees
    std::string devi_file = "egraff_deviation.txt";
    // Where edges are found, each step: by loops on the host, or by torch where the model is (see
    // lammps/edge_list.h). automatic: on the host only if the model is there.
    enum class GraphPlace { automatic, host, device } graph = GraphPlace::automatic;
    MinDistance min_distance;
    double max_force = 0.0;                   // stop the run above, in LAMMPS's units; 0: never
    bool drop_reference_energies = false;     // energies are relative to isolated atoms
    bool check_masses = true;                 // and type labels, against elements, see type_check.h
    bool approximate_centroid_stress = false; // where it is not exact, see pair_egraff_flux.cpp
};

// Throws egraff::Error.
StyleOptions parse_style(const std::vector<std::string> &arguments);

// pair_coeff * * MODEL [MODEL ...] ELEMENT_1 ... ELEMENT_ntypes
struct Coefficients {
    std::vector<std::string> models;
    std::vector<std::string> elements; // of type 1, 2, ...; "NULL": not described by the model
};

// Throws egraff::Error.
Coefficients parse_coefficients(const std::vector<std::string> &arguments, int n_types);

// The species index of each atom type, -1 for NULL; entry 0 is type 1. Throws egraff::Error for an
// element that the model does not know.
std::vector<int> map_elements(const std::vector<std::string> &elements, const Metadata &metadata,
                              const std::string &path);

// The smallest distance of every pair, [n_elements, n_elements] in LAMMPS's units, 0: no limit.
// Throws egraff::Error for an element that the model does not know, and for a pair named twice.
std::vector<double> distance_table(const MinDistance &limit, const Metadata &metadata);

} // namespace egraff
