// SPDX-License-Identifier: GPL-2.0-or-later
#include "lammps/compute_egraff_atom.h"

#include "lammps/pair_egraff.h"

#include "atom.h"
#include "error.h"
#include "force.h"
#include "modify.h"
#include "update.h"

#include <algorithm>
#include <exception>

namespace LAMMPS_NS {

ComputeEgraffAtom::ComputeEgraffAtom(LAMMPS *lmp, int narg, char **arg) : Compute(lmp, narg, arg) {
    if (narg != 4) {
        error->all(FLERR,
                   "compute egraff/atom: expected one NAME, got {} words\n"
                   "  fix: compute ID group egraff/atom energy (or deviation, or an output of the "
                   "model)",
                   narg - 3);
    }
    name_ = arg[3];
    peratom_flag = 1;
    size_peratom_cols = 0;
}

void ComputeEgraffAtom::init() {
    pair_ = dynamic_cast<PairEgraff *>(force->pair_match("egraff", 1));
    if (!pair_) {
        const bool several = force->pair_match("egraff", 1, 1) != nullptr;
        error->all(FLERR,
                   "compute egraff/atom: expected one pair style egraff, got {}\n"
                   "  fix: pair_style egraff, once, before the run",
                   several ? "several" : "none");
    }
    const auto names = pair_->atom_outputs();
    if (std::find(names.begin(), names.end(), name_) == names.end()) {
        std::string known;
        for (const std::string &name : names) {
            known += (known.empty() ? "" : ", ") + name;
        }
        error->all(FLERR,
                   "compute egraff/atom: expected one of {}, got {}\n"
                   "  fix: choose one of these{}",
                   known, name_,
                   name_ == "deviation" ? "; a deviation needs several models in pair_coeff" : "");
    }
    if (!modify->get_fix_by_style("^hmc$").empty()) {
        error->all(FLERR,
                   "compute egraff/atom: expected steps that go on from what was evaluated, got "
                   "fix hmc, which goes back where it rejects\n"
                   "  fix: leave the compute out of this run, and `rerun` its dump with it");
    }
    pair_->keep_atom_output(name_);
}

void ComputeEgraffAtom::compute_peratom() {
    invoked_peratom = update->ntimestep;
    try {
        values_ = pair_->atom_output(name_);
    } catch (const LAMMPSException &) {
        throw;
    } catch (const std::exception &failure) {
        error->one(FLERR, failure.what());
    }
    for (int i = 0; i < atom->nlocal; ++i) {
        if (!(atom->mask[i] & groupbit)) {
            values_[i] = 0.0;
        }
    }
    values_.resize(std::max<size_t>(values_.size(), 1)); // a rank may have no atoms
    vector_atom = values_.data();
}

double ComputeEgraffAtom::memory_usage() { return double(values_.capacity() * sizeof(double)); }

} // namespace LAMMPS_NS
