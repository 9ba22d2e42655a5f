// SPDX-License-Identifier: GPL-2.0-or-later
//
// fix ID all EGRAFF/VISIT: made by pair style egraff itself, to be told of the moments of a step.
// What they mean: pair_egraff_visits.cpp.
#pragma once

#include "fix.h"

#include <optional>
#include <vector>

namespace LAMMPS_NS {

class PairEgraff;

class FixEgraffVisit : public Fix {
  public:
    FixEgraffVisit(class LAMMPS *, int narg, char **arg);

    // At the beginning of a run.
    void watch(PairEgraff *pair) {
        pair_ = pair;
        in_step_ = warned_ = false;
        integrated_.reset();
    }

    int setmask() override;
    void setup_pre_reverse(int, int) override;
    void pre_reverse(int, int) override;
    void min_pre_reverse(int, int) override;
    void final_integrate() override;
    void end_of_step() override;
    void final_integrate_respa(int, int) override;

  private:
    PairEgraff *pair_ = nullptr;
    bool in_step_ = false; // forces have been computed, and the step has not ended
    // What a step was integrated with, until it ends: this rank's part of the energy, and forces.
    struct Integrated {
        double energy;
        std::vector<double> forces;
    };
    std::optional<Integrated> integrated_;
    bool warned_ = false;

    Integrated present() const;
    void go_on(bool rejected);
};

} // namespace LAMMPS_NS
