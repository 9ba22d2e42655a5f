// SPDX-License-Identifier: GPL-2.0-or-later
//
// The entry point that LAMMPS looks for in a plugin: registers pair style egraff, its compute and
// its fix.
#include "lammps/compute_egraff_atom.h"
#include "lammps/fix_egraff_visit.h"
#include "lammps/host_check.h"
#include "lammps/pair_egraff.h"

#include "ops/visibility.h"

#include "library.h"

#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

// LAMMPS's description of a plugin (lammpsplugin.h, which not every installation of LAMMPS has).
// This is part of its binary interface: the order of the fields must not change.
struct lammpsplugin_t {
    const char *version;
    const char *style;
    const char *name;
    const char *info;
    const char *author;
    union {
        void *(*v1)(void *lammps);
        void *(*v2)(void *lammps, int narg, char **arg);
    } creator;
    void *handle;
};

using lammpsplugin_regfunc = void (*)(lammpsplugin_t *, void *);

void *create_pair_egraff(void *lammps) {
    return new LAMMPS_NS::PairEgraff(static_cast<LAMMPS_NS::LAMMPS *>(lammps));
}

void *create_compute_egraff_atom(void *lammps, int narg, char **arg) {
    return new LAMMPS_NS::ComputeEgraffAtom(static_cast<LAMMPS_NS::LAMMPS *>(lammps), narg, arg);
}

void *create_fix_egraff_visit(void *lammps, int narg, char **arg) {
    return new LAMMPS_NS::FixEgraffVisit(static_cast<LAMMPS_NS::LAMMPS *>(lammps), narg, arg);
}

// Arrays that are not large enough for the pool (array_pool.h) are cheaper, too, with pages of 2 MB
// where the operating system offers them. torch reads this at its first allocation; whoever has set
// it is not overruled.
void prefer_huge_pages() { setenv("THP_MEM_ALLOC_ENABLE", "1", /*overwrite=*/0); }

} // namespace

extern "C" EGRAFF_PUBLIC void lammpsplugin_init(void *lammps, void *handle, void *register_plugin) {
    const std::string problem = egraff::host_mismatch(lammps);
    if (!problem.empty()) {
        const char *allow = std::getenv("EGRAFF_ALLOW_LAMMPS");
        const bool allowed = allow && std::string(allow) == "1";
        if (lammps_extract_setting(lammps, "world_rank") == 0) {
            // LAMMPS itself is silent about plugins that it loads by LAMMPS_PLUGIN_PATH
            std::fprintf(
                stderr,
                "%s: pair_style egraff %s: %s\n"
                "  fix: install what it was compiled for, or compile egraff for this LAMMPS "
                "(cmake -DEGRAFF_LAMMPS_INCLUDE=...)%s\n",
                allowed ? "WARNING" : "ERROR",
                allowed ? "may crash or give wrong results" : "is not available", problem.c_str(),
                allowed ? "" : "; or set EGRAFF_ALLOW_LAMMPS=1 to try it, and check the results");
        }
        if (!allowed) {
            return;
        }
    }
    prefer_huge_pages();
    lammpsplugin_t plugin{};
    // compared with LAMMPS's own for a warning; what matters was checked above
    plugin.version = static_cast<LAMMPS_NS::LAMMPS *>(lammps)->version;
    plugin.style = "pair";
    plugin.name = "egraff";
    plugin.info = "equivariant graph-neural-network force fields, egraff " EGRAFF_VERSION;
    plugin.author = "the egraff authors";
    plugin.creator.v1 = &create_pair_egraff;
    plugin.handle = handle;
    const auto add = reinterpret_cast<lammpsplugin_regfunc>(register_plugin);
    add(&plugin, lammps);

    plugin.style = "compute";
    plugin.name = "egraff/atom";
    plugin.info = "per-atom outputs of pair style egraff " EGRAFF_VERSION;
    plugin.creator.v2 = &create_compute_egraff_atom;
    add(&plugin, lammps);

    plugin.style = "fix";
    plugin.name = "EGRAFF/VISIT";
    plugin.info = "part of pair style egraff " EGRAFF_VERSION;
    plugin.creator.v2 = &create_fix_egraff_visit;
    add(&plugin, lammps);
}
