// SPDX-License-Identifier: GPL-2.0-or-later
//
// Which configurations the run visits. Monte Carlo moves and finite differences ask for energies of
// others, and LAMMPS does not tell a pair style which of its calls are such trials. But only what
// integrates goes on from an evaluation to sum up forces (Fix::pre_reverse), and then to the end of
// the step with no other evaluation of the kind in between: moves that use the same hook come
// before the step's own forces are computed, at neighbour list builds. So a configuration is judged
// at the first of these moments, when its results are there, and the judgement is executed at the
// second, when it is certain that it was not a trial. That includes the last configuration of a
// trajectory that is rejected as a whole (fix hmc): the energy at the end of the step is then not
// the one that it was integrated with.
#include "lammps/pair_egraff.h"

#include "lammps/fix_egraff_visit.h"

#include "core/error.h"

#include "comm.h"
#include "compute.h"
#include "modify.h"
#include "update.h"

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <utility>

namespace LAMMPS_NS {

namespace {

// The fix or compute that is known to try other configurations, or what it may be.
std::string who_tries(Modify *modify) {
    const auto is_one_of = [](const std::string &style, std::initializer_list<const char *> names) {
        return std::any_of(names.begin(), names.end(), [&](const std::string &name) {
            return style == name || style.rfind(name + "/", 0) == 0;
        });
    };
    for (const auto &fix : modify->get_fix_list()) {
        if (is_one_of(fix->style,
                      {"gcmc", "widom", "sgcmc", "atom/swap", "mol/swap", "neighbor/swap",
                       "charge/regulation", "gemc", "hmc", "numdiff", "rmc"})) {
            return std::string("fix ") + fix->style;
        }
    }
    for (const auto &compute : modify->get_compute_list()) {
        if (is_one_of(compute->style, {"fep", "born/matrix"})) {
            return std::string("compute ") + compute->style;
        }
    }
    return "a fix or compute";
}

} // namespace

void PairEgraff::watch_visits() {
    judgement_.reset();
    rejected_ = false;
    gone_on_ = visited_;
    trials_logged_ = false;
    // after all others, which may do things at the end of a step
    const auto &fixes = modify->get_fix_list();
    if (modify->get_fix_by_id(visit_fix_) && strcmp(fixes.back()->style, "EGRAFF/VISIT") != 0) {
        modify->delete_fix(visit_fix_);
    }
    if (!modify->get_fix_by_id(visit_fix_)) {
        modify->add_fix(visit_fix_ + " all EGRAFF/VISIT");
    }
    dynamic_cast<FixEgraffVisit *>(modify->get_fix_by_id(visit_fix_))->watch(this);
}

// Trial points of a minimiser's line search may be anywhere, and overlapping atoms are what a
// minimisation is for: limits and the committee's file are for dynamics (run and rerun).
bool PairEgraff::in_dynamics() const { return update->whichflag == 1; }

void PairEgraff::visit() {
    if (evaluations_ == visited_) {
        return; // nothing new: a level of rRESPA that is not this style's
    }
    if (evaluations_ > visited_ + 1 || gone_on_ < visited_) {
        log_trials();
    }
    visited_ = evaluations_;
    rejected_ = false;
    judgement_.reset();
    if (!in_dynamics() || !(has_limits() || deviation_is_due())) {
        return;
    }
    guarded(false, [&] {
        judgement_.emplace();
        judgement_->trouble = beyond_limits(egraff::mean(results_));
        if (deviation_is_due()) {
            judgement_->deviation_line = deviation_line();
        }
    });
}

void PairEgraff::go_on(bool rejected) {
    rejected_ = rejected;
    gone_on_ = visited_;
    if (!judgement_) {
        return;
    }
    const Judgement judgement = *std::exchange(judgement_, std::nullopt);
    if (of_any_rank(rejected)) {
        log_trials();
        return;
    }
    guarded(true, [&] { stop_if_wrong(judgement.trouble); });
    if (!judgement.deviation_line.empty()) {
        guarded(false, [&] { write_deviation(judgement.deviation_line); });
    }
}

void PairEgraff::log_trials() {
    const bool file = members_.size() > 1 && options_.devi_freq > 0;
    if (!trials_logged_ && in_dynamics() && (has_limits() || file) && comm->me == 0) {
        utils::logmesg(lmp,
                       "pair_style egraff: {} tries configurations that the run does not visit; "
                       "{}{}{} of those that it does\n",
                       who_tries(modify), has_limits() ? "limits are" : "",
                       has_limits() && file ? ", and lines in " : "",
                       file ? options_.devi_file + (has_limits() ? "" : " has lines") : "");
    }
    trials_logged_ = true;
}

} // namespace LAMMPS_NS
