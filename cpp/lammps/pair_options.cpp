// SPDX-License-Identifier: GPL-2.0-or-later
#include "lammps/pair_options.h"

#include "core/error.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace egraff {

namespace {

[[noreturn]] void refuse(const std::string &keyword, const std::string &expected,
                         const std::string &got) {
    throw Error("expected " + expected + ", got " + got, {"pair_style egraff", keyword},
                "pair_style egraff [device auto|cpu|cuda|cuda:N] [threads N] "
                "[mode auto|fold|exchange|extended] [check yes|no] [min_distance D] "
                "[max_force F] [devi_freq N] [devi_file F] [committee together|in_turn] "
                "[graph auto|host|device]");
}

double number_or_zero(const std::string &keyword, const std::string &text) {
    char *end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0' || !(value >= 0.0) || !std::isfinite(value)) {
        refuse(keyword, "a number above 0, or 0 for no limit", text);
    }
    return value;
}

int positive_integer(const std::string &keyword, const std::string &text) {
    const bool digits =
        !text.empty() && text.size() < 7 &&
        std::all_of(text.begin(), text.end(), [](char c) { return '0' <= c && c <= '9'; });
    const int value = digits ? std::stoi(text) : 0;
    if (value < 1) {
        refuse(keyword, "a whole number above 0", text);
    }
    return value;
}

std::string join(const std::vector<std::string> &parts, const std::string &between = " ") {
    std::string text;
    for (const std::string &part : parts) {
        text += (text.empty() ? "" : between) + part;
    }
    return text;
}

} // namespace

std::string name(Mode mode) {
    switch (mode) {
    case Mode::fold:
        return "fold";
    case Mode::exchange:
        return "exchange";
    case Mode::extended:
        return "extended";
    default:
        return "auto";
    }
}

StyleOptions parse_style(const std::vector<std::string> &arguments) {
    StyleOptions options;
    for (size_t k = 0; k < arguments.size(); k += 2) {
        const std::string &keyword = arguments[k];
        const std::vector<std::string> keywords = {
            "device",    "threads",   "mode",      "check",     "min_distance",
            "max_force", "devi_freq", "devi_file", "committee", "graph"};
        if (std::find(keywords.begin(), keywords.end(), keyword) == keywords.end()) {
            refuse(keyword, "one of the keywords " + join(keywords, ", "), keyword);
        }
        if (k + 1 == arguments.size()) {
            refuse(keyword, "a value after the keyword", "the end of the line");
        }
        const std::string &value = arguments[k + 1];
        if (keyword == "device") {
            if (value != "auto" && value != "cpu" && value.rfind("cuda", 0) != 0) {
                refuse(keyword, "auto, cpu, cuda or cuda:N", value);
            }
            options.device = value;
        } else if (keyword == "threads") {
            options.threads = positive_integer(keyword, value);
        } else if (keyword == "mode") {
            const Mode modes[] = {Mode::automatic, Mode::fold, Mode::exchange, Mode::extended};
            const auto found = std::find_if(std::begin(modes), std::end(modes),
                                            [&](Mode mode) { return name(mode) == value; });
            if (found == std::end(modes)) {
                refuse(keyword, "auto, fold, exchange or extended", value);
            }
            options.mode = *found;
        } else if (keyword == "check") {
            if (value != "yes" && value != "no") {
                refuse(keyword, "yes or no", value);
            }
            options.check = value == "yes";
        } else if (keyword == "committee") {
            if (value != "together" && value != "in_turn") {
                refuse(keyword, "together or in_turn", value);
            }
            options.together = value == "together";
        } else if (keyword == "graph") {
            using Place = StyleOptions::GraphPlace;
            if (value != "auto" && value != "host" && value != "device") {
                refuse(keyword, "auto, host or device", value);
            }
            options.graph = value == "auto"   ? Place::automatic
                            : value == "host" ? Place::host
                                              : Place::device;
        } else if (keyword == "devi_file") {
            options.devi_file = value;
        } else if (keyword == "devi_freq") {
            options.devi_freq = value == "0" ? 0 : positive_integer(keyword, value);
        } else {
            double &limit = keyword == "min_distance" ? options.min_distance : options.max_force;
            limit = number_or_zero(keyword, value);
        }
    }
    return options;
}

Coefficients parse_coefficients(const std::vector<std::string> &arguments, int n_types) {
    const std::string expected = "pair_coeff * * MODEL ELEMENT ..., one element for each of the " +
                                 std::to_string(n_types) + " atom types, in their order";
    const auto refuse_line = [&](const std::string &got) {
        throw Error("expected " + expected + ", got " + got, {"pair_coeff"},
                    "name the element of every type; NULL for types that another pair style "
                    "describes");
    };
    const int n_models = int(arguments.size()) - 2 - n_types; // LAMMPS has checked the `* *`
    if (n_models < 1) {
        refuse_line("pair_coeff " + join(arguments));
    }
    Coefficients coefficients;
    coefficients.models.assign(arguments.begin() + 2, arguments.begin() + 2 + n_models);
    coefficients.elements.assign(arguments.begin() + 2 + n_models, arguments.end());
    // What should be a file but looks like an element means that there are too many elements.
    const auto looks_like_element = [](const std::string &text) {
        return text == "NULL" || (text.size() <= 2 && text[0] >= 'A' && text[0] <= 'Z');
    };
    for (const std::string &model : coefficients.models) {
        if (looks_like_element(model)) {
            refuse_line("pair_coeff " + join(arguments));
        }
    }
    const auto &elements = coefficients.elements;
    if (std::all_of(elements.begin(), elements.end(),
                    [](const std::string &element) { return element == "NULL"; })) {
        refuse_line("only NULL");
    }
    return coefficients;
}

std::vector<int> map_elements(const std::vector<std::string> &elements, const Metadata &metadata,
                              const std::string &path) {
    std::vector<int> species;
    for (const std::string &element : elements) {
        const auto found = std::find(metadata.elements.begin(), metadata.elements.end(), element);
        if (element != "NULL" && found == metadata.elements.end()) {
            throw Error(
                "expected elements that the model knows (" + join(metadata.elements) + "), got " +
                    element + " for atom type " + std::to_string(species.size() + 1),
                {"pair_coeff", path}, "correct the element, or train a model that knows it");
        }
        species.push_back(element == "NULL" ? -1 : int(found - metadata.elements.begin()));
    }
    return species;
}

} // namespace egraff
