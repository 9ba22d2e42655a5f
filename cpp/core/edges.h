// SPDX-License-Identifier: GPL-2.0-or-later
//
// From the one tensor g_e = dE/d(r_j - r_i) to forces and virials, for any model.
//
// All results are added to what is already in the output, in double precision, in an order that
// does not depend on the number of threads: the same input gives the same bits.
#pragma once

#include "ops/visibility.h"

#include <array>
#include <cstdint>

namespace egraff {

// n_edges edges from centre i to neighbour j, centres ascending. Arrays are borrowed.
struct Edges {
    int64_t n_edges;
    const int64_t *centre;
    const int64_t *neighbour;
    const double *vec;      // [n_edges, 3]  r_j - r_i
    const double *gradient; // [n_edges, 3]  dE/d(r_j - r_i)
};

// forces [n_nodes, 3]:  f_i += scale g,  f_j -= scale g.
EGRAFF_PUBLIC void add_forces(const Edges &edges, int64_t n_nodes, double scale, double *forces);

// W_ab = -sum_e r_a g_b, row by row: the sum over atoms of r_a F_b, which LAMMPS calls virial.
EGRAFF_PUBLIC std::array<double, 9> virial(const Edges &edges);

// virials [n_nodes, 6], order xx yy zz xy xz yz: half of the symmetric part of each edge's -r (x) g
// to either end, as LAMMPS does for pair potentials.
EGRAFF_PUBLIC void add_atom_virials(const Edges &edges, int64_t n_nodes, double scale,
                                    double *virials);

// virials [n_nodes, 9], order xx yy zz xy xz yz yx zx zy: all of each edge's -r (x) g to the
// neighbour j. An edge of centre i is part of the energy U_i, which sits on atom i, and -g is the
// force that U_i exerts on j, so this is the sum over i of (r_j - r_i) (x) F_j(U_i), the quantity
// that gives the exact heat flux of a potential whose U_i depends on the edges of i alone [Fan et
// al., Phys. Rev. B 92, 094301 (2015)]. With message passing U_i also depends on edges of
// other centres; the sum over atoms is still exact, the split is then an approximation.
EGRAFF_PUBLIC void add_centroid_virials(const Edges &edges, int64_t n_nodes, double scale,
                                        double *virials);

} // namespace egraff
