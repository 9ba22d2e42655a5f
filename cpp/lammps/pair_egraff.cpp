// SPDX-License-Identifier: GPL-2.0-or-later
//
// Up to the first step: settings and models are read, and LAMMPS's set-up is made to fit them.
#include "lammps/pair_egraff.h"

#include "core/error.h"
#include "lammps/array_pool.h"
#include "lammps/reference_energies.h"

#include "atom.h"
#include "citeme.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "modify.h"
#include "neighbor.h"
#include "update.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

namespace LAMMPS_NS {

using egraff::Mode;

namespace {

// LAMMPS makes room for this many doubles per atom even where it learns of the model too late to
// make more (as a sub-style of pair_style hybrid); wider features are sent in several blocks.
constexpr int MIN_COMM = 64;
constexpr int MAX_COMM = 1024;

std::vector<std::string> strings(int narg, char **arg) { return {arg, arg + narg}; }

} // namespace

PairEgraff::PairEgraff(LAMMPS *lmp)
    : Pair(lmp), visit_fix_("egraff_visit_" + std::to_string(instance_me)) {
    one_coeff = 1;
    manybody_flag = 1;
    single_enable = 0;
    restartinfo = 0;
    // the virial follows from edges, and edges of all centres are known
    no_virial_fdotr_compute = 1;
    centroidstressflag = CENTROID_AVAIL;
    // here, because LAMMPS copies these from sub-styles of hybrid before it calls coeff()
    comm_forward = comm_reverse = MIN_COMM;
    nextra = 1;
    pvector = &model_seconds_;
}

PairEgraff::~PairEgraff() {
    egraff::ArrayPool::instance().release();
    if (modify->get_fix_by_id(visit_fix_)) {
        modify->delete_fix(visit_fix_);
    }
    if (allocated) {
        memory->destroy(setflag);
        memory->destroy(cutsq);
        memory->destroy(cutghost);
    }
}

void PairEgraff::allocate() {
    const int n = atom->ntypes + 1;
    memory->create(setflag, n, n, "pair:setflag");
    memory->create(cutsq, n, n, "pair:cutsq");
    memory->create(cutghost, n, n, "pair:cutghost");
    allocated = 1;
}

void PairEgraff::guarded(bool alike_on_all_ranks, const std::function<void()> &action) const {
    std::string message;
    try {
        action();
        return;
    } catch (const LAMMPSException &) {
        throw; // from LAMMPS, which has dealt with it
    } catch (const std::exception &failure) {
        message = egraff::is_out_of_memory(failure)
                      ? egraff::out_of_memory(atom->nlocal + atom->nghost, -1, "").what()
                      : failure.what();
    }
    if (alike_on_all_ranks || comm->nprocs == 1) {
        error->all(FLERR, message);
    }
    // error->one ends the job at once, and what was printed last is often lost on its way through
    // the launcher: say it where nothing is buffered, and give it time to arrive
    std::fprintf(stderr, "ERROR on proc %d: %s\n", comm->me, message.c_str());
    std::fflush(nullptr);
    std::this_thread::sleep_for(std::chrono::seconds(1));
    error->one(FLERR, message);
}

void PairEgraff::settings(int narg, char **arg) {
    guarded(true, [&] {
        options_ = egraff::parse_style(strings(narg, arg));
        mode_ = options_.mode;
        if (mode_ == Mode::automatic) {
            mode_ = comm->nprocs == 1 ? Mode::fold : Mode::exchange;
        }
        if (mode_ == Mode::fold && comm->nprocs > 1) {
            throw egraff::Error("expected one MPI rank, got " + std::to_string(comm->nprocs),
                                {"pair_style egraff", "mode fold"},
                                "use mode auto: atoms of other ranks cannot be folded");
        }
    });
    ghostneigh = needs_extended() ? 1 : 0;
    members_.clear(); // belong to the former settings
    results_.clear();
    is_set_up_ = false;
    list_is_older_ = true;
    if (allocated) {
        for (int i = 0; i <= atom->ntypes; ++i) {
            std::fill_n(setflag[i], atom->ntypes + 1, 0);
        }
    }
}

void PairEgraff::coeff(int narg, char **arg) {
    if (!allocated) {
        allocate();
    }
    for (int i = 0; i <= atom->ntypes; ++i) {
        std::fill_n(setflag[i], atom->ntypes + 1, 0);
    }
    layout_ = egraff::node_layout(world);
    egraff::Coefficients coefficients;
    guarded(true,
            [&] { coefficients = egraff::parse_coefficients(strings(narg, arg), atom->ntypes); });
    guarded(false, [&] {
        threads_ = egraff::threads_of_rank(options_.threads, layout_);
        egraff::ThreadScope scope(threads_);
        members_.clear();
        isolated_.clear();
        results_.clear();
        for (const std::string &path : coefficients.models) {
            // the check frame is evaluated once, not by every rank
            members_.push_back(std::make_unique<egraff::Model>(
                path, egraff::device_of_rank(options_.device, layout_), comm->me == 0));
            if (options_.drop_reference_energies) {
                isolated_.push_back(egraff::isolated_energies(*members_.back()));
            }
        }
    });
    guarded(true, [&] {
        egraff::check_alike(members_);
        species_ =
            egraff::map_elements(coefficients.elements, metadata(), members_.front()->path());
        min_distances_ = egraff::distance_table(options_.min_distance, metadata());
    });
    for (int i = 1; i <= atom->ntypes; ++i) {
        for (int j = i; j <= atom->ntypes; ++j) {
            setflag[i][j] = species_[i - 1] >= 0 && species_[j - 1] >= 0;
        }
    }
    compare_modes_next_ = options_.check;
    is_set_up_ = false;
    list_is_older_ = true;
    log_model();
}

void PairEgraff::log_model() const {
    if (lmp->citeme) {
        for (const auto &member : members_) {
            for (const std::string &citation : member->metadata().citations) {
                lmp->citeme->add("pair style egraff, " + member->metadata().architecture + ": " +
                                 citation + "\n\n");
            }
        }
    }
    if (comm->me != 0) {
        return;
    }
    std::string types;
    for (size_t k = 0; k < species_.size(); ++k) {
        types += fmt::format(" {}={}", k + 1,
                             species_[k] < 0 ? "NULL" : metadata().elements[species_[k]]);
    }
    for (const auto &member : members_) {
        const auto &about = member->metadata();
        utils::logmesg(lmp, "pair_style egraff: {} ({}, {}), cutoff {:g} Angstrom, types{}\n",
                       member->path(), about.architecture, about.dtype(), about.r_max, types);
    }
    for (const at::Tensor &energies : isolated_) {
        std::string text;
        for (size_t k = 0; k < metadata().elements.size(); ++k) {
            text += fmt::format(" {}={:.10g}", metadata().elements[k],
                                energies.const_data_ptr<double>()[k]);
        }
        utils::logmesg(lmp, "  energies are relative to isolated atoms, in eV:{}\n", text);
    }
    if (members_.size() > 1) {
        utils::logmesg(lmp, "  a committee of {}, evaluated in turn: their mean drives\n",
                       members_.size());
    }
    utils::logmesg(lmp, "  mode {} on {} rank(s), device {}, {} thread(s) per rank\n",
                   egraff::name(mode_), comm->nprocs, members_.front()->device(), threads_);
    const bool on_cpu = members_.front()->device() == "cpu";
    if (!on_cpu && layout_.ranks > egraff::gpus_of_node()) {
        error->warning(FLERR,
                       "pair_style egraff: {} rank(s) share {} GPU(s) of this node; one rank for "
                       "each will be faster",
                       layout_.ranks, egraff::gpus_of_node());
    }
    if (on_cpu && threads_ * layout_.ranks > layout_.cores) {
        error->warning(FLERR,
                       "pair_style egraff: {} rank(s) x {} thread(s) share {} core(s) of this node;"
                       " fewer will be faster",
                       layout_.ranks, threads_, layout_.cores);
    }
}

void PairEgraff::init_style() {
    guarded(true, [&] {
        units_ = egraff::unit_factors(
            update->unit_style, {force->boltz, force->angstrom, force->femtosecond, force->mvv2e});
        check_types();
        check_surroundings();
        check_heat_flux();
    });
    graph_ = make_graph(mode_);
    results_.clear();      // belong to the former graph
    kept_outputs_.clear(); // computes are set up after pair styles
    warn_of_exclusions_next_ = true;
    watch_visits();
    reserve_communication();
    sort_for_cache();
    log_traffic_next_ = mode_ == Mode::exchange && n_exchanges() > 0;
    neighbor->add_request(this,
                          NeighConst::REQ_FULL | (needs_extended() ? NeighConst::REQ_GHOST : 0));
    is_set_up_ = true;
}

// Everything in LAMMPS's set-up that would take atoms or forces away from the model.
void PairEgraff::check_surroundings() const {
    if (!force->newton_pair) {
        throw egraff::Error("expected newton on, got newton off: forces on atoms of other ranks "
                            "would be lost",
                            {"pair_style egraff", "newton"}, "newton on (before the box is made)");
    }
    if (neighbor->includegroup) {
        throw egraff::Error("expected neighbours for all atoms, got a neighbour list of one group",
                            {"pair_style egraff", "neigh_modify include"},
                            "neigh_modify include all");
    }
    if (needs_extended() && comm->mode != Comm::SINGLE) {
        throw egraff::Error(std::string("expected comm_modify mode single, got mode ") +
                                (comm->mode == Comm::MULTI ? "multi" : "multi/old"),
                            {"pair_style egraff", "mode extended"},
                            "comm_modify mode single, or mode exchange of the pair style");
    }
}

int PairEgraff::n_exchanges() const {
    size_t most = 0;
    for (const auto &member : members_) {
        most = std::max(most, member->metadata().exchange_widths.size());
    }
    return int(most);
}

// Columns of one exchange.
int64_t PairEgraff::widest_exchange() const {
    int64_t widest = 0;
    for (const auto &member : members_) {
        for (const int64_t width : member->metadata().exchange_widths) {
            widest = std::max(widest, width);
        }
    }
    return widest;
}

void PairEgraff::reserve_communication() {
    const int64_t columns = widest_exchange();
    const int64_t doubles = metadata().float64 ? columns : (columns + 1) / 2;
    comm_forward = comm_reverse = std::clamp(int(doubles), MIN_COMM, MAX_COMM);
    if (needs_extended()) {
        const double reach = metadata().r_max * double(n_exchanges() + 1) * units_.length;
        if (comm->me == 0 && comm->cutghostuser < reach + neighbor->skin) {
            utils::logmesg(lmp, "pair_style egraff: comm_modify cutoff {:g}, for mode extended\n",
                           reach + neighbor->skin);
        }
        comm->cutghostuser = std::max(comm->cutghostuser, reach + neighbor->skin);
    }
}

// LAMMPS keeps atoms sorted by cells. It walks along the rows of cells, so that with its own, of
// half the cutoff, the next row but one is already too far away for the rows of features around an
// atom to be still in the cache; cells as wide as the model sees keep an atom's neighbours
// together.
void PairEgraff::sort_for_cache() {
    if (atom->sortfreq > 0 && atom->userbinsize == 0.0) {
        atom->userbinsize = metadata().r_max * units_.length + neighbor->skin;
        if (comm->me == 0) {
            utils::logmesg(lmp, "pair_style egraff: atom_modify sort {} {:g}, of cutoff and skin\n",
                           atom->sortfreq, atom->userbinsize);
        }
    }
}

double PairEgraff::cutoff(int i, int j) const {
    const auto n = metadata().elements.size();
    const auto &table = metadata().pair_cutoffs;
    if (table.empty()) {
        return metadata().r_max * units_.length;
    }
    const auto a = species_[i - 1], b = species_[j - 1];
    return std::max(table[a * n + b], table[b * n + a]) * units_.length;
}

double PairEgraff::init_one(int i, int j) {
    cutghost[i][j] = cutghost[j][i] = cutoff(i, j);
    return cutoff(i, j);
}

} // namespace LAMMPS_NS
