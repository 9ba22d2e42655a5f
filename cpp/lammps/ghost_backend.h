// SPDX-License-Identifier: GPL-2.0-or-later
//
// The engine's side of egraff::ghost_exchange: features travel as LAMMPS's per-atom data do,
// through Comm::forward_comm and Comm::reverse_comm, so that every decomposition that LAMMPS
// knows is supported and no MPI call is made here.
#pragma once

#include "ops/exchange.h"

#include <functional>
#include <unordered_set>
#include <vector>

namespace egraff {

class GhostBackend : public ExchangeBackend {
  public:
    // What the pair style lends: the two calls into Comm for a number of doubles per atom, and the
    // largest number of doubles per atom that LAMMPS has made room for.
    struct Transport {
        std::function<void(int)> forward, reverse;
        std::function<int()> room;
    };

    explicit GhostBackend(Transport transport) : transport_(std::move(transport)) {}

    // Collective, and to be called whenever LAMMPS has chosen ghosts anew.
    // node_of_atom: the node of each atom, or -1; borrowed. Local nodes come first.
    // first_copy: of each atom the first one here that is a copy of the same atom. Only these
    //     receive features: further copies share their node.
    // staged: rows that travel, and no others, pass through `staging` memory on the host, for
    //     features on a GPU; else LAMMPS reads and writes features where they are, on the CPU.
    void set_nodes(const std::vector<int64_t> &node_of_atom, const std::vector<int> &first_copy,
                   int64_t n_local, bool staged);

    // LAMMPS communications since the last reset, and the widest: doubles per atom.
    struct Traffic {
        int forward = 0, reverse = 0, widest = 0;
    };
    const Traffic &traffic() const { return traffic_; }
    // How many ghosts receive features here.
    int64_t n_receivers() const;
    void reset_traffic() { traffic_ = {}; }

    at::Tensor forward(const at::Tensor &local, int64_t n_nodes) override;
    at::Tensor reverse(const at::Tensor &all, int64_t n_local) override;

    // What the pair style's functions of the same names do during an exchange; each returns or
    // takes `doubles` per atom.
    int pack_forward(int n, const int *atoms, double *buffer) const;
    void unpack_forward(int n, int first, const double *buffer);
    int pack_reverse(int n, int first, double *buffer) const;
    void unpack_reverse(int n, const int *atoms, const double *buffer);

  private:
    // Calls `send` for one block of columns after another, each as wide as there is room for.
    // Returns their number.
    int in_blocks(const at::Tensor &rows, const std::function<void(int)> &send);
    char *row(int64_t atom) const;
    void stage(const std::vector<int64_t> &node_of_atom, int64_t n_local);
    // Copies the block of one atom into `doubles_` doubles; zeros for an atom without a node.
    void pack(int64_t atom, double *buffer) const;

    Transport transport_;
    const std::vector<int64_t> *row_of_atom_ = nullptr; // of what is packed, or -1
    Traffic traffic_;

    // Who needs what is learned by one communication in which every atom that receives says so.
    // LAMMPS sends by lists of atoms, always the same ones; what goes by a silent list nobody
    // reads.
    bool learning_ = false;
    std::vector<char> receives_, sent_; // of each atom
    std::unordered_set<const int *> silent_;

    // Where rows are staged: first those of the border, local nodes that others receive, then those
    // of the ghosts.
    at::Tensor border_;                       // int64 [n_border], nodes; undefined: not staged
    std::vector<int64_t> staged_row_of_atom_; // -1 for atoms that do not travel

    // the block that is being sent
    char *data_ = nullptr;  // first row, first column
    int64_t row_bytes_ = 0; // from row to row
    int64_t offset_ = 0;    // of the block inside a row, in bytes
    int64_t bytes_ = 0;     // of the block
    int doubles_ = 0;       // that hold the block
    bool float64_ = false;
};

} // namespace egraff
