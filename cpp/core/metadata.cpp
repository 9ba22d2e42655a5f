// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/metadata.h"

#include "core/error.h"

#include <caffe2/serialize/inline_container.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

namespace egraff {

namespace {

using Json = nlohmann_lmp::json; // LAMMPS ships the library in a namespace of its own

const char *const METADATA_NAME = "egraff.json";
const std::string EXPORT_AGAIN = "export it again: egraff export best.ckpt -o model.egraff.pt";
const std::string GIVE_EXPORTED = "give the file that `egraff export` wrote (*.egraff.pt)";

// The text of egraff.json inside the archive.
std::string read_record(const std::string &path) {
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored)) {
        throw Error("expected an exported model, found no such file", {path}, "check the path");
    }
    std::ifstream stream(path, std::ios::binary);
    char magic[4] = {};
    if (std::filesystem::is_directory(path, ignored) || !stream || !stream.read(magic, 4)) {
        throw Error("expected an exported model, got something that is not a readable file", {path},
                    "check the path");
    }
    stream.close();
    if (std::string(magic, 4) != "PK\x03\x04") {
        throw Error("expected an exported model (a zip archive), got something else", {path},
                    GIVE_EXPORTED);
    }
    try {
        caffe2::serialize::PyTorchStreamReader reader(path);
        const std::string record = std::string("extra/") + METADATA_NAME;
        if (!reader.hasRecord(record)) {
            throw Error(std::string("not an egraff model: the archive holds no ") + METADATA_NAME,
                        {path}, GIVE_EXPORTED);
        }
        auto [data, size] = reader.getRecord(record);
        return std::string(static_cast<const char *>(data.get()), size);
    } catch (const c10::Error &error) {
        throw Error("expected a complete archive, got a truncated or damaged one (" +
                        std::string(error.what_without_backtrace()) + ")",
                    {path}, "copy the file again, or " + EXPORT_AGAIN);
    }
}

// Gives typed access to the keys of one JSON object, and says which key of which file is wrong.
class Reader {
  public:
    Reader(const Json &object, const std::string &path, std::string prefix = "")
        : object_(object), path_(path), prefix_(std::move(prefix)) {}

    bool has(const char *key) const { return object_.contains(key) && !object_.at(key).is_null(); }

    template <typename T> T get(const char *key, const char *expected) const {
        if (!has(key)) {
            fail(key, std::string("expected ") + expected + ", the key is missing");
        }
        try {
            return object_.at(key).get<T>();
        } catch (const Json::exception &) {
            std::string got = object_.at(key).dump();
            if (got.size() > 60) {
                got = got.substr(0, 57) + "...";
            }
            fail(key, std::string("expected ") + expected + ", got " + got);
        }
    }

    template <typename T> T get_or(const char *key, const char *expected, T otherwise) const {
        return has(key) ? get<T>(key, expected) : otherwise;
    }

    // A table given as rows, flattened; `columns` < 0 accepts any common length.
    template <typename T>
    std::vector<T> table(const char *key, const char *expected, int64_t rows,
                         int64_t columns) const {
        auto nested = get<std::vector<std::vector<T>>>(key, expected);
        std::vector<T> flat;
        bool good = static_cast<int64_t>(nested.size()) == rows;
        for (const auto &row : nested) {
            good = good && row.size() == (columns < 0 ? nested[0].size() : size_t(columns));
            flat.insert(flat.end(), row.begin(), row.end());
        }
        if (!good) {
            fail(key, std::string("expected ") + expected + ", got a table of another shape");
        }
        return flat;
    }

    [[noreturn]] void fail(const char *key, const std::string &problem) const {
        throw Error(problem, {path_, prefix_ + key}, EXPORT_AGAIN);
    }

  private:
    const Json &object_;
    const std::string &path_;
    std::string prefix_;
};

CheckFrame parse_check_frame(const Reader &frame) {
    CheckFrame result;
    result.species = frame.get<std::vector<int64_t>>("species", "a list of species indices");
    const auto n_atoms = static_cast<int64_t>(result.species.size());
    auto index = frame.table<int64_t>("edge_index", "two rows of atom indices", 2, -1);
    const auto n_edges = static_cast<int64_t>(index.size() / 2);
    result.centres.assign(index.begin(), index.begin() + n_edges);
    result.neighbours.assign(index.begin() + n_edges, index.end());
    if (std::any_of(index.begin(), index.end(),
                    [n_atoms](int64_t atom) { return atom < 0 || atom >= n_atoms; })) {
        frame.fail("edge_index", "expected indices of the frame's atoms, got others");
    }
    result.edge_vec = frame.table<double>("edge_vec", "one vector per edge", n_edges, 3);
    result.energy = frame.get<double>("energy", "a number (eV)");
    result.forces = frame.table<double>("forces", "one vector per atom", n_atoms, 3);
    result.energy_tolerance = frame.get<double>("energy_tolerance", "a number (eV)");
    result.force_tolerance = frame.get<double>("force_tolerance", "a number (eV/Angstrom)");
    return result;
}

