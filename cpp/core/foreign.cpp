// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/foreign.h"

#include "core/archive.h"

#include <algorithm>
#include <string_view>
#include <vector>

namespace egraff {

namespace {

// Pickles of models are some hundred kB: weights are records of their own. Longer ones are not
// searched.
constexpr uint64_t MOST_PICKLE_BYTES = 16 << 20;

const std::string ELSEWHERE = "egraff has no import for it; run it with that program's own pair "
                              "style, or train a model with egraff";

std::string import_of(const std::string &package, const std::string &source) {
    return "give `egraff import " + package + "` " + source +
           ", and export what it writes: egraff export model.ckpt -o model.egraff.pt";
}

struct Program {
    std::string_view module; // of Python, top level or below
    std::string name;
    std::string fix;
};

// Those that wrap others come first: their files hold code of both.
const std::vector<Program> &programs() {
    static const std::vector<Program> known{
        {"metatomic", "metatomic", ELSEWHERE},
        {"metatensor", "metatomic", ELSEWHERE},
        {"deepmd", "deepmd-kit", ELSEWHERE},
        {"mace", "mace-torch", import_of("mace", "the .model file that it was made of")},
        {"sevenn", "sevenn",
         import_of("sevennet", "the checkpoint (.pth) that it was made of, or 7net-0")},
        {"torchmdnet", "torchmd-net",
         import_of("torchmd-net", "the checkpoint (.ckpt) that it was made of")},
        {"allegro", "nequip-allegro",
         import_of("allegro", "the checkpoint (.ckpt) that it was made of")},
        {"nequip", "nequip", import_of("nequip", "the checkpoint (.ckpt) that it was made of")},
    };
    return known;
}

bool has_folder(const Archive &archive, const std::string &folder) {
    const auto &records = archive.records();
    return std::any_of(records.begin(), records.end(), [&folder](const auto &record) {
        return record.name.find("/" + folder) != std::string::npos;
    });
}

// Whether a pickle names a module: "cmace.modules.models\n" in old protocols, with a length before
// it in new ones.
bool names_module(const std::string &pickle, std::string_view module) {
    const auto is_part_of_name = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '.';
    };
    const std::string text = std::string(module) + ".";
    for (size_t at = pickle.find(text); at != std::string::npos; at = pickle.find(text, at + 1)) {
        const char before = at > 0 ? pickle[at - 1] : '\0';
        // 'c' is the instruction of the old protocols that a name follows
        if (!is_part_of_name(before) ||
            (before == 'c' && (at < 2 || !is_part_of_name(pickle[at - 2])))) {
            return true;
        }
    }
    return false;
}

Foreign of_program(const Program &program, const std::string &how) {
    return {"a model of " + program.name + " (" + how + ")", program.fix};
}

Foreign in_pickle(const std::string &pickle) {
    const bool for_mliap = pickle.find("mliap") != std::string::npos;
    for (const Program &program : programs()) {
        if (names_module(pickle, program.module)) {
            return of_program(program, for_mliap ? "a pickle for pair_style mliap" : "a pickle");
        }
    }
    // checkpoints of sevenn hold plain values: its options
    if (pickle.find("E3_equivariant_model") != std::string::npos) {
        return {"a checkpoint of sevenn", import_of("sevennet", "this file")};
    }
    return {};
}

} // namespace

Foreign recognise(const Archive &archive) {
    for (const Program &program : programs()) {
        if (has_folder(archive, "code/__torch__/" + std::string(program.module) + "/") ||
            has_folder(archive, "code/__torch__/" + std::string(program.module) + ".py")) {
            return of_program(program, "TorchScript");
        }
    }
    // torch.package keeps the sources of modules as records
    if (has_folder(archive, ".data/extern_modules")) {
        for (const Program &program : programs()) {
            if (has_folder(archive, std::string(program.module) + "/")) {
                return of_program(program, "packaged by torch.package");
            }
        }
        return {"a model packaged by torch.package", ELSEWHERE};
    }
    if (has_folder(archive, "data/aotinductor/") || has_folder(archive, "aotinductor/")) {
        return {"a model compiled with AOTInductor by another program, as nequip's .nequip.pt2 are",
                import_of("nequip` or `egraff import allegro",
                          "the checkpoint (.ckpt) that it was made of")};
    }
    const Archive::Record *pickle = archive.find("data.pkl");
    if (pickle && !pickle->compressed && pickle->size <= MOST_PICKLE_BYTES) {
        return in_pickle(archive.content(*pickle, MOST_PICKLE_BYTES));
    }
    return {};
}

Foreign recognise_bytes(const std::string &first_bytes) {
    if (first_bytes.size() < 2) {
        return {};
    }
    // the protocol of a pickle, 2 to 5 [Python's pickletools]
    if (first_bytes[0] == '\x80' && first_bytes[1] >= 2 && first_bytes[1] <= 5) {
        Foreign found = in_pickle(first_bytes);
        return found.what.empty()
                   ? Foreign{"a pickle, which is not opened, for that would run what is in it",
                             "give what `egraff import` or `egraff train` wrote, or export that"}
                   : found;
    }
    // a graph of TensorFlow is a message of nodes (field 1), each of which says its operator
    if (first_bytes[0] == '\x0a' && (first_bytes.find("Placeholder") != std::string::npos ||
                                     first_bytes.find("Const") != std::string::npos)) {
        return {"a frozen graph of TensorFlow, as deepmd-kit's .pb are", ELSEWHERE};
    }
    return {};
}

} // namespace egraff
