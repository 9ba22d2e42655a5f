// SPDX-License-Identifier: GPL-2.0-or-later
//
// A run must not go on from nonsense: results that are not finite, and what the user forbids.
#include "lammps/pair_egraff.h"

#include "core/error.h"

#include "atom.h"
#include "comm.h"
#include "compute.h"
#include "error.h"
#include "fix.h"
#include "input.h"
#include "modify.h"
#include "universe.h"
#include "update.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <optional>

namespace LAMMPS_NS {

std::string PairEgraff::describe_atom(int i) const {
    const double *x = atom->x[i];
    return fmt::format("atom {} of type {} at ({:.6g}, {:.6g}, {:.6g})",
                       atom->tag_enable ? std::to_string(atom->tag[i]) : "without ID",
                       atom->type[i], x[0], x[1], x[2]);
}

// The fix or compute that asks for energies of configurations that the run does not visit, or "".
// LAMMPS does not tell a pair style which of its calls are such trials.
std::string PairEgraff::trial_moves() const {
    const auto is_one_of = [](const std::string &style, std::initializer_list<const char *> names) {
        return std::any_of(names.begin(), names.end(), [&](const std::string &name) {
            return style == name || style.rfind(name + "/", 0) == 0;
        });
    };
    for (const auto &fix : modify->get_fix_list()) {
        if (is_one_of(fix->style, {"gcmc", "widom", "sgcmc", "atom/swap", "mol/swap",
                                   "charge/regulation", "hmc", "numdiff"})) {
            return std::string("fix ") + fix->style;
        }
    }
    for (const auto &compute : modify->get_compute_list()) {
        if (is_one_of(compute->style, {"fep"})) {
            return std::string("compute ") + compute->style;
        }
    }
    return "";
}

void PairEgraff::check_trial_moves() const {
    const std::string trials = trial_moves();
    if (trials.empty()) {
        return;
    }
    if (options_.min_distance > 0.0 || options_.max_force > 0.0) {
        throw egraff::Error("expected no limits beside " + trials +
                                ", which tries configurations that are meant to be rejected, got " +
                                (options_.min_distance > 0.0 ? "min_distance" : "max_force"),
                            {"pair_style egraff"},
                            "leave it out, or use the fix's own overlap_cutoff");
    }
    if (members_.size() > 1 && options_.devi_freq > 0 && comm->me == 0) {
        error->warning(FLERR,
                       "pair_style egraff: {} tries other configurations than those of the run; "
                       "nothing is written to {}, use compute egraff/atom deviation",
                       trials, options_.devi_file);
    }
}

// Trial points of a minimiser's line search may be anywhere, and overlapping atoms are what a
// minimisation is for: limits and the committee's file are for dynamics (run and rerun).
bool PairEgraff::in_dynamics() const { return update->whichflag == 1; }

// What is wrong on this rank, or nothing. Collective where there is a limit on forces.
std::string PairEgraff::find_trouble(const egraff::Evaluation &evaluation) {
    std::vector<double> forces;
    if (options_.max_force > 0.0 && in_dynamics()) {
        forces = owned_forces(*builder_, evaluation);
    }

    const double *energies = evaluation.atomic_energy.const_data_ptr<double>();
    std::optional<int> bad;
    for (int64_t node = 0; !bad && node < builder_->graph().n_owned; ++node) {
        if (!std::isfinite(energies[node])) {
            bad = int(builder_->atom_of_node()[node]);
        }
    }
    if (!bad) {
        bad = builder_->edges().first_not_finite(evaluation.edge_gradient);
    }
    if (bad) {
        return fmt::format(
            "expected finite energies and forces, got others at step {}, first for {}",
            update->ntimestep, describe_atom(*bad));
    }
    if (options_.min_distance > 0.0 && in_dynamics()) {
        const double shortest = options_.min_distance / units_.length;
        if (const auto pair = builder_->edges().first_shorter_than(shortest)) {
            return fmt::format(
                "expected distances of at least min_distance {:g}, got {:.6g} at step "
                "{} between {} and {}",
                options_.min_distance, pair->distance * units_.length, update->ntimestep,
                describe_atom(pair->centre), describe_atom(pair->neighbour));
        }
    }
    for (size_t i = 0; 3 * i < forces.size(); ++i) {
        const double size = std::hypot(forces[3 * i], forces[3 * i + 1], forces[3 * i + 2]);
        if (size * units_.force() > options_.max_force) {
            return fmt::format(
                "expected forces of at most max_force {:g}, got {:.6g} at step {} on {}",
                options_.max_force, size * units_.force(), update->ntimestep,
                describe_atom(int(i)));
        }
    }
    return "";
}

namespace {

// Not by MPI_Allreduce: within a machine MPICH's spins until the others arrive, and where programs
// share cores these cannot, for the core that they need is the one that spins. This one waits as
// messages do, which gives the core away.
int smallest_of_ranks(int mine, [[maybe_unused]] MPI_Comm world) {
    int smallest = mine;
#if !defined(MPI_STUBS) // LAMMPS's stand-in for MPI, for one rank, does not have it
    MPI_Request request;
    MPI_Iallreduce(&mine, &smallest, 1, MPI_INT, MPI_MIN, world, &request);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
#endif
    return smallest;
}

} // namespace

std::string PairEgraff::partition_suffix() const {
    return universe->existflag ? "." + std::to_string(universe->iworld) : "";
}

void PairEgraff::stop_if_wrong(const egraff::Evaluation &evaluation) {
    std::string trouble = find_trouble(evaluation);
    const int first = smallest_of_ranks(trouble.empty() ? comm->nprocs : comm->me, world);
    if (first == comm->nprocs) {
        return;
    }
    int length = int(trouble.size());
    MPI_Bcast(&length, 1, MPI_INT, first, world);
    trouble.resize(length);
    MPI_Bcast(trouble.data(), length, MPI_CHAR, first, world);

    const std::string file = "egraff_stopped" + partition_suffix() + ".lammpstrj";
    input->one("write_dump all custom " + file + " id type x y z vx vy vz modify " +
               (atom->tag_enable ? "sort id " : "") + "format float %.15g");
    throw egraff::Error(
        trouble + "; the configuration is in " + file,
        {"pair_style egraff", members_.front()->path()},
        "look at that atom's surroundings: atoms that nearly coincide, or a "
        "trajectory that has left what the model knows; a smaller timestep may help");
}

} // namespace LAMMPS_NS
