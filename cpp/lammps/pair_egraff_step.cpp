// SPDX-License-Identifier: GPL-2.0-or-later
//
// One evaluation: of the present graph by all models; edge gradients become forces and virials, and
// rows of numbers per atom travel between ranks.
#include "lammps/pair_egraff.h"

#include "core/error.h"
#include "lammps/array_pool.h"
#include "lammps/reference_energies.h"

#include "atom.h"
#include "comm.h"
#include "neighbor.h"
#include "update.h"

#include <algorithm>

namespace LAMMPS_NS {

using egraff::Mode;

void PairEgraff::compute(int eflag, int vflag) {
    ev_init(eflag, vflag);
    const egraff::ArrayPoolScope arrays;
    evaluate_present();
    const egraff::Evaluation evaluation = egraff::mean(results_);
    guarded(true, [&] { stop_if_wrong(not_finite(evaluation)); });
    guarded(false, [&] {
        egraff::ThreadScope threads(threads_);
        if (compare_modes_next_) {
            compare_modes(evaluation);
        }
        add_results(evaluation);
    });
}

// The models' results for the configuration that LAMMPS holds now.
void PairEgraff::evaluate_present() {
    // else the neighbour list, the graph and what was checked belong to the former models
    list_is_older_ = list_is_older_ && neighbor->ago > 0;
    guarded(true, [&] {
        if (!is_set_up_ || list_is_older_) {
            throw egraff::Error("expected a run that sets up what pair_coeff has read, got one "
                                "that goes on from a former run",
                                {"pair_style egraff"}, "run without `pre no`");
        }
    });
    guarded(false, [&] { check_atoms_of_list(); });
    if (is_new_list(*graph_)) {
        guarded(true, [&] { check_neighbour_list(); });
    }
    guarded(false, [&] {
        egraff::ThreadScope threads(threads_);
        update_graph(*graph_);
        graph_->backend.reset_traffic();
        results_ = evaluate_members(*graph_, kept_outputs_);
        ++evaluations_;
        log_traffic();
    });
}

// Collective: also a rank without atoms takes part in every exchange of the model.
std::vector<egraff::Evaluation>
PairEgraff::evaluate_members(egraff::ModeGraph &graph, const std::vector<std::string> &extras) {
    std::vector<egraff::Evaluation> results(members_.size());
    const double start = platform::walltime();
    const CarrierScope carrier(backend_, graph.backend);
    const egraff::ExchangeScope scope(graph.mode == Mode::exchange ? &graph.backend : nullptr);
    for (size_t k = 0; k < members_.size(); ++k) {
        results[k] = members_[k]->evaluate(graph.builder.graph(), extras);
        if (!isolated_.empty()) {
            results[k] =
                egraff::relative_to(isolated_[k], std::move(results[k]), graph.builder.graph());
        }
    }
    model_seconds_ += platform::walltime() - start;
    return results;
}

void PairEgraff::log_traffic() {
    if (log_traffic_next_ && comm->me == 0) {
        const auto &traffic = graph_->backend.traffic();
        utils::logmesg(lmp,
                       "pair_style egraff: features travel in {} forward and {} reverse "
                       "communications per step, at most {} doubles per atom; the first rank "
                       "receives those of {} atoms for its {} ghosts\n",
                       traffic.forward, traffic.reverse, traffic.widest,
                       graph_->backend.n_receivers(), atom->nghost);
    }
    log_traffic_next_ = false;
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
    const egraff::EdgeList &edges = graph_->builder.edges();
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
        for (int64_t node = 0; node < graph_->builder.graph().n_owned; ++node) {
            eatom[graph_->builder.atom_of_node()[node]] += units_.energy * energies[node];
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
        return backend_->pack_forward(list, buffer);
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
        backend_->unpack_forward(n, first, buffer);
    }
}

int PairEgraff::pack_reverse_comm(int n, int first, double *buffer) {
    if (!message_) {
        return backend_->pack_reverse(n, first, buffer);
    }
    std::copy_n(&message_->rows[message_->width * first], n * message_->width, buffer);
    return n * message_->width;
}

void PairEgraff::unpack_reverse_comm(int n, int *list, double *buffer) {
    if (!message_) {
        backend_->unpack_reverse(n, list, buffer);
        return;
    }
    const int width = message_->width;
    for (int k = 0; k < n * width; ++k) {
        message_->rows[width * list[k / width] + k % width] += buffer[k];
    }
}

double PairEgraff::memory_usage() {
    return Pair::memory_usage() + (graph_ ? graph_->builder.memory_bytes() : 0.0);
}

} // namespace LAMMPS_NS
