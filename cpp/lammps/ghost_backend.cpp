// SPDX-License-Identifier: GPL-2.0-or-later
#include "lammps/ghost_backend.h"

#include "core/error.h"
#include "core/staging.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>

namespace egraff {

namespace {

constexpr int64_t NOBODY = -1; // in place of an atom: a row of zeros

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

char *GhostBackend::row(int64_t atom) const {
    const int64_t row = atom == NOBODY ? -1 : (*row_of_atom_)[atom];
    return row < 0 ? nullptr : data_ + row * row_bytes_ + offset_;
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
    const size_t n_atoms = node_of_atom.size();
    receives_.resize(n_atoms);
    for (size_t atom = 0; atom < n_atoms; ++atom) {
        receives_[atom] = node_of_atom[atom] >= n_local && first_copy[atom] == int(atom);
    }
    sent_.assign(n_atoms, false);
    silent_.clear();
    learning_ = true;
    transport_.reverse(1);
    learning_ = false;

    row_of_atom_ = &node_of_atom;
    border_ = at::Tensor();
    if (staged) {
        stage(node_of_atom, n_local);
    }
}

int64_t GhostBackend::n_receivers() const {
    return std::count(receives_.begin(), receives_.end(), true);
}

void GhostBackend::stage(const std::vector<int64_t> &node_of_atom, int64_t n_local) {
    std::vector<int64_t> border, row_of_local(n_local, -1);
    for (size_t atom = 0; atom < node_of_atom.size(); ++atom) {
        const int64_t node = node_of_atom[atom];
        if (sent_[atom] && node >= 0 && node < n_local && row_of_local[node] < 0) {
            row_of_local[node] = int64_t(border.size());
            border.push_back(node);
        }
    }
    const auto n_border = int64_t(border.size());
    staged_row_of_atom_.resize(node_of_atom.size());
    std::transform(
        node_of_atom.begin(), node_of_atom.end(), staged_row_of_atom_.begin(), [&](int64_t node) {
            return node < 0 ? -1 : node < n_local ? row_of_local[node] : n_border + node - n_local;
        });
    border_ = at::tensor(border, at::kLong);
    row_of_atom_ = &staged_row_of_atom_;
}

at::Tensor GhostBackend::forward(const at::Tensor &local, int64_t n_nodes) {
    const int64_t n_local = local.size(0);
    at::Tensor all = at::empty({n_nodes, local.size(1)}, local.options());
    all.narrow(0, 0, n_local).copy_(local);
    if (!border_.defined()) {
        traffic_.forward += in_blocks(all, transport_.forward);
        return all;
    }
    border_ = border_.to(local.device()); // once after each set_nodes
    const int64_t n_border = border_.size(0), n_ghosts = n_nodes - n_local;
    at::Tensor rows =
        staging({n_border + n_ghosts, local.size(1)}, local.scalar_type(), local.device());
    rows.narrow(0, 0, n_border).copy_(local.index_select(0, border_));
    traffic_.forward += in_blocks(rows, transport_.forward);
    all.narrow(0, n_local, n_ghosts).copy_(rows.narrow(0, n_border, n_ghosts));
    return all;
}

at::Tensor GhostBackend::reverse(const at::Tensor &all, int64_t n_local) {
    const int64_t n_ghosts = all.size(0) - n_local;
    if (!border_.defined()) {
        // a copy, because sums of ghosts of ghosts are collected in rows of ghosts
        at::Tensor sums = all.clone();
        traffic_.reverse += in_blocks(sums, transport_.reverse);
        return sums.narrow(0, 0, n_local);
    }
    border_ = border_.to(all.device());
    const int64_t n_border = border_.size(0);
    at::Tensor rows = staging({n_border + n_ghosts, all.size(1)}, all.scalar_type(), all.device());
    rows.narrow(0, 0, n_border).zero_();
    rows.narrow(0, n_border, n_ghosts).copy_(all.narrow(0, n_local, n_ghosts));
    traffic_.reverse += in_blocks(rows, transport_.reverse);
    return all.narrow(0, 0, n_local)
        .index_add(0, border_, rows.narrow(0, 0, n_border).to(all.device()));
}

void GhostBackend::pack(int64_t atom, double *buffer) const {
    const char *values = row(atom);
    if (values) {
        buffer[doubles_ - 1] = 0.0; // may be filled only in part
        std::memcpy(buffer, values, bytes_);
    } else {
        std::fill_n(buffer, doubles_, 0.0);
    }
}

int GhostBackend::pack_forward(int n, const int *atoms, double *buffer) const {
    if (!silent_.count(atoms)) {
        for (int k = 0; k < n; ++k) {
            pack(atoms[k], buffer + k * doubles_);
        }
    }
    return n * doubles_;
}

void GhostBackend::unpack_forward(int n, int first, const double *buffer) {
    for (int k = 0; k < n; ++k, buffer += doubles_) {
        if (receives_[first + k]) {
            std::memcpy(row(first + k), buffer, bytes_);
        }
    }
}

int GhostBackend::pack_reverse(int n, int first, double *buffer) const {
    if (learning_) {
        std::copy_n(receives_.begin() + first, n, buffer);
        return n;
    }
    const auto begin = receives_.begin() + first;
    if (std::find(begin, begin + n, true) != begin + n) { // else nobody looks at the buffer
        for (int k = 0; k < n; ++k) {
            pack(receives_[first + k] ? first + k : NOBODY, buffer + k * doubles_);
        }
    }
    return n * doubles_;
}

void GhostBackend::unpack_reverse(int n, const int *atoms, const double *buffer) {
    if (learning_) {
        bool silent = true;
        for (int k = 0; k < n; ++k) {
            if (buffer[k] > 0.0) {
                sent_[atoms[k]] = true;
                silent = false;
            }
        }
        if (silent) {
            silent_.insert(atoms);
        }
        return;
    }
    if (silent_.count(atoms)) {
        return;
    }
    for (int k = 0; k < n; ++k, buffer += doubles_) {
        char *const values = row(atoms[k]);
        if (values && float64_) {
            add(buffer, bytes_ / 8, reinterpret_cast<double *>(values));
        } else if (values) {
            add(buffer, bytes_ / 4, reinterpret_cast<float *>(values));
        }
    }
}

} // namespace egraff
