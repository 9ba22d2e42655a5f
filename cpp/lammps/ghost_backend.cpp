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
void add(const double *from, char *to, int64_t bytes, bool float64) {
    const auto accumulate = [&](auto zero) {
        using Value = decltype(zero);
        for (int64_t k = 0; k < bytes; k += sizeof(Value)) {
            Value a, b;
            std::memcpy(&a, to + k, sizeof(Value));
            std::memcpy(&b, reinterpret_cast<const char *>(from) + k, sizeof(Value));
            a += b;
            std::memcpy(to + k, &a, sizeof(Value));
        }
    };
    float64 ? accumulate(double()) : accumulate(float());
}

} // namespace

char *GhostBackend::row(int64_t atom) const {
    const int64_t row = (*row_of_atom_)[atom];
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

void GhostBackend::set_nodes(const std::vector<int64_t> &node_of_atom) {
    border_ = at::Tensor();
    row_of_atom_ = &node_of_atom;
}

void GhostBackend::set_nodes(const std::vector<int64_t> &node_of_atom, std::vector<int64_t> border,
                             int64_t n_local) {
    const auto n_border = int64_t(border.size());
    std::vector<int64_t> row_of_local(n_local, -1);
    for (int64_t row = 0; row < n_border; ++row) {
        row_of_local[border[row]] = row;
    }
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
        return sums.narrow(0, 0, n_local).clone();
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
    for (int k = 0; k < n; ++k, buffer += doubles_) {
        pack(atoms[k], buffer);
    }
    return n * doubles_;
}

void GhostBackend::unpack_forward(int n, int first, const double *buffer) {
    for (int k = 0; k < n; ++k, buffer += doubles_) {
        if (char *values = row(first + k)) {
            std::memcpy(values, buffer, bytes_);
        }
    }
}

int GhostBackend::pack_reverse(int n, int first, double *buffer) const {
    for (int k = 0; k < n; ++k, buffer += doubles_) {
        pack(first + k, buffer);
    }
    return n * doubles_;
}

void GhostBackend::unpack_reverse(int n, const int *atoms, const double *buffer) {
    for (int k = 0; k < n; ++k, buffer += doubles_) {
        if (char *values = row(atoms[k])) {
            add(buffer, values, bytes_, float64_);
        }
    }
}

} // namespace egraff
