// SPDX-License-Identifier: GPL-2.0-or-later
//
// What per-atom virials are worth, and so a heat flux made of them.
//
// compute heat/flux adds up sum_i (e_i + W_i) v_i with the centroid virials W_i. This is the time
// derivative of sum_i r_i e_i if W_i holds all that moves the energy e_i of atom i, which depends
// on the edges of i alone in a model without exchanges. With message passing, e_i depends on edges
// of its neighbours, too, and W_i counts an edge where it is, not where the energy is: the sum over
// atoms stays exact, the distribution and the flux do not. The exact one needs the derivatives of
// each e_i, of a graph unrolled to the model's whole reach (M. F. Langer et al., Phys. Rev. B 108,
// L100302 (2023)); it would replace the centroid virials in add_results.
#include "lammps/pair_egraff.h"

#include "core/error.h"

#include "comm.h"
#include "compute.h"
#include "error.h"
#include "modify.h"

namespace LAMMPS_NS {

void PairEgraff::check_heat_flux() const {
    const Compute *centroid = nullptr, *flux = nullptr;
    for (const Compute *compute : modify->get_compute_list()) {
        centroid = (compute->pressatomflag & 2) ? compute : centroid;
        flux = utils::strmatch(compute->style, "^heat/flux") ? compute : flux;
    }
    if (centroid && n_exchanges() > 0 && !options_.approximate_centroid_stress) {
        throw egraff::Error(
            fmt::format("expected a model without message passing for compute {} of style {}, got "
                        "{} with {} exchange(s): its energy is not where the centroid stress is, "
                        "and a heat flux made of them is not that of the model",
                        centroid->id, centroid->style, members_.front()->path(), n_exchanges()),
            {"pair_style egraff", "centroid_stress"},
            "use a strictly local model (Allegro, or a single layer); for a conductivity, impose "
            "the flux (lammps_inputs/in.conductivity_nemd); or accept an approximation: "
            "pair_style egraff centroid_stress approximate");
    }
    if (flux && !centroid && comm->me == 0) {
        error->warning(FLERR,
                       "pair_style egraff: compute {} of style heat/flux has no compute "
                       "centroid/stress/atom; with stress/atom it is not the flux of a many-body "
                       "model",
                       flux->id);
    }
}

} // namespace LAMMPS_NS
