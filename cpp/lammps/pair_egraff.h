// SPDX-License-Identifier: GPL-2.0-or-later
//
// pair_style egraff [device auto|cpu|cuda|cuda:N] [threads N] [mode auto|fold|exchange|extended]
//                   [check yes|no]
// pair_coeff * * MODEL ELEMENT_1 ... ELEMENT_ntypes
//
// The thin layer between LAMMPS and egraff_core: the neighbour list becomes a graph
// (graph_builder.h), the model is evaluated (core/model.h), edge gradients become forces and
// virials (core/edges.h), and features of ghosts travel through LAMMPS (ghost_backend.h).
#pragma once

#include "lammps/ghost_backend.h"
#include "lammps/graph_builder.h"
#include "lammps/pair_options.h"
#include "lammps/unit_factors.h"

#include "core/model.h"

#include "pair.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace LAMMPS_NS {

class PairEgraff : public Pair {
  public:
    explicit PairEgraff(class LAMMPS *);
    ~PairEgraff() override;

    void settings(int narg, char **arg) override;
    void coeff(int narg, char **arg) override;
    void init_style() override;
    double init_one(int i, int j) override;
    void compute(int eflag, int vflag) override;

    int pack_forward_comm(int n, int *list, double *buffer, int, int *) override;
    void unpack_forward_comm(int n, int first, double *buffer) override;
    int pack_reverse_comm(int n, int first, double *buffer) override;
    void unpack_reverse_comm(int n, int *list, double *buffer) override;

    double memory_usage() override;

  private:
    void allocate();
    void log_model() const;
    void check_surroundings() const;
    void reserve_communication();
    void rebuild_graph();
    void find_owners();
    void add_results(const egraff::Evaluation &evaluation);
    void check_finite(const egraff::Evaluation &evaluation) const;
    // Runs `action` and turns what it throws into LAMMPS's errors: on all ranks together where all
    // of them must have failed alike, else by ending every rank from the one that failed.
    void guarded(bool alike_on_all_ranks, const std::function<void()> &action) const;
    const egraff::Metadata &metadata() const { return model_->metadata(); }
    double cutoff(int i, int j) const;

    egraff::StyleOptions options_;
    egraff::Mode mode_ = egraff::Mode::automatic; // resolved
    int threads_ = 1;
    egraff::UnitFactors units_;

    std::unique_ptr<egraff::Model> model_;
    std::vector<int> species_; // of type 1, 2, ...; -1: not described
    std::unique_ptr<egraff::GraphBuilder> builder_;
    egraff::GhostBackend backend_;

    bool finding_owners_ = false; // what pack_forward_comm sends
    std::vector<double> owner_buffer_;
    std::vector<int> owners_;
};

} // namespace LAMMPS_NS
