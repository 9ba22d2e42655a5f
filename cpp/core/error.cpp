// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/error.h"

namespace egraff {

namespace {

std::string compose(const std::string &problem, const Error::Place &place, const std::string &fix) {
    std::string text;
    for (const std::string *part : {&place.where, &place.field, &problem}) {
        if (!part->empty()) {
            text += (text.empty() ? "" : ": ") + *part;
        }
    }
    return fix.empty() ? text : text + "\n  fix: " + fix;
}

} // namespace

Error::Error(std::string problem_, Place place_, std::string fix_)
    : std::runtime_error(compose(problem_, place_, fix_)), problem(std::move(problem_)),
      place(std::move(place_)), fix(std::move(fix_)) {}

Error::~Error() = default;

} // namespace egraff
