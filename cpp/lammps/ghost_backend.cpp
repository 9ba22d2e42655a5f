// SPDX-License-Identifier: GPL-2.0-or-later
#include "lammps/ghost_backend.h"

#include "core/error.h"
#include "core/staging.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>

namespace egraff {

namespace {

// LAMMPS sends doubles. Values travel in them as they are in memory, so that one double carries
// two values of a float32 model, and nothing is rounded on the way.
template <typename Value> void add(const double *from, int64_t n, Value *to) {
    constexpr int64_t CHUNK = 64;
    Value values[CHUNK]; // a copy, for what is a double may not be read as another type
    const char *bytes = reinterpret_cast<const char *>(from);
    for (int64_t first = 0; first < n; first += CHUNK) {
        const int64_t size = std::min(CHUNK, n - first);
        std::memcpy(values, bytes + first * sizeof(Value), size * sizeof(Value));
        for (int64_t k = 0; k < size; ++k) {
            to[first + k] += values[k];
        }
    }
}

} // namespace

char *GhostBackend::row(int atom) const {
    return data_ + (*row_of_atom_)[atom] * row_bytes_ + offset_;
}

int GhostBackend::in_blocks(const at::Tensor &rows, const std::function<void(int)> &send) {
    float64_ = rows.scalar_type() == at::kDouble;
    if (!float64_ && rows.scalar_type() != at::kFloat) {
        throw Error(std::string("expected features of type float32 or float64, got ") +
                        c10::toString(rows.scalar_type()),
                    {"egraff::ghost_exchange"}, "export the model with --dtype float32 or float64");
    }
    data_ = static_cast<char *>(rows.data_ptr());
    row_bytes_ = rows.size(1) * rows.element_size();
    const int64_t room = std::max(1, transport_.room()) * int64_t(sizeof(double));
    int n_blocks = 0;
    for (offset_ = 0; offset_ < row_bytes_; offset_ += room, ++n_blocks) {
        bytes_ = std::min(room, row_bytes_ - offset_);
        doubles_ = int((bytes_ + sizeof(double) - 1) / sizeof(double));
        traffic_.widest = std::max(traffic_.widest, doubles_);
        send(doubles_);
    }
    return n_blocks;
}

void GhostBackend::set_nodes(const std::vector<int64_t> &node_of_atom,
                             const std::vector<int> &first_copy, int64_t n_local, bool staged) {
    int64_t n_nodes = n_local;
    for (const int64_t node : node_of_atom) {
        n_nodes = std::max(n_nodes, node + 1);
    }
    node_of_atom_ = row_of_atom_ = &node_of_atom;
    first_copy_ = &first_copy;
    n_local_ = n_local;
    n_ghosts_ = n_nodes - n_local;
    sends_.clear();
    border_ = at::Tensor();
    if (staged) {
        agree(std::vector<char>(n_ghosts_, true));
        stage();
    }
}

void GhostBackend::set_edges(const at::Tensor &edge_index) {
    if (is_staged()) {
        return;
    }
    std::vector<char> is_read(n_ghosts_, false);
    const int64_t n_edges = edge_index.size(1);
    const int64_t *neighbours = edge_index.const_data_ptr<int64_t>() + n_edges;
    for (int64_t e = 0; e < n_edges; ++e) {
        if (neighbours[e] >= n_local_) {
            is_read[neighbours[e] - n_local_] = true;
        }
    }
    agree(is_read);
}

void GhostBackend::agree(const std::vector<char> &is_read) {
    const size_t n_atoms = node_of_atom_->size();
    receives_.resize(n_atoms);
    for (size_t atom = 0; atom < n_atoms; ++atom) {
        const int64_t ghost = (*node_of_atom_)[atom] - n_local_;
        receives_[atom] = ghost >= 0 && is_read[ghost] && (*first_copy_)[atom] == int(atom);
    }
    for (auto &list : sends_) {
        list.second.clear();
    }
    learning_ = true;
    transport_.reverse(1);
    learning_ = false;
}

int64_t GhostBackend::n_ghosts(int64_t n_local) const {
    return n_local == n_local_ ? n_ghosts_ : 0;
}

int64_t GhostBackend::n_receivers() const {
    return std::count(receives_.begin(), receives_.end(), true);
}

void GhostBackend::stage() {
    std::vector<int64_t> border, row_of_local(n_local_, -1);
    for (const auto &list : sends_) {
        for (const int atom : list.second) {
            const int64_t node = (*node_of_atom_)[atom];
            if (node < n_local_ && row_of_local[node] < 0) {
                row_of_local[node] = int64_t(border.size());
                border.push_back(node);
            }
        }
    }
    const auto n_border = int64_t(border.size());
    staged_row_of_atom_.resize(node_of_atom_->size());
    std::transform(node_of_atom_->begin(), node_of_atom_->end(), staged_row_of_atom_.begin(),
                   [&](int64_t node) {
                       return node < 0          ? -1
                              : node < n_local_ ? row_of_local[node]
                                                : n_border + node - n_local_;
                   });
    border_ = at::tensor(border, at::kLong);
    row_of_atom_ = &staged_row_of_atom_;
}

void GhostBackend::fill_ghosts(const at::Tensor &all, int64_t n_local) {
    if (!is_staged()) {
        traffic_.forward += in_blocks(all, transport_.forward);
        return;
    }
    border_ = border_.to(all.device()); // once after each set_nodes
    const int64_t n_border = border_.size(0), n_ghosts = all.size(0) - n_local;
    at::Tensor rows = staging({n_border + n_ghosts, all.size(1)}, all.scalar_type(), all.device());
    rows.narrow(0, 0, n_border).copy_(all.index_select(0, border_));
    traffic_.forward += in_blocks(rows, transport_.forward);
    all.narrow(0, n_local, n_ghosts).copy_(rows.narrow(0, n_border, n_ghosts));
}

void GhostBackend::add_ghosts(const at::Tensor &all, int64_t n_local) {
    if (!is_staged()) { // sums of ghosts of ghosts are collected in rows of ghosts
        traffic_.reverse += in_blocks(all, transport_.reverse);
        return;
    }
    const int64_t n_ghosts = all.size(0) - n_local;
    border_ = border_.to(all.device());
    const int64_t n_border = border_.size(0);
    at::Tensor rows = staging({n_border + n_ghosts, all.size(1)}, all.scalar_type(), all.device());
    rows.narrow(0, 0, n_border).zero_();
    rows.narrow(0, n_border, n_ghosts).copy_(all.narrow(0, n_local, n_ghosts));
    traffic_.reverse += in_blocks(rows, transport_.reverse);
    all.narrow(0, 0, n_local).index_add_(0, border_, rows.narrow(0, 0, n_border).to(all.device()));
}

void GhostBackend::pack(int atom, double *buffer) const {
    buffer[doubles_ - 1] = 0.0; // may be filled only in part
    std::memcpy(buffer, row(atom), bytes_);
}

int GhostBackend::pack_forward(const int *list, double *buffer) const {
    const auto atoms = sends_.find(list);
    if (atoms == sends_.end()) {
        return 0;
    }
    double *to = buffer;
    for (const int atom : atoms->second) {
        pack(atom, to);
        to += doubles_;
    }
    return int(to - buffer);
}

void GhostBackend::unpack_forward(int n, int first, const double *buffer) {
    for (int atom = first; atom < first + n; ++atom) {
        if (receives_[atom]) {
            std::memcpy(row(atom), buffer, bytes_);
            buffer += doubles_;
        }
    }
}

int GhostBackend::pack_reverse(int n, int first, double *buffer) const {
    if (learning_) {
        std::copy_n(receives_.begin() + first, n, buffer);
        return n;
    }
    double *to = buffer;
    for (int atom = first; atom < first + n; ++atom) {
        if (receives_[atom]) {
            pack(atom, to);
            to += doubles_;
        }
    }
    return int(to - buffer);
}

void GhostBackend::unpack_reverse(int n, const int *list, const double *buffer) {
    if (learning_) {
        learn(n, list, buffer);
        return;
    }
    const auto atoms = sends_.find(list);
    if (atoms == sends_.end()) {
        return;
    }
    for (const int atom : atoms->second) {
        if (float64_) {
            add(buffer, bytes_ / 8, reinterpret_cast<double *>(row(atom)));
        } else {
            add(buffer, bytes_ / 4, reinterpret_cast<float *>(row(atom)));
        }
        buffer += doubles_;
    }
}

// Who is to send a ghost has to receive it first. It will say so in what is left of this
// communication: in reverse, lists in which ghosts are sent come before those in which they arrive.
void GhostBackend::learn(int n, const int *list, const double *wanted) {
    std::vector<int> &atoms = sends_[list];
    for (int k = 0; k < n; ++k) {
        if (wanted[k] > 0.0) {
            atoms.push_back(list[k]);
            const int first = (*first_copy_)[list[k]];
            receives_[first] = receives_[first] || (*node_of_atom_)[first] >= n_local_;
        }
    }
}

} // namespace egraff
