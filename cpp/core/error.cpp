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

Error out_of_memory(int64_t n_atoms, int64_t n_edges, const std::string &file) {
    const std::string edges = n_edges < 0 ? "" : " and " + std::to_string(n_edges) + " edges";
    return Error("expected memory for " + std::to_string(n_atoms) + " atoms (ghosts included)" +
                     edges + " in one process, got less",
                 {file},
                 "share the system among more nodes, use fewer ranks and more threads on each (a "
                 "rank's ghost atoms need memory, too), or export the model with --dtype float32 "
                 "and without --no-fuse");
}

bool is_out_of_memory(const std::exception &failure) {
    const std::string text = failure.what();
    for (const char *sign : {"bad_alloc", "can't allocate memory", "not enough memory",
                             "out of memory", "Could not allocate memory"}) {
        if (text.find(sign) != std::string::npos) {
            return true;
        }
    }
    return false;
}

} // namespace egraff
