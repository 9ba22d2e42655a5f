// SPDX-License-Identifier: GPL-2.0-or-later
//
// The engine's side of egraff::ghost_exchange: features travel as LAMMPS's per-atom data do,
// through Comm::forward_comm and Comm::reverse_comm, so that every decomposition that LAMMPS
// knows is supported and no MPI call is made here.
#pragma once

#include "ops/exchange.h"

#include <functional>
#include <unordered_map>
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

    // To be called whenever LAMMPS has chosen ghosts anew, or nodes are numbered anew; collective
    // if staged. What it is given is borrowed.
    // node_of_atom: the node of each atom, or -1. Local nodes come first.
    // first_copy: of each atom the first one here that is a copy of the same atom. Only these
    //     receive features: further copies share their node.
    // staged: rows that travel, and no others, pass through `staging` memory on the host, for
    //     features on a GPU; else LAMMPS reads and writes features where they are, on the CPU.
    void set_nodes(const std::vector<int64_t> &node_of_atom, const std::vector<int> &first_copy,
                   int64_t n_local, bool staged);
    bool is_staged() const { return border_.defined(); }

    // Collective, and to be called before the model is evaluated with edges that are new. Of the
    // ghosts only those receive features that an edge ends at; the rows of others stay as they are,
    // whatever that may be. Where rows are staged all ghosts receive, for edges are on a GPU.
    void set_edges(const at::Tensor &edge_index);

    // LAMMPS communications since the last reset, and the widest: doubles per atom.
    struct Traffic {
        int forward = 0, reverse = 0, widest = 0;
    };
    const Traffic &traffic() const { return traffic_; }
    // How many ghosts receive features here.
    int64_t n_receivers() const;
    void reset_traffic() { traffic_ = {}; }

    void fill_ghosts(const at::Tensor &all, int64_t n_local) override;
    void add_ghosts(const at::Tensor &all, int64_t n_local) override;
    int64_t n_ghosts(int64_t n_local) const override;

    // What the pair style's functions of the same names do during an exchange: `doubles` for each
    // atom of those that receive. LAMMPS sends as much as packing returns.
    int pack_forward(const int *list, double *buffer) const;
    void unpack_forward(int n, int first, const double *buffer);
    int pack_reverse(int n, int first, double *buffer) const;
    void unpack_reverse(int n, const int *list, const double *buffer);

  private:
    // Calls `send` for one block of columns after another, each as wide as there is room for.
    // Returns their number.
    int in_blocks(const at::Tensor &rows, const std::function<void(int)> &send);
    char *row(int atom) const;
    // is_read: of each ghost's node, whether its features are needed here.
    void agree(const std::vector<char> &is_read);
    void learn(int n, const int *list, const double *wanted);
    void stage();
    // Copies the block of one atom into `doubles_` doubles.
    void pack(int atom, double *buffer) const;

    Transport transport_;
    Traffic traffic_;
    const std::vector<int64_t> *node_of_atom_ = nullptr;
    const std::vector<int> *first_copy_ = nullptr;
    int64_t n_local_ = 0, n_ghosts_ = 0;                // nodes
    const std::vector<int64_t> *row_of_atom_ = nullptr; // of what is packed, or -1

    // Who needs what is learned by one communication in which every atom that receives says so.
    // LAMMPS sends by lists of atoms, always the same ones until it chooses ghosts anew.
    bool learning_ = false;
    std::vector<char> receives_;                              // of each atom
    std::unordered_map<const int *, std::vector<int>> sends_; // by list, those to be sent

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
