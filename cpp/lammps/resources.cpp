// SPDX-License-Identifier: GPL-2.0-or-later
#include "lammps/resources.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <initializer_list>

namespace egraff {

namespace {

// The first of these environment variables that holds a number, or `otherwise`.
int from_environment(std::initializer_list<const char *> names, int otherwise) {
    for (const char *name : names) {
        if (const char *text = std::getenv(name)) {
            char *end = nullptr;
            const long value = std::strtol(text, &end, 10);
            if (end != text) { // "4(x2)" and "4,2" are read as 4
                return int(value);
            }
        }
    }
    return otherwise;
}

int allowed_cores() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) == 0) {
        return std::max(1, CPU_COUNT(&set));
    }
    return 1;
}

} // namespace

NodeLayout node_layout([[maybe_unused]] MPI_Comm world) {
    NodeLayout layout;
#if !defined(MPI_STUBS) // LAMMPS's stand-in for MPI, for one rank, has no nodes
    MPI_Comm node;
    MPI_Comm_split_type(world, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
    MPI_Comm_rank(node, &layout.rank);
    MPI_Comm_size(node, &layout.ranks);
    MPI_Comm_free(&node);
#endif
    // MPICH and Intel MPI, Open MPI, MVAPICH, PMI-1, Slurm
    layout.rank = std::max(
        0, from_environment({"MPI_LOCALRANKID", "OMPI_COMM_WORLD_LOCAL_RANK",
                             "MV2_COMM_WORLD_LOCAL_RANK", "PMI_LOCAL_RANK", "SLURM_LOCALID"},
                            layout.rank));
    layout.cores = allowed_cores();
    return layout;
}

int gpus_of_node() { return at::hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0; }

std::string device_of_rank(const std::string &requested, const NodeLayout &layout) {
    const int n_gpus = gpus_of_node();
    if (requested == "auto" && n_gpus == 0) {
        return "cpu";
    }
    if ((requested == "auto" || requested == "cuda") && n_gpus > 0) {
        return "cuda:" + std::to_string(layout.rank % n_gpus);
    }
    return requested; // loading the model refuses what does not exist
}

int threads_of_rank(int requested, const NodeLayout &layout) {
    if (requested > 0) {
        return requested;
    }
    const int from_openmp = from_environment({"OMP_NUM_THREADS"}, 0);
    return from_openmp > 0 ? from_openmp : std::max(1, layout.cores / layout.ranks);
}

ThreadScope::ThreadScope(int threads) : before_(at::get_num_threads()) {
    if (threads != before_) {
        at::set_num_threads(threads);
    }
}

ThreadScope::~ThreadScope() {
    if (at::get_num_threads() != before_) {
        at::set_num_threads(before_);
    }
}

} // namespace egraff
