// SPDX-License-Identifier: GPL-2.0-or-later
//
// compute ID group egraff/atom NAME: one number per atom that pair style egraff knows.
#pragma once

#include "compute.h"

#include <string>
#include <vector>

namespace LAMMPS_NS {

class ComputeEgraffAtom : public Compute {
  public:
    ComputeEgraffAtom(class LAMMPS *, int narg, char **arg);

    void init() override;
    void compute_peratom() override;
    double memory_usage() override;

  private:
    std::string name_;
    class PairEgraff *pair_ = nullptr;
    std::vector<double> values_;
};

} // namespace LAMMPS_NS
