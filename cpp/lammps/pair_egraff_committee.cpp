// SPDX-License-Identifier: GPL-2.0-or-later
//
// What a committee knows beyond its mean, and per-atom outputs in general.
#include "lammps/pair_egraff.h"

#include "core/error.h"

#include "atom.h"
#include "comm.h"
#include "update.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>

namespace LAMMPS_NS {

std::vector<std::string> PairEgraff::atom_outputs() const {
    std::vector<std::string> names{"energy"};
    if (members_.size() > 1) {
        names.push_back("deviation");
    }
    for (const std::string &name : metadata().outputs) {
        const bool in_all = std::all_of(members_.begin(), members_.end(), [&](const auto &member) {
            const auto &outputs = member->metadata().outputs;
            return std::find(outputs.begin(), outputs.end(), name) != outputs.end();
        });
        if (name != "atomic_energy" && in_all) {
            names.push_back(name);
        }
    }
    return names;
}

void PairEgraff::keep_atom_output(const std::string &name) {
    const auto &outputs = metadata().outputs; // energy and deviation follow from what is there
    if (std::find(outputs.begin(), outputs.end(), name) != outputs.end() &&
        std::find(kept_outputs_.begin(), kept_outputs_.end(), name) == kept_outputs_.end()) {
        kept_outputs_.push_back(name);
    }
}

std::vector<double> PairEgraff::atom_output(const std::string &name) {
    const bool energy = name == "energy", deviation_wanted = name == "deviation";
    if (results_.empty() ||
        !(energy || deviation_wanted || results_.front().extras.count(name) == 1)) {
        throw egraff::Error("expected a step of a run before, got none", {"compute egraff/atom"},
                            "run 0");
    }
    if (of_any_rank(rejected_)) {
        throw egraff::Error("expected the step's configuration to be the one that was evaluated, "
                            "got an earlier one, to which a fix has gone back",
                            {"compute egraff/atom"},
                            "leave the compute out of this run, and `rerun` its dump with it");
    }
    if (visited_ != evaluations_) { // what was evaluated last is the trial of a fix
        log_trials();
        evaluate_present();
        visited_ = gone_on_ = evaluations_;
    }
    if (deviation_wanted) {
        return deviation();
    }
    egraff::ThreadScope threads(threads_);
    const egraff::Evaluation evaluation = egraff::mean(results_);
    const at::Tensor &values = energy ? evaluation.atomic_energy : evaluation.extras.at(name);
    if (values.dim() != 1) {
        throw egraff::Error(
            "expected an output of one number per atom, got " +
                std::to_string(values.numel() / std::max<int64_t>(1, values.size(0))),
            {"compute egraff/atom", name}, "ask for another output");
    }
    std::vector<double> of_atom(atom->nlocal, 0.0);
    for (int64_t node = 0; node < graph_->builder.graph().n_owned; ++node) {
        of_atom[graph_->builder.atom_of_node()[node]] =
            values.const_data_ptr<double>()[node] * (energy ? units_.energy : 1.0);
    }
    return of_atom;
}

std::vector<double> PairEgraff::deviation() {
    std::vector<std::vector<double>> forces;
    for (const egraff::Evaluation &result : results_) {
        forces.push_back(owned_forces(graph_->builder, result));
    }
    auto deviation = egraff::force_deviation(forces);
    for (double &value : deviation) {
        value *= units_.force();
    }
    return deviation;
}

bool PairEgraff::deviation_is_due() const {
    return members_.size() > 1 && options_.devi_freq > 0 &&
           update->ntimestep % options_.devi_freq == 0;
}

// Collective. The line is for the first rank; empty elsewhere, and without atoms.
std::string PairEgraff::deviation_line() {
    const auto mine = deviation();
    // largest, minus smallest; sum and number, of the atoms that the models describe
    std::array<double, 2> extremes{0.0, -std::numeric_limits<double>::max()};
    std::array<double, 2> sums{0.0, 0.0};
    for (int i = 0; i < atom->nlocal; ++i) {
        if (graph_->builder.node_of_atom()[i] >= 0) {
            extremes[0] = std::max(extremes[0], mine[i]);
            extremes[1] = std::max(extremes[1], -mine[i]);
            sums[0] += mine[i];
            sums[1] += 1.0;
        }
    }
    MPI_Allreduce(MPI_IN_PLACE, extremes.data(), 2, MPI_DOUBLE, MPI_MAX, world);
    MPI_Allreduce(MPI_IN_PLACE, sums.data(), 2, MPI_DOUBLE, MPI_SUM, world);
    return comm->me != 0 || sums[1] == 0.0
               ? ""
               : fmt::format("{} {:.10g} {:.10g} {:.10g}\n", update->ntimestep, extremes[0],
                             -extremes[1], sums[0] / sums[1]);
}

void PairEgraff::write_deviation(const std::string &line) {
    // a new run from step 0 has a new file; others go on
    const bool fresh = update->ntimestep == 0 && !devi_file_begun_;
    devi_file_begun_ = true;
    const std::string path = options_.devi_file + partition_suffix();
    std::FILE *file = std::fopen(path.c_str(), fresh ? "w" : "a");
    if (!file) {
        throw egraff::Error("expected a file that can be written, got " + path,
                            {"pair_style egraff", "devi_file"},
                            "name a file in a directory of yours");
    }
    std::fseek(file, 0, SEEK_END);
    if (std::ftell(file) == 0) {
        std::fprintf(file, "# force deviation of a committee of %zu, %s units: step max min mean\n",
                     members_.size(), update->unit_style);
    }
    std::fputs(line.c_str(), file);
    std::fclose(file);
}

} // namespace LAMMPS_NS
