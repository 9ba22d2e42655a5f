// SPDX-License-Identifier: GPL-2.0-or-later
//
// What an exported model says about itself: the record `egraff.json` of the archive. This is the
// one place that knows what must be in it; LAMMPS and Python read model files through it.
#pragma once

#include "core/archive.h"
#include "ops/visibility.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace egraff {

// The model contract that this code understands. Version 2: the file has a digest, the check frame
// is a structure, and every key is there.
constexpr int CONTRACT = 2;

// Records of the archive, in the folder that all its records are in.
inline const std::string METADATA_RECORD = "extra/egraff.json";
inline const std::string DIGEST_RECORD = "extra/egraff.sha256";

// A small structure with the values that the exporter got for it.
struct CheckFrame {
    std::vector<std::string> symbols;
    std::vector<double> positions; // [n_atoms, 3] in Angstrom
    std::vector<double> cell;      // [3, 3] lattice vectors in rows, in Angstrom; empty without pbc
    std::vector<bool> pbc;         // [3]
    double energy;                 // eV
    std::vector<double> forces;    // [n_atoms, 3] in eV/Angstrom
    double energy_tolerance;       // eV
    double force_tolerance;        // eV/Angstrom
};

// For which machine a file of format "aoti" was compiled.
struct Target {
    std::string machine;         // as `uname -m` says it: "x86_64"
    std::string instruction_set; // "AVX512", "AVX2" or "baseline"
    std::string device;          // "cpu"
};

struct Metadata {
    std::string json;   // the whole text
    std::string digest; // SHA-256 of the file's content, see Archive::digest
    std::string architecture;
    std::vector<std::string> elements; // order of the species indices
    double r_max;                      // Angstrom
    // [n_species, n_species] in Angstrom, row = receiving centre; empty if all are r_max
    std::vector<double> pair_cutoffs;
    bool float64;
    std::vector<int64_t> exchange_widths;
    std::vector<std::string> outputs;
    std::vector<std::string> citations;
    std::string format;           // "torchscript" or "aoti"
    std::optional<Target> target; // of machine code
    std::string torch_version;
    bool fused; // has operators that run on the CPU only
    // The program goes through the edges in blocks by itself, so that it may see all at once.
    bool blocks_inside;
    CheckFrame check_frame;

    const char *dtype() const { return float64 ? "float64" : "float32"; }
};

// Whether the archive is meant to be an exported model, damaged or not.
bool is_exported(const Archive &archive);

// Reads the metadata of an exported model, without its weights. Throws egraff::Error if the file is
// missing, damaged, changed since it was written, not an exported model, of another contract, or
// contradicts itself. The digest is compared before anything else is looked at.
EGRAFF_PUBLIC Metadata read_metadata(const Archive &archive);
EGRAFF_PUBLIC Metadata read_metadata(const std::string &path);

} // namespace egraff
