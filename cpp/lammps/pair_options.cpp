// SPDX-License-Identifier: GPL-2.0-or-later
#include "lammps/pair_options.h"

#include "core/error.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <optional>
#include <sstream>
#include <utility>

namespace egraff {

namespace {

std::string join(const std::vector<std::string> &parts, const std::string &between = " ",
                 const std::string &before_last = "") {
    std::string text;
    for (size_t k = 0; k < parts.size(); ++k) {
        const bool last = k + 1 == parts.size() && !before_last.empty();
        text += (k == 0 ? "" : last ? before_last : between) + parts[k];
    }
    return text;
}

// A keyword of the pair style; usage text and error messages follow from the table of these.
struct Keyword {
    std::string name;
    std::string values;   // as the usage text has them: "yes|no"
    std::string expected; // as an error message has them: "yes or no"
    std::function<bool(StyleOptions &, const std::string &)> read; // false: not such a value
};

template <class T>
Keyword choice(const std::string &name, T StyleOptions::*option,
               const std::vector<std::pair<std::string, T>> &values) {
    std::vector<std::string> names;
    for (const auto &value : values) {
        names.push_back(value.first);
    }
    return {name, join(names, "|"), join(names, ", ", " or "),
            [=](StyleOptions &options, const std::string &text) {
                const auto found =
                    std::find_if(values.begin(), values.end(),
                                 [&](const auto &value) { return value.first == text; });
                if (found == values.end()) {
                    return false;
                }
                options.*option = found->second;
                return true;
            }};
}

// Whole numbers of at least `least`, which is 0 or 1.
Keyword whole_number(const std::string &name, int StyleOptions::*option, int least) {
    return {name, "N", least == 0 ? "a whole number" : "a whole number above 0",
            [=](StyleOptions &options, const std::string &text) {
                const auto is_digit = [](char c) { return '0' <= c && c <= '9'; };
                if (text.empty() || text.size() > 6 ||
                    !std::all_of(text.begin(), text.end(), is_digit) || std::stoi(text) < least) {
                    return false;
                }
                options.*option = std::stoi(text);
                return true;
            }};
}

std::optional<double> limit_value(const std::string &text) {
    char *end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    const bool good = !text.empty() && *end == '\0' && value >= 0.0 && std::isfinite(value);
    return good ? std::optional(value) : std::nullopt;
}

Keyword limit(const std::string &name, const std::string &symbol, double StyleOptions::*option) {
    return {name, symbol, "a number above 0, or 0 for no limit",
            [=](StyleOptions &options, const std::string &text) {
                const auto value = limit_value(text);
                options.*option = value.value_or(0.0);
                return value.has_value();
            }};
}

// One number for all pairs, or "H-O:0.6,O-O:1.4"; pairs that are not named have no limit.
Keyword distance_limit(const std::string &name, MinDistance StyleOptions::*option) {
    return {name, "D|A-B:D,...",
            "a number above 0, or 0 for no limit, or such numbers of pairs of elements, as in "
            "H-O:0.6,O-O:1.4",
            [=](StyleOptions &options, const std::string &text) {
                MinDistance &limits = options.*option = {};
                if (const auto value = limit_value(text)) {
                    limits.all = *value;
                    return true;
                }
                std::istringstream entries(text + ",");
                for (std::string entry; std::getline(entries, entry, ',');) {
                    const size_t dash = entry.find('-'), colon = entry.find(':');
                    if (dash == std::string::npos || colon == std::string::npos || colon < dash) {
                        return false;
                    }
                    const auto value = limit_value(entry.substr(colon + 1));
                    if (!value) {
                        return false;
                    }
                    limits.pairs.push_back(
                        {entry.substr(0, dash), entry.substr(dash + 1, colon - dash - 1), *value});
                }
                return true;
            }};
}

const std::vector<std::pair<std::string, Mode>> MODES = {{"auto", Mode::automatic},
                                                         {"fold", Mode::fold},
                                                         {"exchange", Mode::exchange},
                                                         {"extended", Mode::extended}};

const std::vector<Keyword> &keywords() {
    using Options = StyleOptions;
    static const std::vector<Keyword> all = {
        {"device", "auto|cpu|cuda|cuda:N", "auto, cpu, cuda or cuda:N",
         [](Options &options, const std::string &text) {
             options.device = text;
             return text == "auto" || text == "cpu" || text.rfind("cuda", 0) == 0;
         }},
        whole_number("threads", &Options::threads, 1),
        choice("mode", &Options::mode, MODES),
        choice<bool>("check", &Options::check, {{"yes", true}, {"no", false}}),
        distance_limit("min_distance", &Options::min_distance),
        limit("max_force", "F", &Options::max_force),
        whole_number("devi_freq", &Options::devi_freq, 0),
        {"devi_file", "F", "a file name",
         [](Options &options, const std::string &text) {
             options.devi_file = text;
             return true;
         }},
        choice("graph", &Options::graph,
               {{"auto", Options::GraphPlace::automatic},
                {"host", Options::GraphPlace::host},
                {"device", Options::GraphPlace::device}}),
        choice<bool>("reference_energies", &Options::drop_reference_energies,
                     {{"keep", false}, {"drop", true}}),
        choice<bool>("centroid_stress", &Options::approximate_centroid_stress,
                     {{"exact", false}, {"approximate", true}}),
        choice<bool>("masses", &Options::check_masses, {{"check", true}, {"ignore", false}}),
    };
    return all;
}

[[noreturn]] void refuse(const std::string &keyword, const std::string &expected,
                         const std::string &got) {
    std::string usage = "pair_style egraff";
    for (const Keyword &known : keywords()) {
        usage += " [" + known.name + " " + known.values + "]";
    }
    throw Error("expected " + expected + ", got " + got, {"pair_style egraff", keyword}, usage);
}

// Of former releases: what they did is known, and that it is not done any more.
[[noreturn]] void refuse_removed(const std::vector<std::string> &arguments, size_t k,
                                 const std::string &instead) {
    const std::string value = k + 1 < arguments.size() ? " " + arguments[k + 1] : "";
    throw Error("expected no such keyword, as " + instead + ", got " + arguments[k] + value,
                {"pair_style egraff", arguments[k]}, "leave `" + arguments[k] + value + "` out");
}

} // namespace

std::string name(Mode mode) {
    return std::find_if(MODES.begin(), MODES.end(),
                        [mode](const auto &entry) { return entry.second == mode; })
        ->first;
}

bool MinDistance::is_set() const {
    return all > 0.0 || std::any_of(pairs.begin(), pairs.end(),
                                    [](const OfPair &pair) { return pair.distance > 0.0; });
}

std::vector<double> distance_table(const MinDistance &limit, const Metadata &metadata) {
    const std::vector<std::string> &elements = metadata.elements;
    const size_t n = elements.size();
    std::vector<double> table(n * n, limit.all);
    std::vector<bool> named(n * n, false);
    for (const MinDistance::OfPair &pair : limit.pairs) {
        size_t ends[2];
        for (int k = 0; k < 2; ++k) {
            const std::string &element = k == 0 ? pair.first : pair.second;
            ends[k] = std::find(elements.begin(), elements.end(), element) - elements.begin();
            if (ends[k] == n) {
                throw Error("expected elements that the model knows (" + join(elements) +
                                "), got " + element,
                            {"pair_style egraff", "min_distance"}, "correct the element");
            }
        }
        const size_t forth = ends[0] * n + ends[1], back = ends[1] * n + ends[0];
        if (named[forth]) {
            throw Error("expected every pair once, got " + pair.first + "-" + pair.second +
                            " again",
                        {"pair_style egraff", "min_distance"}, "drop one of the two");
        }
        named[forth] = named[back] = true;
        table[forth] = table[back] = pair.distance;
    }
    return table;
}

StyleOptions parse_style(const std::vector<std::string> &arguments) {
    StyleOptions options;
    for (size_t k = 0; k < arguments.size(); k += 2) {
        const auto keyword = std::find_if(keywords().begin(), keywords().end(),
                                          [&](const auto &it) { return it.name == arguments[k]; });
        if (arguments[k] == "committee") {
            refuse_removed(arguments, k, "members of a committee are always evaluated in turn");
        }
        if (keyword == keywords().end()) {
            std::vector<std::string> names;
            for (const Keyword &known : keywords()) {
                names.push_back(known.name);
            }
            refuse(arguments[k], "one of the keywords " + join(names, ", "), arguments[k]);
        }
        if (k + 1 == arguments.size()) {
            refuse(keyword->name, "a value after the keyword", "the end of the line");
        }
        if (!keyword->read(options, arguments[k + 1])) {
            refuse(keyword->name, keyword->expected, arguments[k + 1]);
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
