// SPDX-License-Identifier: GPL-2.0-or-later
//
// pair_style egraff [keyword value ...], see pair_options.h
// pair_coeff * * MODEL [MODEL ...] ELEMENT_1 ... ELEMENT_ntypes
//
// The thin layer between LAMMPS and egraff_core: the neighbour list becomes a graph
// (graph_builder.h), the model is evaluated (core/model.h), edge gradients become forces and
// virials (edge_list.h), and features of ghosts travel through LAMMPS (ghost_backend.h).
#pragma once

#include "lammps/ghost_backend.h"
#include "lammps/graph_builder.h"
#include "lammps/pair_options.h"
#include "lammps/resources.h"
#include "lammps/unit_factors.h"

#include "core/committee.h"
#include "core/lockstep.h"

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

    // pair_egraff_committee.cpp: per-atom numbers by name, for computes. Each asks for its own when
    // a run is set up and reads it after a step: [nlocal] in LAMMPS's units (outputs of the model
    // other than energies in its own). Throws egraff::Error.
    std::vector<std::string> atom_outputs() const;
    void keep_atom_output(const std::string &name);
    std::vector<double> atom_output(const std::string &name);

  private:
    // pair_egraff.cpp: up to the first step
    void allocate();
    void log_model() const;
    void check_surroundings() const;
    int n_exchanges() const;
    bool exchange_together() const;
    int64_t widest_exchange() const;
    void reserve_communication();
    void sort_for_cache();
    bool graph_on_host() const;
    std::unique_ptr<egraff::GraphBuilder> make_builder() const;
    double cutoff(int i, int j) const;

    // pair_egraff_flux.cpp
    void check_heat_flux() const;

    // pair_egraff_types.cpp
    std::vector<std::string> element_labels() const;
    void check_types();

    // pair_egraff_step.cpp
    void log_traffic();
    void rebuild_graph(egraff::GraphBuilder &builder, egraff::Mode mode);
    void update_graph(egraff::GraphBuilder &builder, egraff::Mode mode);
    void find_first_copies();
    std::vector<egraff::Evaluation> evaluate_members(const egraff::GraphBuilder &builder,
                                                     egraff::Mode mode,
                                                     const std::vector<std::string> &extras = {});
    // [nlocal, 3] in eV/Angstrom: what all ranks contribute to the forces on this rank's atoms.
    std::vector<double> owned_forces(const egraff::GraphBuilder &builder,
                                     const egraff::Evaluation &evaluation);
    void add_results(const egraff::Evaluation &evaluation);

    // pair_egraff_committee.cpp
    std::vector<double> deviation();
    void write_deviation();
    // of several partitions, each writes files of its own: ".N", or nothing
    std::string partition_suffix() const;

    // pair_egraff_check.cpp
    egraff::Mode other_mode() const;
    bool needs_extended() const;
    void compare_modes(const egraff::Evaluation &evaluation);

    // pair_egraff_guards.cpp: ends the run on all ranks, with the configuration saved, if a result
    // is not finite or beyond the limits that the user set.
    void stop_if_wrong(const egraff::Evaluation &evaluation);
    std::string find_trouble(const egraff::Evaluation &evaluation);
    std::string describe_atom(int atom) const;
    std::string trial_moves() const;
    void check_trial_moves() const;
    bool in_dynamics() const;

    // Runs `action` and turns what it throws into LAMMPS's errors: on all ranks together where all
    // of them must have failed alike, else by ending every rank from the one that failed.
    void guarded(bool alike_on_all_ranks, const std::function<void()> &action) const;
    const egraff::Metadata &metadata() const { return members_.front()->metadata(); }

    egraff::StyleOptions options_;
    egraff::Mode mode_ = egraff::Mode::automatic; // resolved
    int threads_ = 1;
    egraff::NodeLayout layout_;
    egraff::UnitFactors units_;

    std::vector<std::unique_ptr<egraff::Model>> members_; // of a committee, or one
    std::vector<at::Tensor> isolated_;        // reference_energies drop: of each, what to subtract
    std::vector<egraff::Evaluation> results_; // of each, at the last step
    std::vector<std::string> kept_outputs_;   // in these, for computes
    std::vector<int> species_;                // of type 1, 2, ...; -1: not described
    std::unique_ptr<egraff::GraphBuilder> builder_;
    egraff::GhostBackend backend_;
    egraff::Lockstep lockstep_;

    // For `compute pair egraff`: seconds that this rank has spent in the models, exchanges
    // included. What a step takes beyond that is LAMMPS's and this style's own.
    double model_seconds_ = 0.0;

    bool log_traffic_next_ = false;
    bool compare_modes_next_ = false;
    bool devi_file_begun_ = false;
    std::string type_remarks_; // of the last warning about elements and masses

    // What Comm carries when it is not features of the model: rows of `width` numbers per atom.
    struct Message {
        std::vector<double> rows;
        int width;
    };
    Message *message_ = nullptr;
    std::vector<int> first_copy_; // of each atom, see lammps/graph_builder.h
};

} // namespace LAMMPS_NS
