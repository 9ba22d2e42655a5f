// SPDX-License-Identifier: GPL-2.0-or-later
//
// One step: neighbours become a graph, the models are evaluated, edge gradients become forces and
// virials, and rows of numbers per atom travel between ranks.
#include "lammps/pair_egraff.h"

#include "lammps/array_pool.h"
#include "lammps/reference_energies.h"

#include "atom.h"
#include "comm.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "update.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>

namespace LAMMPS_NS {

using egraff::Ghosts;
using egraff::Mode;

void PairEgraff::compute(int eflag, int vflag) {
    ev_init(eflag, vflag);
    const egraff::ArrayPoolScope arrays;
    egraff::Evaluation evaluation;
    guarded(false, [&] {
        egraff::ThreadScope threads(threads_);
        if (neighbor->ago == 0) {
            rebuild_graph(*builder_, mode_);
        }
        update_graph(*builder_, mode_);
        backend_.reset_traffic();
        results_ = evaluate_members(*builder_, mode_, kept_outputs_);
        log_traffic();
        evaluation = egraff::mean(results_);
    });
    guarded(true, [&] { stop_if_wrong(evaluation); });
    guarded(false, [&] {
        egraff::ThreadScope threads(threads_);
        if (compare_modes_next_) {
            compare_modes(evaluation);
        }
        if (members_.size() > 1 && options_.devi_freq > 0 &&
            update->ntimestep % options_.devi_freq == 0 && in_dynamics() && trial_moves().empty()) {
            write_deviation();
        }
        add_results(evaluation);
    });
}

// Collective: also a rank without atoms takes part in every exchange of the model.
std::vector<egraff::Evaluation>
PairEgraff::evaluate_members(const egraff::GraphBuilder &builder, Mode mode,
                             const std::vector<std::string> &extras) {
    std::vector<egraff::Evaluation> results(members_.size());
    const auto evaluate = [&](size_t k) {
        results[k] = members_[k]->evaluate(builder.graph(), extras);
        if (!isolated_.empty()) {
            results[k] = egraff::relative_to(isolated_[k], std::move(results[k]), builder.graph());
        }
    };
    const double start = platform::walltime();
    if (mode == Mode::exchange && exchange_together()) {
        lockstep_.run(members_.size(), evaluate, backend_);
    } else {
        const egraff::ExchangeScope scope(mode == Mode::exchange ? &backend_ : nullptr);
        for (size_t k = 0; k < members_.size(); ++k) {
            evaluate(k);
        }
    }
    model_seconds_ += platform::walltime() - start;
    return results;
}

void PairEgraff::log_traffic() {
    if (log_traffic_next_ && comm->me == 0) {
        const auto &traffic = backend_.traffic();
        utils::logmesg(lmp,
                       "pair_style egraff: features travel in {} forward and {} reverse "
                       "communications per step, at most {} doubles per atom; the first rank "
                       "receives those of {} atoms for its {} ghosts\n",
                       traffic.forward, traffic.reverse, traffic.widest, backend_.n_receivers(),
                       atom->nghost);
    }
    log_traffic_next_ = false;
}

void PairEgraff::rebuild_graph(egraff::GraphBuilder &builder, Mode mode) {
    first_copy_.resize(atom->nlocal + atom->nghost);
    std::iota(first_copy_.begin(), first_copy_.end(), 0);
    // exchange on one rank keeps every ghost apart: it would be fold, with nothing left to compare
    if (mode == Mode::fold || (mode == Mode::exchange && comm->nprocs > 1)) {
        find_first_copies();
    }
    const egraff::AtomArrays atoms{atom->nlocal, atom->nghost, atom->type,
                                   atom->x ? atom->x[0] : nullptr, first_copy_.data()};
    const egraff::NeighbourList neighbours{list->inum + (mode == Mode::extended ? list->gnum : 0),
                                           list->ilist, list->numneigh, list->firstneigh};
    builder.rebuild(atoms, neighbours,
                    mode == Mode::fold       ? Ghosts::fold
                    : mode == Mode::exchange ? Ghosts::exchange
                                             : Ghosts::extended);
    if (mode == Mode::exchange) {
        backend_.set_nodes(builder.node_of_atom(), first_copy_, builder.graph().n_local,
                           !graph_on_host() || members_.front()->device() != "cpu");
    }
}

void PairEgraff::update_graph(egraff::GraphBuilder &builder, Mode mode) {
    builder.update(atom->x ? atom->x[0] : nullptr);
    if (mode == Mode::exchange) {
        backend_.set_edges(builder.graph().edge_index);
    }
}

// Ghosts learn who owns what they copy, and its index there, without atom IDs or an atom map. Those
// that copy an atom of this rank, or the same atom of another one, as periodic images do, need
// their features once.
void PairEgraff::find_first_copies() {
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
        first_copy_[i] = owner == comm->me
                             ? index
                             : first.try_emplace((int64_t(owner) << 32) + index, i).first->second;
    }
}

