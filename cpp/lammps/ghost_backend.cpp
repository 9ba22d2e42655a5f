// SPDX-License-Identifier: GPL-2.0-or-later
#include "lammps/ghost_backend.h"

#include "core/error.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

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
    const int64_t node = (*node_of_atom_)[atom];
    return node < 0 ? nullptr : data_ + node * row_bytes_ + offset_;
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

at::Tensor GhostBackend::forward(const at::Tensor &local, int64_t n_nodes) {
    at::Tensor all = at::empty({n_nodes, local.size(1)}, local.options().device(at::kCPU));
    all.narrow(0, 0, local.size(0)).copy_(local);
    traffic_.forward += in_blocks(all, transport_.forward);
    return all.to(local.device());
}

at::Tensor GhostBackend::reverse(const at::Tensor &all, int64_t n_local) {
    // a copy, because sums of ghosts of ghosts are collected in rows of ghosts
    at::Tensor sums = at::empty(all.sizes(), all.options().device(at::kCPU));
    sums.copy_(all);
    traffic_.reverse += in_blocks(sums, transport_.reverse);
    return sums.narrow(0, 0, n_local).to(all.device(), /*non_blocking=*/false, /*copy=*/true);
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
