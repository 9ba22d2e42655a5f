// SPDX-License-Identifier: GPL-2.0-or-later
//
// pair_style egraff [keyword value ...], see pair_options.h
// pair_coeff * * MODEL [MODEL ...] ELEMENT_1 ... ELEMENT_ntypes
//
// The thin layer between LAMMPS and egraff_core: the neighbour list becomes a graph
// (graph_builder.h), the model is evaluated (core/model.h), edge gradients become forces and
// virials (edge_list.h), and features of ghosts travel through LAMMPS (ghost_backend.h).
// Which of the configurations that LAMMPS asks about the run visits is learnt from a fix
// (fix_egraff_visit.h).
#pragma once

#include "lammps/mode_graph.h"
#include "lammps/pair_options.h"
#include "lammps/resources.h"
#include "lammps/unit_factors.h"

#include "core/committee.h"

#include "pair.h"

#include <functional>
#include <memory>
#include <optional>
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

    // pair_egraff_visits.cpp: called by fix EGRAFF/VISIT. What was evaluated last is a
    // configuration that the run visits ...
    void visit();
    // ... and the run has gone on from the last one of these, or from an earlier configuration.
    void go_on(bool rejected);

  private:
    // pair_egraff.cpp: up to the first step
    void allocate();
    void log_model() const;
    void check_surroundings() const;
    int n_exchanges() const;
    int64_t widest_exchange() const;
    void reserve_communication();
    void sort_for_cache();
    double cutoff(int i, int j) const;

    // pair_egraff_graph.cpp
    bool graph_on_host() const;
    std::unique_ptr<egraff::ModeGraph> make_graph(egraff::Mode mode);
    // Of each atom, ghosts included; -1 for those that are not there for the model.
    std::vector<int> present_species() const;
    bool is_new_list(const egraff::ModeGraph &graph) const;
    void check_neighbour_list();
    void check_atoms_of_list();
    std::string removed_pair(const std::vector<int> &species) const;
    void warn_of_exclusions();
    // Finds the edges at the present positions, of a graph that fits LAMMPS's present list and the
    // atoms' present types.
    void update_graph(egraff::ModeGraph &graph);
    void rebuild_graph(egraff::ModeGraph &graph, const std::vector<int> &species, bool new_ghosts);
    void share_species(std::vector<int> &species);
    void check_pair_cutoffs(const std::vector<int> &before, const std::vector<int> &now) const;
    void check_return_of_atoms(const std::vector<int> &now) const;
    void find_first_copies(std::vector<int> &first_copy);

    // pair_egraff_flux.cpp
    void check_heat_flux() const;

    // pair_egraff_types.cpp
    std::vector<std::string> element_labels() const;
    void check_types();

    // pair_egraff_step.cpp
    void log_traffic();
    void evaluate_present();
    std::vector<egraff::Evaluation> evaluate_members(egraff::ModeGraph &graph,
                                                     const std::vector<std::string> &extras = {});
    // [nlocal, 3] in eV/Angstrom: what all ranks contribute to the forces on this rank's atoms.
    std::vector<double> owned_forces(const egraff::GraphBuilder &builder,
                                     const egraff::Evaluation &evaluation);
    void add_results(const egraff::Evaluation &evaluation);

    // pair_egraff_committee.cpp
    std::vector<double> deviation();
    bool deviation_is_due() const;
    std::string deviation_line();
    void write_deviation(const std::string &line);
    // of several partitions, each writes files of its own: ".N", or nothing
    std::string partition_suffix() const;

    // pair_egraff_check.cpp
    egraff::Mode other_mode() const;
    bool needs_extended() const;
    void compare_modes(const egraff::Evaluation &evaluation);

    // pair_egraff_guards.cpp: what is wrong on this rank, or "": a result that is not finite, or
    // one that is beyond the limits that the user set.
    std::string not_finite(const egraff::Evaluation &evaluation) const;
    std::string beyond_limits(const egraff::Evaluation &evaluation);
    bool has_limits() const { return options_.min_distance.is_set() || options_.max_force > 0.0; }
    std::string describe_atom(int atom) const;
    // What the first rank with trouble has found, the same on all ranks.
    std::string of_all_ranks(std::string trouble) const;
    bool of_any_rank(bool here) const;
    // Ends the run on all ranks, with the configuration saved, if there is trouble on any.
    void stop_if_wrong(const std::string &trouble);

    // pair_egraff_visits.cpp
    void watch_visits();
    void log_trials();
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
    std::vector<at::Tensor> isolated_;         // reference_energies drop: of each, what to subtract
    std::vector<egraff::Evaluation> results_;  // of each, at the last evaluation
    std::vector<std::string> kept_outputs_;    // in these, for computes
    std::vector<int> species_;                 // of type 1, 2, ...; -1: not described
    std::vector<double> min_distances_;        // of species by species, in LAMMPS's units
    std::unique_ptr<egraff::ModeGraph> graph_; // of mode_
    std::vector<tagint> atoms_of_list_;        // numbers, and IDs where there are any
    std::vector<int> species_of_list_;         // when it was built
    bool is_set_up_ = false, list_is_older_ = true; // since settings and models were read

    // For `compute pair egraff`: seconds that this rank has spent in the models, exchanges
    // included. What a step takes beyond that is LAMMPS's and this style's own.
    double model_seconds_ = 0.0;

    bool log_traffic_next_ = false;
    bool compare_modes_next_ = false;
    bool warn_of_exclusions_next_ = false;
    bool devi_file_begun_ = false;
    std::string type_remarks_; // of the last warning about elements and masses

    // Evaluations so far, and the number of the last one that the run may have visited, and of the
    // last one that it has gone on from. What is to be done about the former once it has.
    struct Judgement {
        std::string trouble;        // on this rank
        std::string deviation_line; // for devi_file, on the first rank
    };
    std::string visit_fix_; // its ID
    bigint evaluations_ = 0, visited_ = 0, gone_on_ = 0;
    bool rejected_ = false; // the last one of these, as far as this rank has seen
    std::optional<Judgement> judgement_;
    bool trials_logged_ = false;

    // What Comm carries: features of the model, of one graph at a time, or else rows of `width`
    // numbers per atom.
    struct Message {
        std::vector<double> rows;
        int width;
    };
    Message *message_ = nullptr;
    egraff::GhostBackend *backend_ = nullptr;

    struct CarrierScope {
        CarrierScope(egraff::GhostBackend *&slot, egraff::GhostBackend &backend) : slot_(slot) {
            slot_ = &backend;
        }
        ~CarrierScope() { slot_ = nullptr; }
        CarrierScope(const CarrierScope &) = delete;
        CarrierScope &operator=(const CarrierScope &) = delete;
        egraff::GhostBackend *&slot_;
    };
};

} // namespace LAMMPS_NS