std::vector<double> PairEgraff::owned_forces(const egraff::GraphBuilder &builder,
                                             const egraff::Evaluation &evaluation) {
    Message forces{std::vector<double>(3 * (atom->nlocal + atom->nghost), 0.0), 3};
    builder.edges().add_forces(evaluation.edge_gradient, 1.0, forces.rows.data());
    message_ = &forces;
    comm->reverse_comm(this, forces.width);
    message_ = nullptr;
    forces.rows.resize(3 * atom->nlocal);
    return forces.rows;
}

void PairEgraff::add_results(const egraff::Evaluation &evaluation) {
    const egraff::EdgeList &edges = builder_->edges();
    const at::Tensor &gradient = evaluation.edge_gradient;
    const bool any = gradient.size(0) > 0; // else LAMMPS may have no arrays
    if (any) {
        edges.add_forces(gradient, units_.force(), atom->f[0]);
    }
    if (eflag_global) {
        eng_vdwl += units_.energy * evaluation.energy;
    }
    if (eflag_atom) {
        const double *energies = evaluation.atomic_energy.const_data_ptr<double>();
        for (int64_t node = 0; node < builder_->graph().n_owned; ++node) {
            eatom[builder_->atom_of_node()[node]] += units_.energy * energies[node];
        }
    }
    if (vflag_global) {
        const auto w = edges.virial(gradient);
        const double components[6] = {
            w[0], w[4], w[8], 0.5 * (w[1] + w[3]), 0.5 * (w[2] + w[6]), 0.5 * (w[5] + w[7])};
        for (int k = 0; k < 6; ++k) {
            virial[k] += units_.energy * components[k];
        }
    }
    if (vflag_atom && any) {
        edges.add_atom_virials(gradient, units_.energy, vatom[0]);
    }
    if (cvflag_atom && any) { // what these are worth: pair_egraff_flux.cpp
        edges.add_centroid_virials(gradient, units_.energy, cvatom[0]);
    }
}

int PairEgraff::pack_forward_comm(int n, int *list, double *buffer, int, int *) {
    if (!message_) {
        return backend_.pack_forward(list, buffer);
    }
    const int width = message_->width;
    for (int k = 0; k < n; ++k) {
        std::copy_n(&message_->rows[width * list[k]], width, buffer + width * k);
    }
    return n * width;
}

void PairEgraff::unpack_forward_comm(int n, int first, double *buffer) {
    if (message_) {
        std::copy_n(buffer, n * message_->width, &message_->rows[message_->width * first]);
    } else {
        backend_.unpack_forward(n, first, buffer);
    }
}

int PairEgraff::pack_reverse_comm(int n, int first, double *buffer) {
    if (!message_) {
        return backend_.pack_reverse(n, first, buffer);
    }
    std::copy_n(&message_->rows[message_->width * first], n * message_->width, buffer);
    return n * message_->width;
}

void PairEgraff::unpack_reverse_comm(int n, int *list, double *buffer) {
    if (!message_) {
        backend_.unpack_reverse(n, list, buffer);
        return;
    }
    const int width = message_->width;
    for (int k = 0; k < n * width; ++k) {
        message_->rows[width * list[k / width] + k % width] += buffer[k];
    }
}

double PairEgraff::memory_usage() {
    return Pair::memory_usage() + (builder_ ? builder_->memory_bytes() : 0.0);
}

} // namespace LAMMPS_NS
