// SPDX-License-Identifier: GPL-2.0-or-later
//
// What an exported model says about itself: the file `egraff.json` inside the archive.
#pragma once

#include "ops/visibility.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace egraff {

// The newest model contract that this code understands.
constexpr int CONTRACT = 1;

// A small frame with the values the exporter got for it: a folded graph (no ghosts).
struct CheckFrame {
    std::vector<int64_t> species;
    std::vector<int64_t> centres, neighbours; // edge_index, row by row
    std::vector<double> edge_vec;             // [n_edges, 3] in Angstrom
    double energy;                            // eV
    std::vector<double> forces;               // [n_atoms, 3] in eV/Angstrom
    double energy_tolerance;                  // eV
    double force_tolerance;                   // eV/Angstrom
};

// For which machine a file of format "aoti" was compiled.
struct Target {
    std::string machine;         // as `uname -m` says it: "x86_64"
    std::string instruction_set; // "AVX512", "AVX2" or "baseline"
    std::string device;          // "cpu"
};

struct Metadata {
    std::string json; // the whole text
    int contract;
    std::string architecture;
    std::vector<std::string> elements; // order of the species indices
    double r_max;                      // Angstrom
    // [n_species, n_species] in Angstrom, row = receiving centre; empty if all are r_max
    std::vector<double> pair_cutoffs;
    bool float64;
    std::vector<int64_t> exchange_widths;
    std::vector<std::string> outputs;
    std::vector<std::string> citations;
    std::string format = "torchscript"; // or "aoti"
    std::optional<Target> target;       // of machine code
    std::string torch_version;
    bool fused; // has operators that run on the CPU only
    // The program goes through the edges in blocks by itself, so that it may see all at once.
    bool blocks_inside;
    std::optional<CheckFrame> check_frame;

    const char *dtype() const { return float64 ? "float64" : "float32"; }
};

// Reads the metadata of an exported model without its weights. Throws egraff::Error if the file is
// missing, truncated, not an exported model, of a newer contract, or contradicts itself.
EGRAFF_PUBLIC Metadata read_metadata(const std::string &path);

} // namespace egraff
