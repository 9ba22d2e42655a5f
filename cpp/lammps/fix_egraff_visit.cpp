// SPDX-License-Identifier: GPL-2.0-or-later
#include "lammps/fix_egraff_visit.h"

#include "lammps/pair_egraff.h"

#include "error.h"

namespace LAMMPS_NS {

FixEgraffVisit::FixEgraffVisit(LAMMPS *lmp, int narg, char **arg) : Fix(lmp, narg, arg) {
    if (narg != 3) {
        error->all(FLERR, "fix EGRAFF/VISIT is made by pair_style egraff\n  fix: leave it out");
    }
    nevery = 1;
}

int FixEgraffVisit::setmask() {
    return FixConst::PRE_REVERSE | FixConst::MIN_PRE_REVERSE | FixConst::END_OF_STEP |
           FixConst::FINAL_INTEGRATE_RESPA;
}

// What a run starts from, or reruns, it has gone on from by definition. But fix sgcmc sets up the
// integrator anew in the middle of a step.
void FixEgraffVisit::setup_pre_reverse(int eflag, int vflag) {
    if (!in_step_) {
        pre_reverse(eflag, vflag);
        end_of_step();
    }
}

void FixEgraffVisit::pre_reverse(int, int) {
    in_step_ = true;
    if (pair_) {
        pair_->visit();
    }
}

// A minimiser has no end of a step to wait for.
void FixEgraffVisit::min_pre_reverse(int eflag, int vflag) {
    pre_reverse(eflag, vflag);
    end_of_step();
}

void FixEgraffVisit::end_of_step() {
    in_step_ = false;
    if (pair_) {
        pair_->go_on();
    }
}

// A step of rRESPA has several evaluations.
void FixEgraffVisit::final_integrate_respa(int, int) { end_of_step(); }

} // namespace LAMMPS_NS
