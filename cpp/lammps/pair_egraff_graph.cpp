// SPDX-License-Identifier: GPL-2.0-or-later
//
// LAMMPS's neighbour list becomes a graph: which atoms there are for the model, what the list
// leaves out, and when a graph has to be made anew.
#include "lammps/pair_egraff.h"

#include "core/error.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "group.h"
#include "neigh_list.h"
#include "neighbor.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>

namespace LAMMPS_NS {

using egraff::Ghosts;
using egraff::Mode;

namespace {

constexpr int GROUP_ALL = 0; // its index

Ghosts ghosts_of(Mode mode) {
    return mode == Mode::fold       ? Ghosts::fold
           : mode == Mode::exchange ? Ghosts::exchange
                                    : Ghosts::extended;
}

} // namespace

bool PairEgraff::graph_on_host() const {
    using Place = egraff::StyleOptions::GraphPlace;
    return options_.graph == Place::host ||
           (options_.graph == Place::automatic && members_.front()->device() == "cpu");
}

std::unique_ptr<egraff::ModeGraph> PairEgraff::make_graph(Mode mode) {
    const auto n_species = int64_t(metadata().elements.size());
    auto squared = metadata().pair_cutoffs;
    if (squared.empty()) {
        squared.assign(n_species * n_species, metadata().r_max);
    }
    for (double &cutoff : squared) {
        cutoff *= cutoff;
    }
    const egraff::Cutoffs cutoffs{squared, n_species, 1.0 / units_.length};
    auto edges = graph_on_host()
                     ? egraff::make_host_edges(cutoffs)
                     : egraff::make_device_edges(cutoffs, at::Device(members_.front()->device()));
    return std::make_unique<egraff::ModeGraph>(
        mode, egraff::GraphBuilder(n_exchanges(), std::move(edges)),
        egraff::GhostBackend::Transport{
            [this](int size) { comm->forward_comm(this, size); },
            [this](int size) { comm->reverse_comm(this, size); },
            [this] { return std::min(force->pair->comm_forward, force->pair->comm_reverse); }});
}

// Types may change at any time, by Monte Carlo moves for example. An atom that is excluded from all
// others is one that a fix considers as deleted (fix gcmc): it has no energy of its own either.
std::vector<int> PairEgraff::present_species() const {
    int excluded = 0;
    for (int k = 0; k < neighbor->nex_group; ++k) {
        if (neighbor->ex2_group[k] == GROUP_ALL) {
            excluded |= group->bitmask[neighbor->ex1_group[k]];
        }
        if (neighbor->ex1_group[k] == GROUP_ALL) {
            excluded |= group->bitmask[neighbor->ex2_group[k]];
        }
    }
    std::vector<int> species(atom->nlocal + atom->nghost);
    for (size_t i = 0; i < species.size(); ++i) {
        species[i] = atom->mask[i] & excluded ? -1 : species_[atom->type[i] - 1];
    }
    return species;
}

// Not only after LAMMPS has built a list: `run pre no` goes on with the list of the former run,
// whatever has set up the pair style anew in between.
bool PairEgraff::is_new_list(const egraff::ModeGraph &graph) const {
    return neighbor->ago == 0 || !graph.builder.is_built();
}

void PairEgraff::update_graph(egraff::ModeGraph &graph) {
    const CarrierScope carrier(backend_, graph.backend);
    auto species = present_species();
    if (neighbor->ago == 0) {
        species_of_list_ = species;
    }
    if (is_new_list(graph)) {
        if (neighbor->ago > 0) {
            share_species(species);
        }
        rebuild_graph(graph, species, true);
        check_return_of_atoms(species);
    } else if (of_any_rank(!std::equal(species.begin(), species.begin() + atom->nlocal,
                                       graph.builder.species_of_atom().begin()))) {
        share_species(species);
        check_pair_cutoffs(graph.builder.species_of_atom(), species);
        rebuild_graph(graph, species, false);
        check_return_of_atoms(species);
    }
    graph.builder.update(atom->x ? atom->x[0] : nullptr);
    if (graph.mode == Mode::exchange) {
        graph.backend.set_edges(graph.builder.graph().edge_index);
    }
}

// Whoever changes the type of an atom may leave its copies as they are until the next list is
// built: `set type` and rejected moves of some fixes do.
void PairEgraff::share_species(std::vector<int> &species) {
    Message message{{species.begin(), species.end()}, 1};
    message_ = &message;
    comm->forward_comm(this, message.width);
    message_ = nullptr;
    std::copy(message.rows.begin(), message.rows.end(), species.begin());
}

void PairEgraff::rebuild_graph(egraff::ModeGraph &graph, const std::vector<int> &species,
                               bool new_ghosts) {
    if (new_ghosts) {
        graph.first_copy.resize(species.size());
        std::iota(graph.first_copy.begin(), graph.first_copy.end(), 0);
        // exchange on one rank keeps every ghost apart: it would be fold, with nothing left to
        // compare
        if (graph.mode == Mode::fold || (graph.mode == Mode::exchange && comm->nprocs > 1)) {
            find_first_copies(graph.first_copy);
        }
    }
    const egraff::AtomArrays atoms{atom->nlocal, atom->nghost, species.data(),
                                   graph.first_copy.data()};
    const int n_ghosts = graph.mode == Mode::extended ? list->gnum : 0;
    const egraff::NeighbourList neighbours{list->inum, list->inum + n_ghosts, list->ilist,
                                           list->numneigh, list->firstneigh};
    graph.builder.rebuild(atoms, neighbours, ghosts_of(graph.mode));
    if (graph.mode == Mode::exchange) {
        graph.backend.set_nodes(graph.builder.node_of_atom(), graph.first_copy,
                                graph.builder.graph().n_local,
                                !graph_on_host() || members_.front()->device() != "cpu");
    }
}

// Ghosts learn who owns what they copy, and its index there, without atom IDs or an atom map. Those
// that copy an atom of this rank, or the same atom of another one, as periodic images do, need
// their features once.
void PairEgraff::find_first_copies(std::vector<int> &first_copy) {
    const int n_local = atom->nlocal, n_atoms = n_local + atom->nghost;
    Message origin{std::vector<double>(2 * n_atoms), 2};
    for (int i = 0; i < n_local; ++i) {
        origin.rows[2 * i] = comm->me;
        origin.rows[2 * i + 1] = i;
    }
    message_ = &origin;
    comm->forward_comm(this, origin.width);
    message_ = nullptr;
    std::unordered_map<int64_t, int> first; // by owner and index
    for (int i = n_local; i < n_atoms; ++i) {
        const auto owner = int(origin.rows[2 * i]), index = int(origin.rows[2 * i + 1]);
        first_copy[i] = owner == comm->me
                            ? index
                            : first.try_emplace((int64_t(owner) << 32) + index, i).first->second;
    }
}

// LAMMPS's lists of neighbours, and those by which ghosts receive, are of the atoms that there were
// when they were built. Commands between runs may add and remove atoms without building new ones.
void PairEgraff::check_atoms_of_list() {
    const int n_atoms = atom->nlocal + atom->nghost;
    std::vector<tagint> now{atom->nlocal, atom->nghost};
    if (atom->tag_enable) {
        now.insert(now.end(), atom->tag, atom->tag + n_atoms);
    }
    if (neighbor->ago == 0) {
        atoms_of_list_ = std::move(now);
    } else if (now != atoms_of_list_) {
        throw egraff::Error("expected a neighbour list of the " + std::to_string(n_atoms) +
                                " atoms and ghosts that there are, got that of " +
                                std::to_string(atoms_of_list_[0] + atoms_of_list_[1]) +
                                ", before some were added or removed",
                            {"pair_style egraff", "neighbour list"}, "run without `pre no`");
    }
}

// What a neighbour list leaves out is decided when it is built: by the special neighbours that
// atoms have then, which bonds of a data file, but also commands and fixes give and take.
void PairEgraff::check_neighbour_list() {
    const std::string removed = of_all_ranks(removed_pair(present_species()));
    if (!removed.empty()) {
        throw egraff::Error(
            "expected neighbours at every distance, got special_bonds that " + removed,
            {"pair_style egraff", "special_bonds"}, "special_bonds lj/coul 1.0 1.0 1.0");
    }
    if (warn_of_exclusions_next_) {
        warn_of_exclusions();
    }
    warn_of_exclusions_next_ = false;
}

// The first pair here that is not in the list though the model describes both atoms, or "".
std::string PairEgraff::removed_pair(const std::vector<int> &species) const {
    if (atom->molecular == Atom::ATOMIC) {
        return "";
    }
    const auto removes = [](int k) {
        return "removes 1-" + std::to_string(k + 1) + " pairs from the neighbour list";
    };
    for (int k = 1; k <= 3; ++k) {
        if (neighbor->special_flag[k] != 0) { // of 0 are pairs that are left out
            continue;
        }
        if (atom->molecular == Atom::TEMPLATE) { // who is bonded stands in the templates
            return removes(k);
        }
        for (int i = 0; i < atom->nlocal; ++i) {
            const int first = k == 1 ? 0 : atom->nspecial[i][k - 2];
            for (int s = first; species[i] >= 0 && s < atom->nspecial[i][k - 1]; ++s) {
                const int other = atom->map(atom->special[i][s]); // -1: too far away
                if (other >= 0 && species[other] >= 0) {
                    return fmt::format("{}, the first of atoms {} and {}", removes(k), atom->tag[i],
                                       atom->tag[other]);
                }
            }
        }
    }
    return "";
}

// Not when a run is set up: fixes exclude groups in their own set-up, which comes after that of
// pair styles.
void PairEgraff::warn_of_exclusions() {
    bool of_some = neighbor->nex_type || neighbor->nex_mol;
    for (int k = 0; k < neighbor->nex_group; ++k) {
        of_some =
            of_some || (neighbor->ex1_group[k] != GROUP_ALL && neighbor->ex2_group[k] != GROUP_ALL);
    }
    if (of_some && comm->me == 0) {
        error->warning(FLERR, "pair_style egraff: neigh_modify exclude hides neighbours; the model "
                              "sees both atoms of such a pair as if the other were not there");
    }
}

// A list holds pairs up to the cutoff of the types that atoms had when it was built.
void PairEgraff::check_pair_cutoffs(const std::vector<int> &before,
                                    const std::vector<int> &now) const {
    const auto &table = metadata().pair_cutoffs;
    const size_t n = metadata().elements.size();
    for (int i = 0; !table.empty() && i < int(now.size()); ++i) {
        if (before[i] < 0 || now[i] < 0) {
            continue; // GraphBuilder misses it in the list
        }
        for (size_t other = 0; other < n; ++other) {
            if (table[before[i] * n + other] != table[now[i] * n + other] ||
                table[other * n + before[i]] != table[other * n + now[i]]) {
                throw egraff::Error(
                    "expected a new neighbour list after a change of types, since cutoffs depend "
                    "on them, got the old one for " +
                        describe_atom(i),
                    {"pair_style egraff", members_.front()->path()},
                    "neigh_modify every 1 delay 0 check no");
            }
        }
    }
}

// Atoms that were excluded from all others when the list was built have no neighbours in it.
void PairEgraff::check_return_of_atoms(const std::vector<int> &now) const {
    for (int i = 0; i < atom->nlocal; ++i) {
        if (species_of_list_[i] < 0 && now[i] >= 0) {
            throw egraff::Error(
                "expected a neighbour list with the neighbours of all atoms, got one from when " +
                    describe_atom(i) + " was excluded",
                {"pair_style egraff", "neigh_modify exclude"}, "run without `pre no`");
        }
    }
}

} // namespace LAMMPS_NS
