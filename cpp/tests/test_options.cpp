// SPDX-License-Identifier: GPL-2.0-or-later
#include "lammps/pair_options.h"
#include "tests/check.h"

namespace egraff {
namespace {

TEST(options_have_the_defaults_that_the_readme_states) {
    const StyleOptions options = parse_style({});
    CHECK(options.device == "auto" && options.mode == Mode::automatic && !options.check);
    CHECK(options.devi_freq == 100 && !options.min_distance.is_set() && options.max_force == 0.0);
    CHECK(!options.drop_reference_energies && options.check_masses);
}

TEST(the_last_of_two_values_counts) {
    CHECK(parse_style({"devi_freq", "5", "devi_freq", "7"}).devi_freq == 7);
}

TEST(numbers_that_are_none_are_refused) {
    for (const char *text : {"", "-1", "1e3", "0x10", "1 ", "1000000"}) {
        CHECK_REFUSED(parse_style({"devi_freq", text}), "devi_freq: expected a whole number, got");
    }
    for (const char *text : {"", "-0.5", "nan", "inf", "1.5x"}) {
        CHECK_REFUSED(parse_style({"max_force", text}), "max_force: expected a number above 0");
    }
    CHECK(parse_style({"max_force", "1e-3"}).max_force == 1e-3);
}

TEST(a_keyword_without_a_value_is_refused) {
    CHECK_REFUSED(parse_style({"check", "yes", "device"}),
                  "device: expected a value after the keyword, got the end of the line");
    CHECK_REFUSED(parse_style({"committee"}), "got committee\n  fix: leave `committee` out");
}

TEST(an_element_cannot_be_taken_for_a_model) {
    const auto parsed = parse_coefficients({"*", "*", "a.pt", "b.pt", "O", "NULL"}, 2);
    CHECK(parsed.models.size() == 2 && parsed.elements.back() == "NULL");
    CHECK_REFUSED(parse_coefficients({"*", "*", "a.pt", "O", "H"}, 1), "got pair_coeff * * a.pt O");
    CHECK_REFUSED(parse_coefficients({"*", "*", "a.pt"}, 1), "expected pair_coeff * * MODEL");
    CHECK_REFUSED(parse_coefficients({"*", "*", "a.pt", "NULL"}, 1), "got only NULL");
}

} // namespace
} // namespace egraff
