// SPDX-License-Identifier: GPL-2.0-or-later
#include "lammps/host_check.h"

#include "atom.h"
#include "comm.h"
#include "force.h"
#include "lammps.h"
#include "library.h"
#include "pair.h"
#include "platform.h"
#include "update.h"

#include <ATen/Version.h>
#include <mpi.h>
#include <torch/version.h>

#include <array>
#include <cstddef>

namespace egraff {

namespace {

using LAMMPS_NS::LAMMPS;
using LAMMPS_NS::Pair;

std::string differ(const std::string &expected, const std::string &got) {
    return expected == got
               ? ""
               : "expected " + expected + ", for which the plugin was compiled, got " + got;
}

constexpr int UNKNOWN = -1;

// The update of a stable release, 0 for none. LAMMPS tells only where it was built from git, as its
// packages are: "stable_22Jul2025_update4", "stable_22Jul2025_update4-13-g0123456", "(unknown)".
int running_update() {
    const std::string built_from = LAMMPS::git_descriptor();
    const std::string mark = "_update";
    const auto at = built_from.find(mark);
    if (at != std::string::npos) {
        return std::atoi(built_from.c_str() + at + mark.size());
    }
    return built_from.rfind("stable_", 0) == 0 ? 0 : UNKNOWN;
}

std::string release(int date, int update) {
    return "LAMMPS " + std::to_string(date) +
           (update > 0 ? " update " + std::to_string(update) : "");
}

std::string other_release(void *lammps) {
    const bool compare = EGRAFF_LAMMPS_UPDATE != UNKNOWN && running_update() != UNKNOWN;
    return differ(release(EGRAFF_LAMMPS_VERSION, compare ? EGRAFF_LAMMPS_UPDATE : 0),
                  release(lammps_version(lammps), compare ? running_update() : 0));
}

std::string other_integers(void *lammps) {
    const auto sizes = [](int tag, int big, int image) {
        return "LAMMPS with " + std::to_string(8 * tag) + "-bit atom IDs, " +
               std::to_string(8 * big) + "-bit counts and " + std::to_string(8 * image) +
               "-bit image flags";
    };
    const auto of = [lammps](const char *type) { return lammps_extract_setting(lammps, type); };
    return differ(
        sizes(sizeof(LAMMPS_NS::tagint), sizeof(LAMMPS_NS::bigint), sizeof(LAMMPS_NS::imageint)),
        sizes(of("tagint"), of("bigint"), of("imageint")));
}

// Those that share one binary interface; "" for one that is not known.
std::string kind_of_mpi(const std::string &library) {
    for (const char *name : {"Open MPI", "STUBS"}) {
        if (library.find(name) != std::string::npos) {
            return name;
        }
    }
    for (const char *name : {"MPICH", "Intel(R) MPI", "MVAPICH"}) {
        if (library.find(name) != std::string::npos) {
            return "MPICH";
        }
    }
    return "";
}

std::string other_mpi() {
#if defined(MPI_STUBS)
    const std::string ours = "STUBS";
#elif defined(OPEN_MPI)
    const std::string ours = "Open MPI";
#elif defined(MPICH_VERSION) || defined(I_MPI_VERSION) || defined(MVAPICH2_VERSION)
    const std::string ours = "MPICH";
#else
    const std::string ours = "";
#endif
    int major, minor;
    const std::string theirs = kind_of_mpi(LAMMPS_NS::platform::mpi_info(major, minor));
    return ours.empty() || theirs.empty()
               ? ""
               : differ("MPI of the kind " + ours, "MPI of the kind " + theirs);
}

// Patch releases of torch share one binary interface.
std::string other_torch() {
    const std::string ours =
        std::to_string(TORCH_VERSION_MAJOR) + "." + std::to_string(TORCH_VERSION_MINOR);
    const std::string config = at::show_config(), mark = "TORCH_VERSION=";
    const auto at = config.find(mark);
    if (at == std::string::npos) {
        return "";
    }
    const auto begin = at + mark.size();
    const std::string theirs =
        config.substr(begin, config.find('.', config.find('.', begin) + 1) - begin);
    return differ("torch " + ours, "torch " + theirs);
}

// Pair's own functions, compiled with LAMMPS, set and read fields from the first to the last; this
// code must see them where they are.
class PairProbe final : public Pair {
  public:
    explicit PairProbe(LAMMPS *lammps) : Pair(lammps) {}
    void compute(int, int) override {}
    void settings(int, char **) override {}
    void coeff(int, char **) override {}

    bool fits() {
        using namespace LAMMPS_NS;
        eng_vdwl = 1.0;
        no_virial_fdotr_compute = 0;
        centroidstressflag = CENTROID_AVAIL;
        Pair::ev_setup(ENERGY_GLOBAL, VIRIAL_FDOTR | VIRIAL_CENTROID, /*alloc=*/0);
        const bool flags = eng_vdwl == 0.0 && evflag && eflag_either && eflag_global &&
                           !eflag_atom && vflag_either && !vflag_global && !vflag_atom &&
                           cvflag_atom && vflag_fdotr;
        maxeatom = 1;
        maxvatom = 10;
        maxcvatom = 100;
        const double bytes = Pair::memory_usage() / comm->nthreads;
        maxeatom = maxvatom = maxcvatom = 0;
        return flags && bytes == (1 + 6 * 10 + 9 * 100) * sizeof(double);
    }

  private:
    std::array<std::byte, 1024> room_; // where a Pair that is larger than here would write
};

std::string other_layout(void *handle) {
    auto *lammps = static_cast<LAMMPS *>(handle);
    const struct {
        const char *name;
        const void *here;
    } fields[] = {
        {"natoms", &lammps->atom->natoms}, {"nghost", &lammps->atom->nghost},
        {"ntypes", &lammps->atom->ntypes}, {"ntimestep", &lammps->update->ntimestep},
        {"dt", &lammps->update->dt},       {"boltz", &lammps->force->boltz},
        {"mvv2e", &lammps->force->mvv2e},  {"femtosecond", &lammps->force->femtosecond},
    };
    const std::string same = "classes as in its headers";
    for (const auto &field : fields) {
        if (lammps_extract_global(handle, field.name) != field.here) {
            return differ(same, std::string("another place of ") + field.name);
        }
    }
    return PairProbe(lammps).fits() ? "" : differ(same, "another layout of class Pair");
}

} // namespace

std::string host_mismatch(void *lammps) {
    // the last one looks into LAMMPS's memory, and comes after those that do not
    for (const auto &problem :
         {other_release(lammps), other_integers(lammps), other_mpi(), other_torch()}) {
        if (!problem.empty()) {
            return problem;
        }
    }
    return other_layout(lammps);
}

} // namespace egraff
