// SPDX-License-Identifier: GPL-2.0-or-later
#include "lammps/fix_egraff_visit.h"

#include "lammps/pair_egraff.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "pair.h"

namespace LAMMPS_NS {

FixEgraffVisit::FixEgraffVisit(LAMMPS *lmp, int narg, char **arg) : Fix(lmp, narg, arg) {
    if (narg != 3) {
        error->all(FLERR, "fix EGRAFF/VISIT is made by pair_style egraff\n  fix: leave it out");
    }
    nevery = 1;
}

int FixEgraffVisit::setmask() {
    return FixConst::PRE_REVERSE | FixConst::MIN_PRE_REVERSE | FixConst::FINAL_INTEGRATE |
           FixConst::END_OF_STEP | FixConst::FINAL_INTEGRATE_RESPA;
}

FixEgraffVisit::Integrated FixEgraffVisit::present() const {
    const double *first = atom->nlocal > 0 ? atom->f[0] : nullptr;
    return {force->pair->eng_vdwl, {first, first + 3 * atom->nlocal}};
}

// What a run starts from, or reruns, it has gone on from by definition. But fix sgcmc sets up the
// integrator anew in the middle of a step.
void FixEgraffVisit::setup_pre_reverse(int eflag, int vflag) {
    if (!in_step_) {
        pre_reverse(eflag, vflag);
        go_on(false);
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
    go_on(false);
}

void FixEgraffVisit::final_integrate() { integrated_ = present(); }

// Fix charge/regulation ends a step, too, after each of its trials; but it does not integrate. Fix
// hmc, which comes before this one, puts atoms and energies back to what they were some steps ago.
void FixEgraffVisit::end_of_step() {
    if (!integrated_) {
        return;
    }
    const Integrated now = present();
    const bool rejected = now.energy != integrated_->energy;
    if (rejected && !warned_ && comm->me == 0 && now.forces == integrated_->forces) {
        error->warning(FLERR,
                       "a fix has gone back to an earlier configuration and left the forces of the "
                       "rejected one: this step's forces are wrong, and so is the first half of "
                       "the next one\n  fix: a LAMMPS whose fix restores forces");
        warned_ = true;
    }
    go_on(rejected);
}

// A step of rRESPA has several evaluations.
void FixEgraffVisit::final_integrate_respa(int, int) { go_on(false); }

void FixEgraffVisit::go_on(bool rejected) {
    in_step_ = false;
    integrated_.reset();
    if (pair_) {
        pair_->go_on(rejected);
    }
}

} // namespace LAMMPS_NS
