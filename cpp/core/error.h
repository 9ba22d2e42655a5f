// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "ops/visibility.h"

#include <cstdint>
#include <exception>
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

// For a process that was to hold this many atoms (ghosts included) and edges; -1: not known yet.
EGRAFF_PUBLIC Error out_of_memory(int64_t n_atoms, int64_t n_edges, const std::string &file);

// Whether this says that memory ran out: TorchScript keeps of the original error its text only.
EGRAFF_PUBLIC bool is_out_of_memory(const std::exception &failure);

} // namespace egraff
