// SPDX-License-Identifier: GPL-2.0-or-later
//
// Which processor each MPI rank computes on, and with how many threads.
#pragma once

#include <mpi.h>

#include <string>

namespace egraff {

// How the job is laid out on this node.
struct NodeLayout {
    // among the job's ranks; those of other partitions of LAMMPS count if the launcher numbers
    // them, so that they take other GPUs
    int rank = 0;
    int ranks = 1; // of this communicator
    int cores = 1; // that these ranks may use together
};

// Collective.
NodeLayout node_layout(MPI_Comm world);

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
