// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "ops/exchange.h" // EGRAFF_PUBLIC

#include <stdexcept>
#include <string>

namespace egraff {

// Something the user gave cannot be used. The parts are those of egraff.errors.InputError in
// Python, and so is the text: "where: field: problem", then a line "  fix: ...".
class EGRAFF_PUBLIC Error : public std::runtime_error {
  public:
    struct Place {
        std::string where = {}; // file at fault
        std::string field = {}; // key inside it
    };

    Error(std::string problem, Place place, std::string fix);
    ~Error() override;

    const std::string problem;
    const Place place;
    const std::string fix;
};

} // namespace egraff
