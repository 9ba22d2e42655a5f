// SPDX-License-Identifier: GPL-2.0-or-later
//
// A run must not go on from nonsense: results that are not finite, and what the user forbids.
#include "lammps/pair_egraff.h"

#include "core/error.h"

#include "atom.h"
#include "comm.h"
#include "input.h"
#include "universe.h"
#include "update.h"

#include <cmath>
#include <optional>

namespace LAMMPS_NS {

namespace {

constexpr double COINCIDENT = 1e-12; // Angstrom: the last digits of coordinates

} // namespace

std::string PairEgraff::describe_atom(int i) const {
    const double *x = atom->x[i];
    return fmt::format("atom {} of type {} at ({:.6g}, {:.6g}, {:.6g})",
                       atom->tag_enable ? std::to_string(atom->tag[i]) : "without ID",
                       atom->type[i], x[0], x[1], x[2]);
}

std::string PairEgraff::not_finite(const egraff::Evaluation &evaluation) const {
    // a pair without a direction has no forces, whatever a table gives for it
    const std::vector<double> coincident(min_distances_.size(), COINCIDENT * COINCIDENT);
    if (const auto pair = graph_->builder.edges().first_shorter_than(coincident)) {
        return fmt::format("expected atoms at different places, got {:.3g} between {} and {} at "
                           "step {}",
                           pair->distance * units_.length, describe_atom(pair->centre),
                           describe_atom(pair->neighbour), update->ntimestep);
    }
    const double *energies = evaluation.atomic_energy.const_data_ptr<double>();
    std::string got = "a force that is inf or nan";
    std::optional<int> bad;
    for (int64_t node = 0; !bad && node < graph_->builder.graph().n_owned; ++node) {
        if (!std::isfinite(energies[node])) {
            got = fmt::format("an energy of {}", energies[node]);
            bad = int(graph_->builder.atom_of_node()[node]);
        }
    }
    if (!bad) {
        bad = graph_->builder.edges().first_not_finite(evaluation.edge_gradient);
    }
    return bad ? fmt::format("expected finite energies and forces, got {} at step {}, first for {}",
                             got, update->ntimestep, describe_atom(*bad))
               : "";
}

// Collective where there is a limit on forces.
std::string PairEgraff::beyond_limits(const egraff::Evaluation &evaluation) {
    std::vector<double> forces;
    if (options_.max_force > 0.0) {
        forces = owned_forces(graph_->builder, evaluation);
    }
    if (options_.min_distance.is_set()) {
        std::vector<double> squared;
        for (const double distance : min_distances_) {
            squared.push_back(distance / units_.length * (distance / units_.length));
        }
        if (const auto pair = graph_->builder.edges().first_shorter_than(squared)) {
            const auto &species = graph_->builder.species_of_atom();
            const size_t n = metadata().elements.size();
            return fmt::format(
                "expected distances of at least min_distance {:g}, got {:.6g} at step "
                "{} between {} and {}",
                min_distances_[species[pair->centre] * n + species[pair->neighbour]],
                pair->distance * units_.length, update->ntimestep, describe_atom(pair->centre),
                describe_atom(pair->neighbour));
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

bool PairEgraff::of_any_rank(bool here) const {
    return comm->nprocs == 1 ? here : smallest_of_ranks(here ? 0 : 1, world) == 0;
}

std::string PairEgraff::of_all_ranks(std::string trouble) const {
    const int first = smallest_of_ranks(trouble.empty() ? comm->nprocs : comm->me, world);
    if (first == comm->nprocs || comm->nprocs == 1) {
        return trouble;
    }
    int length = int(trouble.size());
    MPI_Bcast(&length, 1, MPI_INT, first, world);
    trouble.resize(length);
    MPI_Bcast(trouble.data(), length, MPI_CHAR, first, world);
    return trouble;
}

void PairEgraff::stop_if_wrong(const std::string &mine) {
    const std::string trouble = of_all_ranks(mine);
    if (trouble.empty()) {
        return;
    }
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
