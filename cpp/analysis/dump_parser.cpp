// SPDX-License-Identifier: GPL-2.0-or-later
//
// egraff._dump: the atom lines of a LAMMPS text dump as arrays. Reading dumps is most of the work
// of many analyses, and nearly all of that is turning text into numbers.

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace py = pybind11;

namespace {

// Powers of ten that a double holds exactly.
constexpr std::array<double, 23> POWERS = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                           1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                           1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
constexpr std::uint64_t LARGEST_EXACT = std::uint64_t{1} << 53;

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Any number that the C library knows, nan and inf included.
double parse_any(std::string_view word) {
    const std::string text(word);
    char *end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (text.empty() || end != text.c_str() + text.size()) {
        throw std::invalid_argument(text);
    }
    return value;
}

// A decimal number. When all its digits and its power of ten are exact doubles, one multiplication
// or division is correctly rounded (Clinger, PLDI 1990); others are left to the C library.
double parse_number(std::string_view word) {
    const char *p = word.data();
    const char *const end = p + word.size();
    const bool negative = p != end && *p == '-';
    if (p != end && (*p == '-' || *p == '+')) {
        ++p;
    }
    std::uint64_t digits = 0;
    int exponent = 0;
    int n_digits = 0;
    for (; p != end && is_digit(*p); ++p, ++n_digits) {
        digits = 10 * digits + static_cast<std::uint64_t>(*p - '0');
    }
    if (p != end && *p == '.') {
        for (++p; p != end && is_digit(*p); ++p, ++n_digits, --exponent) {
            digits = 10 * digits + static_cast<std::uint64_t>(*p - '0');
        }
    }
    // 19 digits fit into the integer whatever they are
    if (n_digits == 0 || n_digits > 19) {
        return parse_any(word);
    }
    if (p != end && (*p == 'e' || *p == 'E')) {
        ++p;
        const bool down = p != end && *p == '-';
        if (p != end && (*p == '-' || *p == '+')) {
            ++p;
        }
        int power = 0;
        int n_power = 0;
        for (; p != end && is_digit(*p) && n_power < 4; ++p, ++n_power) {
            power = 10 * power + (*p - '0');
        }
        if (n_power == 0) {
            return parse_any(word);
        }
        exponent += down ? -power : power;
    }
    if (p != end || digits > LARGEST_EXACT || std::abs(exponent) > 22) {
        return parse_any(word);
    }
    auto value = static_cast<double>(digits);
    value = exponent < 0 ? value / POWERS[-exponent] : value * POWERS[exponent];
    return negative ? -value : value;
}

enum class Kind : std::uint8_t { skip, number, word };

// The lines of one frame.
//
// body: bytes of the atom lines; kinds: what each field of a line is. Returns numbers
// [n_numbers, n_atoms] in file order of the columns, and a list of words for each text column.
// Raises ValueError naming the line and field (both from 0) that do not fit.
py::tuple parse(const py::bytes &body, py::ssize_t n_atoms, const std::vector<int> &kinds) {
    const std::string_view text = body;
    std::vector<Kind> fields;
    py::ssize_t n_numbers = 0;
    std::size_t n_words = 0;
    for (const int kind : kinds) {
        fields.push_back(static_cast<Kind>(kind));
        n_numbers += fields.back() == Kind::number ? 1 : 0;
        n_words += fields.back() == Kind::word ? 1 : 0;
    }
    py::array_t<double> numbers({n_numbers, n_atoms});
    double *const out = numbers.mutable_data();
    std::vector<py::list> words(n_words);

    const char *p = text.data();
    const char *const end = p + text.size();
    for (py::ssize_t atom = 0; atom < n_atoms; ++atom) {
        double *target = out + atom;
        std::size_t word_column = 0;
        for (std::size_t field = 0; field < fields.size(); ++field) {
            while (p != end && is_blank(*p)) {
                ++p;
            }
            const char *const start = p;
            while (p != end && *p != '\n' && !is_blank(*p)) {
                ++p;
            }
            const std::string_view word(start, static_cast<std::size_t>(p - start));
            bool good = !word.empty();
            if (good && fields[field] == Kind::number) {
                try {
                    *target = parse_number(word);
                    target += n_atoms;
                } catch (const std::invalid_argument &) {
                    good = false;
                }
            } else if (good && fields[field] == Kind::word) {
                words[word_column++].append(py::str(word.data(), word.size()));
            }
            if (!good) {
                throw py::value_error("line " + std::to_string(atom) + " field " +
                                      std::to_string(field));
            }
        }
        while (p != end && is_blank(*p)) {
            ++p;
        }
        if (p != end && *p != '\n') {
            throw py::value_error("line " + std::to_string(atom) + " is too long");
        }
        if (p != end) {
            ++p;
        }
    }
    while (p != end && (is_blank(*p) || *p == '\n')) {
        ++p;
    }
    if (p != end) {
        throw py::value_error("more lines than atoms");
    }
    return py::make_tuple(numbers, words);
}

} // namespace

PYBIND11_MODULE(_dump, module) {
    module.doc() = "Atom lines of LAMMPS text dumps as arrays.";
    module.def("parse", &parse, py::arg("body"), py::arg("n_atoms"), py::arg("kinds"));
}
