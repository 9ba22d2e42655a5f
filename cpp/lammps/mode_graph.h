// SPDX-License-Identifier: GPL-2.0-or-later
//
// One parallel mode at work: the graph that it makes of LAMMPS's atoms, and the way features of
// ghosts travel in it. Two of them, as `check yes` compares, share nothing.
#pragma once

#include "lammps/ghost_backend.h"
#include "lammps/graph_builder.h"
#include "lammps/pair_options.h"

#include <utility>
#include <vector>

namespace egraff {

struct ModeGraph {
    ModeGraph(Mode mode_, GraphBuilder builder_, GhostBackend::Transport transport)
        : mode(mode_), builder(std::move(builder_)), backend(std::move(transport)) {}
    ModeGraph(const ModeGraph &) = delete; // the backend borrows from the other members
    ModeGraph &operator=(const ModeGraph &) = delete;

    const Mode mode;
    GraphBuilder builder;
    GhostBackend backend;
    std::vector<int> first_copy; // of each atom, see AtomArrays
};

} // namespace egraff