void check_cutoffs(const Reader &reader, const Metadata &metadata) {
    if (!(metadata.r_max > 0) || !std::isfinite(metadata.r_max)) {
        reader.fail("r_max", "expected a positive number of Angstrom, got " +
                                 std::to_string(metadata.r_max));
    }
    for (double cutoff : metadata.pair_cutoffs) {
        if (!(cutoff > 0) || cutoff > metadata.r_max) {
            reader.fail("pair_cutoffs",
                        "expected values in (0, r_max = " + std::to_string(metadata.r_max) +
                            "], got " + std::to_string(cutoff));
        }
    }
}

} // namespace

Metadata read_metadata(const std::string &path) {
    Metadata metadata;
    metadata.json = read_record(path);
    Json json;
    try {
        json = Json::parse(metadata.json);
    } catch (const Json::exception &error) {
        throw Error(std::string("expected JSON, got: ") + error.what(), {path, METADATA_NAME},
                    EXPORT_AGAIN);
    }
    if (!json.is_object()) {
        throw Error("expected a JSON object, got " + std::string(json.type_name()),
                    {path, METADATA_NAME}, EXPORT_AGAIN);
    }
    Reader reader(json, path);
    // first of all: a newer contract may have changed the meaning of everything else
    metadata.contract = reader.get<int>("contract", "a whole number");
    if (metadata.contract > CONTRACT) {
        throw Error("expected a model contract up to " + std::to_string(CONTRACT) + ", got " +
                        std::to_string(metadata.contract) + ": the file is from a newer egraff",
                    {path, "contract"}, "update egraff, or export the model with this version");
    }
    if (metadata.contract < 1) {
        reader.fail("contract", "expected a whole number from 1 to " + std::to_string(CONTRACT) +
                                    ", got " + std::to_string(metadata.contract));
    }
    using Strings = std::vector<std::string>;
    metadata.architecture = reader.get<std::string>("architecture", "a name");
    metadata.elements = reader.get<Strings>("elements", "a list of chemical symbols");
    const auto n_species = static_cast<int64_t>(metadata.elements.size());
    if (n_species == 0) {
        reader.fail("elements", "expected a list of chemical symbols, got []");
    }
    Strings sorted = metadata.elements;
    std::sort(sorted.begin(), sorted.end());
    const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    if (twice != sorted.end()) {
        reader.fail("elements", "expected each element once, got " + *twice + " twice");
    }
    metadata.r_max = reader.get<double>("r_max", "a number of Angstrom");
    if (reader.has("pair_cutoffs")) {
        metadata.pair_cutoffs =
            reader.table<double>("pair_cutoffs", "one row per element", n_species, n_species);
    }
    check_cutoffs(reader, metadata);
    const auto dtype = reader.get<std::string>("dtype", "float32 or float64");
    if (dtype != "float32" && dtype != "float64") {
        reader.fail("dtype", "expected float32 or float64, got " + dtype);
    }
    metadata.float64 = dtype == "float64";
    metadata.exchange_widths =
        reader.get<std::vector<int64_t>>("exchange_widths", "a list of whole numbers");
    metadata.outputs = reader.get_or<Strings>("outputs", "a list of names", {"atomic_energy"});
    metadata.citations = reader.get_or<Strings>("citations", "a list of strings", {});
    metadata.torch_version = reader.get_or<std::string>("torch_version", "a version", "");
    metadata.format = reader.get_or<std::string>("format", "torchscript or aoti", "torchscript");
    if (metadata.format != "torchscript" && metadata.format != "aoti") {
        reader.fail("format", "expected torchscript or aoti, got " + metadata.format);
    }
    if (metadata.format == "aoti") {
        if (!reader.has("target") || !json["target"].is_object()) {
            reader.fail("target", "expected a JSON object");
        }
        const Reader target(json["target"], path, "target: ");
        metadata.target = Target{target.get<std::string>("machine", "a name"),
                                 target.get<std::string>("instruction_set", "a name"),
                                 target.get<std::string>("device", "a name")};
    }
    metadata.fused = reader.get_or<bool>("fused", "true or false", false);
    metadata.blocks_inside = reader.get_or<bool>("blocks_inside", "true or false", false);
    if (reader.has("check_frame")) {
        if (!json["check_frame"].is_object()) {
            reader.fail("check_frame", "expected a JSON object");
        }
        metadata.check_frame =
            parse_check_frame(Reader(json["check_frame"], path, "check_frame: "));
    }
    return metadata;
}

} // namespace egraff
