// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/metadata.h"

#include "core/chemical_symbols.h"
#include "core/foreign.h"
#include "core/json_object.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <utility>

namespace egraff {

namespace {

using Strings = std::vector<std::string>;

const std::string EXPORT_AGAIN = "export it again: egraff export best.ckpt -o model.egraff.pt";

// What no model of ours comes near, so that nonsense is refused before it takes memory or time.
constexpr uint64_t MOST_JSON_BYTES = 16 << 20;
constexpr int MOST_JSON_LEVELS = 32;
constexpr double LARGEST_CUTOFF = 100.0;     // Angstrom
constexpr double LARGEST_COORDINATE = 1e6;   // Angstrom
constexpr int64_t LARGEST_WIDTH = 1'000'000; // columns of an exchange
constexpr size_t DIGEST_LENGTH = 64;

std::string number(double value) {
    std::ostringstream text;
    text << value;
    return text.str();
}

[[noreturn]] void not_ours(const Archive &archive) {
    const Foreign foreign = recognise(archive);
    if (!foreign.what.empty()) {
        throw Error("expected an exported model of egraff, got " + foreign.what, {archive.path()},
                    foreign.fix);
    }
    const auto &records = archive.records();
    const bool has_code = std::any_of(records.begin(), records.end(), [](const auto &record) {
        return record.name.find("/code/") != std::string::npos;
    });
    if (!has_code && archive.find("data.pkl")) {
        throw Error("expected an exported model, got a training checkpoint", {archive.path()},
                    "egraff export " + archive.path() + " -o model.egraff.pt");
    }
    throw Error("not an egraff model: the archive holds no " + METADATA_RECORD, {archive.path()},
                "give the file that `egraff export` wrote (*.egraff.pt)");
}

// Returns the digest. Nothing of the file is interpreted before this.
std::string check_digest(const Archive &archive) {
    const Archive::Record *record = archive.find(DIGEST_RECORD);
    if (!record) {
        throw Error("expected a digest of the file's content (" + DIGEST_RECORD +
                        "), got none: the file is from an egraff before contract " +
                        std::to_string(CONTRACT) + ", or from another program",
                    {archive.path()}, EXPORT_AGAIN);
    }
    const std::string written = archive.content(*record, DIGEST_LENGTH);
    const std::string found = archive.digest(record);
    if (written != found) {
        throw Error("expected the content that was written, with SHA-256 " + written + ", got " +
                        found + ": the file was damaged or changed",
                    {archive.path()}, "copy the file again, or " + EXPORT_AGAIN);
    }
    return found;
}

Json parse(const std::string &text, const std::string &path) {
    const Error::Place place{path, METADATA_RECORD};
    const auto refuse_depth = [&](int depth, Json::parse_event_t, Json &) {
        if (depth > MOST_JSON_LEVELS) {
            throw Error("expected JSON of at most " + std::to_string(MOST_JSON_LEVELS) +
                            " levels, got more",
                        place, EXPORT_AGAIN);
        }
        return true;
    };
    Json json;
    try {
        json = Json::parse(text, refuse_depth);
    } catch (const Json::exception &error) {
        throw Error(std::string("expected JSON, got: ") + error.what(), place, EXPORT_AGAIN);
    }
    if (!json.is_object()) {
        throw Error("expected a JSON object, got " + std::string(json.type_name()), place,
                    EXPORT_AGAIN);
    }
    return json;
}

// First of all: another contract may have changed the meaning of everything else.
void check_contract(const JsonObject &json, const std::string &path) {
    const auto contract = json.get<int64_t>("contract", "a whole number");
    if (contract != CONTRACT) {
        throw Error("expected model contract " + std::to_string(CONTRACT) + ", got " +
                        std::to_string(contract) +
                        (contract > CONTRACT ? ": the file is from a newer egraff" : ""),
                    {path, "contract"},
                    contract > CONTRACT ? "update egraff, or export the model with this version"
                                        : EXPORT_AGAIN);
    }
}

Strings read_elements(const JsonObject &json) {
    auto elements = json.get<Strings>("elements", "a list of chemical symbols");
    if (elements.empty() || !std::all_of(elements.begin(), elements.end(), is_chemical_symbol)) {
        json.refuse("elements", "a list of chemical symbols");
    }
    Strings sorted = elements;
    std::sort(sorted.begin(), sorted.end());
    const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    if (twice != sorted.end()) {
        json.fail("elements", "expected each element once, got " + *twice + " twice");
    }
    return elements;
}

double read_r_max(const JsonObject &json) {
    const auto r_max = json.get<double>("r_max", "a number of Angstrom");
    if (!(r_max > 0) || r_max > LARGEST_CUTOFF) {
        json.refuse("r_max", "a number in (0, " + number(LARGEST_CUTOFF) + "] Angstrom");
    }
    return r_max;
}

std::vector<double> read_pair_cutoffs(const JsonObject &json, size_t n_species, double r_max) {
    if (json.is_null("pair_cutoffs")) {
        return {};
    }
    auto cutoffs = json.table<double>(
        "pair_cutoffs", "null, or one row and column of numbers per element", n_species, n_species);
    for (double cutoff : cutoffs) {
        if (!(cutoff > 0) || cutoff > r_max) {
            json.fail("pair_cutoffs", "expected values in (0, r_max = " + number(r_max) +
                                          "], got " + number(cutoff));
        }
    }
    return cutoffs;
}

Strings read_outputs(const JsonObject &json) {
    auto outputs = json.get<Strings>("outputs", "a list of names");
    if (std::find(outputs.begin(), outputs.end(), "atomic_energy") == outputs.end()) {
        json.refuse("outputs", "a list of names with atomic_energy among them");
    }
    return outputs;
}

std::vector<int64_t> read_exchange_widths(const JsonObject &json) {
    auto widths = json.get<std::vector<int64_t>>("exchange_widths", "a list of whole numbers");
    if (std::any_of(widths.begin(), widths.end(),
                    [](int64_t width) { return width < 1 || width > LARGEST_WIDTH; })) {
        json.refuse("exchange_widths",
                    "a list of whole numbers from 1 to " + std::to_string(LARGEST_WIDTH));
    }
    return widths;
}

// One of two words.
bool is_second(const JsonObject &json, const char *key, const std::string &first,
               const std::string &second) {
    const std::string expected = first + " or " + second;
    const auto got = json.get<std::string>(key, expected.c_str());
    if (got != first && got != second) {
        json.refuse(key, expected);
    }
    return got == second;
}

void check_units(const JsonObject &units) {
    const std::pair<const char *, const char *> ours[] = {{"energy", "eV"}, {"length", "Angstrom"}};
    for (const auto &[key, unit] : ours) {
        if (units.get<std::string>(key, unit) != unit) {
            units.refuse(key, unit);
        }
    }
}

CheckFrame read_check_frame(const JsonObject &json, const Strings &elements) {
    CheckFrame frame;
    frame.symbols = json.get<Strings>("symbols", "a list of chemical symbols");
    if (!std::all_of(frame.symbols.begin(), frame.symbols.end(), [&](const std::string &symbol) {
            return std::find(elements.begin(), elements.end(), symbol) != elements.end();
        })) {
        json.refuse("symbols", "only symbols that are in elements");
    }
    const size_t n_atoms = frame.symbols.size();
    frame.positions = json.table<double>("positions", "one vector per atom", n_atoms, 3);
    if (std::any_of(frame.positions.begin(), frame.positions.end(),
                    [](double x) { return std::abs(x) > LARGEST_COORDINATE; })) {
        json.refuse("positions", "coordinates within " + number(LARGEST_COORDINATE) + " Angstrom");
    }
    frame.pbc = json.get<std::vector<bool>>("pbc", "three of true and false");
    if (frame.pbc.size() != 3) {
        json.refuse("pbc", "three of true and false");
    }
    if (!json.is_null("cell")) {
        frame.cell = json.table<double>("cell", "null, or three lattice vectors", 3, 3);
    } else if (frame.pbc != std::vector<bool>{false, false, false}) {
        json.refuse("cell", "three lattice vectors, as the frame is periodic");
    }
    frame.energy = json.get<double>("energy", "a number of eV");
    frame.forces = json.table<double>("forces", "one vector per atom", n_atoms, 3);
    frame.energy_tolerance = json.get<double>("energy_tolerance", "a number of eV");
    frame.force_tolerance = json.get<double>("force_tolerance", "a number of eV/Angstrom");
    return frame;
}

// What only people and Python read: the energies of isolated atoms, and where the model is from.
void check_record(const JsonObject &json, size_t n_species) {
    const JsonObject config = json.object("config");
    if (config.get<std::vector<double>>("energy_shift", "one number of eV per element").size() !=
        n_species) {
        config.refuse("energy_shift", "one number of eV per element");
    }
    json.object("training_data");
    json.get<std::string>("egraff_version", "a version");
    json.get<std::string>("created", "a date");
    json.get<std::string>("licence", "terms of use");
    json.get<std::string>("weights_sha256", "a SHA-256");
}

} // namespace

bool is_exported(const Archive &archive) { return archive.find(METADATA_RECORD) != nullptr; }

Metadata read_metadata(const Archive &archive) {
    if (!is_exported(archive)) {
        not_ours(archive);
    }
    Metadata metadata;
    metadata.digest = check_digest(archive);
    metadata.json = archive.content(*archive.find(METADATA_RECORD), MOST_JSON_BYTES);
    const Json text = parse(metadata.json, archive.path());
    const JsonObject json(text, archive.path(), EXPORT_AGAIN);
    check_contract(json, archive.path());
    metadata.architecture = json.get<std::string>("architecture", "a name");
    metadata.elements = read_elements(json);
    const size_t n_species = metadata.elements.size();
    metadata.r_max = read_r_max(json);
    metadata.pair_cutoffs = read_pair_cutoffs(json, n_species, metadata.r_max);
    metadata.float64 = is_second(json, "dtype", "float32", "float64");
    metadata.exchange_widths = read_exchange_widths(json);
    metadata.outputs = read_outputs(json);
    metadata.citations = json.get<Strings>("citations", "a list of references");
    metadata.torch_version = json.get<std::string>("torch_version", "a version");
    metadata.fused = json.get<bool>("fused", "true or false");
    metadata.blocks_inside = json.get<bool>("blocks_inside", "true or false");
    metadata.format = is_second(json, "format", "torchscript", "aoti") ? "aoti" : "torchscript";
    if (metadata.format == "aoti") {
        const JsonObject target = json.object("target");
        metadata.target = Target{target.get<std::string>("machine", "a name"),
                                 target.get<std::string>("instruction_set", "a name"),
                                 target.get<std::string>("device", "a name")};
    }
    check_units(json.object("units"));
    metadata.check_frame = read_check_frame(json.object("check_frame"), metadata.elements);
    check_record(json, n_species);
    return metadata;
}

Metadata read_metadata(const std::string &path) { return read_metadata(Archive(path)); }

} // namespace egraff
