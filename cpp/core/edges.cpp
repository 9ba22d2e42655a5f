// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/edges.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

namespace egraff {

namespace {

// below this many edges a thread costs more than it saves
constexpr int64_t GRAIN = 4096;

// Calls body(first_node, last_node, first_edge, last_edge) on threads that each own a range of
// nodes, the edge range holding all edges with their centre in the node range.
template <typename Body> void for_nodes(const Edges &edges, int64_t n_nodes, const Body &body) {
    const int64_t threads =
        std::clamp<int64_t>(edges.n_edges / GRAIN, 1, std::max(1, at::get_num_threads()));
    const int64_t chunk = std::max<int64_t>(1, (n_nodes + threads - 1) / threads);
    at::parallel_for(0, n_nodes, chunk, [&](int64_t first, int64_t last) {
        const int64_t *begin = edges.centre, *end = edges.centre + edges.n_edges;
        body(first, last, std::lower_bound(begin, end, first) - begin,
             std::lower_bound(begin, end, last) - begin);
    });
}

// Each thread looks at every edge, but adds only to the nodes that it owns. Reading an index twice
// is cheaper than sorting edges by neighbour, and the order of additions per node is always the
// order of the edges.
template <typename Add> void for_neighbours(const Edges &edges, int64_t n_nodes, const Add &add) {
    for_nodes(edges, n_nodes, [&](int64_t first, int64_t last, int64_t, int64_t) {
        for (int64_t e = 0; e < edges.n_edges; ++e) {
            const int64_t j = edges.neighbour[e];
            if (j >= first && j < last) {
                add(j, e);
            }
        }
    });
}

template <typename Add> void for_centres(const Edges &edges, int64_t n_nodes, const Add &add) {
    for_nodes(edges, n_nodes, [&](int64_t, int64_t, int64_t first_edge, int64_t last_edge) {
        for (int64_t e = first_edge; e < last_edge; ++e) {
            add(edges.centre[e], e);
        }
    });
}

} // namespace

void add_forces(const Edges &edges, int64_t n_nodes, double scale, double *forces) {
    for_centres(edges, n_nodes, [&](int64_t i, int64_t e) {
        for (int a = 0; a < 3; ++a) {
            forces[3 * i + a] += scale * edges.gradient[3 * e + a];
        }
    });
    for_neighbours(edges, n_nodes, [&](int64_t j, int64_t e) {
        for (int a = 0; a < 3; ++a) {
            forces[3 * j + a] -= scale * edges.gradient[3 * e + a];
        }
    });
}

std::array<double, 9> virial(const Edges &edges) {
    // blocks of fixed size, so that the rounding does not depend on the number of threads
    const int64_t n_blocks = (edges.n_edges + GRAIN - 1) / GRAIN;
    std::vector<std::array<double, 9>> blocks(n_blocks, std::array<double, 9>{});
    at::parallel_for(0, n_blocks, 1, [&](int64_t first, int64_t last) {
        for (int64_t block = first; block < last; ++block) {
            const int64_t stop = std::min(edges.n_edges, (block + 1) * GRAIN);
            for (int64_t e = block * GRAIN; e < stop; ++e) {
                for (int a = 0; a < 3; ++a) {
                    for (int b = 0; b < 3; ++b) {
                        blocks[block][3 * a + b] -=
                            edges.vec[3 * e + a] * edges.gradient[3 * e + b];
                    }
                }
            }
        }
    });
    std::array<double, 9> total{};
    for (const auto &block : blocks) {
        for (int k = 0; k < 9; ++k) {
            total[k] += block[k];
        }
    }
    return total;
}

void add_atom_virials(const Edges &edges, int64_t n_nodes, double scale, double *virials) {
    const auto add = [&](int64_t node, int64_t e) {
        const double *r = edges.vec + 3 * e, *g = edges.gradient + 3 * e;
        double *v = virials + 6 * node;
        const double half = 0.5 * scale, quarter = 0.25 * scale;
        v[0] -= half * r[0] * g[0];
        v[1] -= half * r[1] * g[1];
        v[2] -= half * r[2] * g[2];
        v[3] -= quarter * (r[0] * g[1] + r[1] * g[0]);
        v[4] -= quarter * (r[0] * g[2] + r[2] * g[0]);
        v[5] -= quarter * (r[1] * g[2] + r[2] * g[1]);
    };
    for_centres(edges, n_nodes, add);
    for_neighbours(edges, n_nodes, add);
}

void add_centroid_virials(const Edges &edges, int64_t n_nodes, double scale, double *virials) {
    static constexpr int ROW[9] = {0, 1, 2, 0, 0, 1, 1, 2, 2};
    static constexpr int COLUMN[9] = {0, 1, 2, 1, 2, 2, 0, 0, 1};
    for_neighbours(edges, n_nodes, [&](int64_t j, int64_t e) {
        for (int k = 0; k < 9; ++k) {
            virials[9 * j + k] -=
                scale * edges.vec[3 * e + ROW[k]] * edges.gradient[3 * e + COLUMN[k]];
        }
    });
}

} // namespace egraff
