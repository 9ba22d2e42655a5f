// SPDX-License-Identifier: GPL-2.0-or-later
//
// Which processor each MPI rank computes on, and with how many threads.
#pragma once

#include <string>

namespace egraff {

// How the job is laid out, as far as the launcher tells its processes.
struct NodeLayout {
    int rank;  // among the ranks on this node
    int ranks; // on this node
    int cores; // that these ranks may use together
};

// world_rank and world_size serve where no launcher says anything (they then count as one node).
NodeLayout node_layout(int world_rank, int world_size);

// GPUs that torch sees on this node.
int gpus_of_node();

// The device for this rank: "auto" and "cuda" become "cuda:N", N going round the node's GPUs.
std::string device_of_rank(const std::string &requested, const NodeLayout &layout);

// Threads for one rank: what was asked for; else OMP_NUM_THREADS; else an equal share of the cores.
int threads_of_rank(int requested, const NodeLayout &layout);

// Sets the number of threads of torch, and puts the old one back: LAMMPS has its own opinion.
class ThreadScope {
  public:
    explicit ThreadScope(int threads);
    ~ThreadScope();
    ThreadScope(const ThreadScope &) = delete;
    ThreadScope &operator=(const ThreadScope &) = delete;

  private:
    int before_;
};

} // namespace egraff
