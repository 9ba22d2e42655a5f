// SPDX-License-Identifier: GPL-2.0-or-later
//
// Atoms on a line, 1 Angstrom apart, cutoff 1.5: each sees the next ones only.
#include "lammps/graph_builder.h"
#include "tests/check.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <numeric>

namespace egraff {
namespace {

struct Line {
    std::vector<int> species, first_copy, centres, n_neighbours;
    std::vector<std::vector<int>> neighbours;
    std::vector<const int *> rows;
    std::vector<double> x;
    int n_local;

    // Owned atoms are the first ones, and may stand anywhere on the line.
    Line(int n_local, std::vector<double> places, std::vector<int> species, int n_centres)
        : species(std::move(species)), first_copy(places.size()), centres(n_centres),
          n_neighbours(places.size()), neighbours(places.size()), n_local(n_local) {
        std::iota(first_copy.begin(), first_copy.end(), 0);
        std::iota(centres.begin(), centres.end(), 0);
        for (size_t i = 0; i < places.size(); ++i) {
            x.insert(x.end(), {places[i], 0.0, 0.0});
            for (size_t j = 0; j < places.size(); ++j) {
                if (i != j && std::abs(places[i] - places[j]) < 2.5) { // cutoff and skin
                    // marked as a bonded neighbour, as LAMMPS may
                    neighbours[i].push_back(int(j) | 1 << 30);
                }
            }
            n_neighbours[i] = int(neighbours[i].size());
        }
        for (const auto &row : neighbours) {
            rows.push_back(row.data());
        }
    }

    AtomArrays atoms() const {
        return {n_local, int(species.size()) - n_local, species.data(), first_copy.data()};
    }
    NeighbourList list() const {
        return {n_local, int(centres.size()), centres.data(), n_neighbours.data(), rows.data()};
    }
};

GraphBuilder builder(int n_exchanges) { return {n_exchanges, make_host_edges({{2.25}, 1, 1.0})}; }

const Graph &built(GraphBuilder &builder, const Line &line, Ghosts ghosts) {
    builder.rebuild(line.atoms(), line.list(), ghosts);
    builder.update(line.x.data());
    return builder.graph();
}

bool is(const at::Tensor &found, const std::vector<int64_t> &expected) {
    return at::equal(found.flatten(), at::tensor(expected, at::kLong));
}

TEST(no_atoms_at_all_are_a_graph) {
    GraphBuilder graphs = builder(1);
    const Graph &graph = built(graphs, Line(0, {}, {}, 0), Ghosts::exchange);
    CHECK(graphs.is_built() && graph.n_local == 0 && graph.species.size(0) == 0);
    CHECK(graph.edge_vec.sizes() == at::IntArrayRef({0, 3}));
    CHECK(graph.edge_index.sizes() == at::IntArrayRef({2, 0}));
}

TEST(ghosts_without_an_owned_atom_are_nodes_without_edges) {
    GraphBuilder graphs = builder(1);
    const Graph &graph = built(graphs, Line(0, {0.0, 1.0}, {0, 0}, 0), Ghosts::exchange);
    CHECK(graph.n_local == 0 && graph.species.size(0) == 2 && graph.edge_vec.size(0) == 0);
}

TEST(a_folded_ghost_is_its_owner_at_the_ghosts_place) {
    Line line(2, {0.0, 1.0, 2.0}, {0, 0, 0}, 2); // the third is an image of the first
    line.first_copy[2] = 0;
    GraphBuilder graphs = builder(1);
    const Graph &graph = built(graphs, line, Ghosts::fold);
    CHECK(graph.species.size(0) == 2);
    CHECK(is(graph.edge_index, {0, 1, 1, 1, 0, 0}));
    CHECK(graph.edge_vec.sum().item<double>() == 1.0); // +1, -1, and +1 to the image
}

TEST(copies_of_one_atom_share_a_node_where_features_are_exchanged) {
    Line line(1, {0.0, 1.0, -1.0}, {0, 0, 0}, 1);
    line.first_copy[2] = 1;
    GraphBuilder graphs = builder(1);
    const Graph &graph = built(graphs, line, Ghosts::exchange);
    CHECK(graph.n_local == 1 && graph.species.size(0) == 2);
    CHECK(is(graph.edge_index, {0, 0, 1, 1}));
}

TEST(ghosts_count_as_far_out_as_the_model_sees) {
    // owned 0; ghosts at 1, 2, 3, 4: the list knows neighbours up to 2.5 away, hence hops of two
    const Line line(1, {0.0, 1.0, 2.0, 3.0, 4.0}, {0, 0, 0, 0, 0}, 5);
    GraphBuilder local = builder(0), one = builder(1);
    CHECK(built(local, line, Ghosts::extended).species.size(0) == 3);
    CHECK(is(local.graph().edge_index, {0, 1}));
    CHECK(built(one, line, Ghosts::extended).species.size(0) == 5);
    CHECK(one.graph().n_local == 5 && one.graph().n_owned == 1);
}

TEST(atoms_that_the_model_does_not_describe_are_no_nodes) {
    GraphBuilder graphs = builder(0);
    const Line line(3, {0.0, 1.0, 2.0}, {0, -1, 0}, 3);
    const Graph &graph = built(graphs, line, Ghosts::exchange);
    CHECK(graph.n_local == 2 && graph.edge_vec.size(0) == 0);
    CHECK(graphs.node_of_atom() == (std::vector<int64_t>{0, -1, 1}));
    CHECK(graphs.atom_of_node() == (std::vector<int64_t>{0, 2}));
}

TEST(a_list_without_a_described_atom_is_refused) {
    GraphBuilder graphs = builder(0);
    Line line(2, {0.0, 1.0}, {0, 0}, 2);
    NeighbourList list = line.list();
    list.n_owned = 1;
    CHECK_REFUSED(graphs.rebuild(line.atoms(), list, Ghosts::exchange), "without 1 of them");
}

TEST(an_atom_at_the_cutoff_is_no_neighbour) {
    GraphBuilder graphs = builder(0);
    CHECK(built(graphs, Line(2, {0.0, 1.5}, {0, 0}, 2), Ghosts::exchange).edge_vec.size(0) == 0);
}

} // namespace
} // namespace egraff
