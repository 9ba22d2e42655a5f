// SPDX-License-Identifier: GPL-2.0-or-later
//
// `check yes`: the first step is computed in a second parallel mode, by another graph and another
// way for features to travel, and must come out the same.
#include "lammps/pair_egraff.h"

#include "core/error.h"

#include "atom.h"
#include "comm.h"
#include "update.h"

#include <algorithm>
#include <cmath>

namespace LAMMPS_NS {

using egraff::Mode;

namespace {

// Relative to the largest force, or to 1 eV/Angstrom if that is larger: two orders of summation.
double tolerance(const egraff::Metadata &metadata) { return metadata.float64 ? 1e-10 : 1e-5; }

// As a difference, but a NaN counts as infinite.
double distance(double a, double b) {
    const double difference = std::abs(a - b);
    return std::isfinite(difference) ? difference : INFINITY;
}

} // namespace

Mode PairEgraff::other_mode() const {
    if (mode_ != Mode::exchange) {
        return Mode::exchange;
    }
    return comm->nprocs == 1 ? Mode::fold : Mode::extended;
}

bool PairEgraff::needs_extended() const {
    return mode_ == Mode::extended || (options_.check && other_mode() == Mode::extended);
}

void PairEgraff::compare_modes(const egraff::Evaluation &evaluation) {
    compare_modes_next_ = false;
    const Mode other = other_mode();
    const auto graph = make_graph(other); // shares nothing with the one that goes on
    update_graph(*graph);
    const egraff::Evaluation second = egraff::mean(evaluate_members(*graph));

    const auto forces = owned_forces(graph_->builder, evaluation);
    const auto other_forces = owned_forces(graph->builder, second);
    double mine[3] = {0.0, 0.0, 1.0}; // differences of energies and forces, largest force
    const int64_t n_owned = graph_->builder.graph().n_owned; // numbered alike in every mode
    for (int64_t node = 0; node < n_owned; ++node) {
        mine[0] =
            std::max(mine[0], distance(evaluation.atomic_energy.const_data_ptr<double>()[node],
                                       second.atomic_energy.const_data_ptr<double>()[node]));
    }
    for (size_t k = 0; k < forces.size(); ++k) {
        mine[1] = std::max(mine[1], distance(forces[k], other_forces[k]));
        mine[2] = std::max(mine[2], std::abs(forces[k]));
    }
    double largest[3];
    MPI_Allreduce(mine, largest, 3, MPI_DOUBLE, MPI_MAX, world);
    const double allowed = tolerance(metadata()) * largest[2];
    const std::string found = fmt::format(
        "modes {} and {} on {} rank(s), step {}: atomic energies differ by up to {:.3g} "
        "eV, forces by up to {:.3g} eV/Angstrom",
        egraff::name(mode_), egraff::name(other), comm->nprocs, update->ntimestep, largest[0],
        largest[1]);
    if (!(largest[0] <= allowed && largest[1] <= allowed)) {
        throw egraff::Error(
            fmt::format("expected differences of at most {:.3g}, got {}", allowed, found),
            {"pair_style egraff", "check"},
            "do not trust this run; try it on one rank, and report the defect");
    }
    if (comm->me == 0) {
        utils::logmesg(lmp, "pair_style egraff: {} (allowed {:.3g})\n", found, allowed);
    }
}

} // namespace LAMMPS_NS
