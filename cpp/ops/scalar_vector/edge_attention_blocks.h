// SPDX-License-Identifier: GPL-2.0-or-later
//
// What the passes of egraff::scalar_vector_attention work on: packed rows of nodes, and blocks of
// nodes with all that their edges need, so that nothing of the size of all edges is stored.
#pragma once

#include "ops/edges/edge_block.h"
#include "ops/scalar_vector/edge_attention_layout.h"

#include <algorithm>
#include <vector>

namespace egraff::attention {

using edges::GeometryArgs;
using edges::Grouping;
using edges::INTERVAL_ROWS;
using edges::TABLE_ROWS;
using edges::VALUE;
using simd::Buffer;

// Packed rows of nodes, [n][chunk][row][LANES], in a tensor or a buffer of somebody else's.
template <typename T> struct Packed {
    Packed(const HeadLayout &layout, const T *data, int64_t n_rows)
        : data(data), n_rows(n_rows), width(layout.n_chunks * n_rows * LANES<T>) {}

    const T *data;
    int64_t n_rows, width;
};

// The edges of a block of nodes, with one from each local node to itself in front of its others.
template <typename T> class Block {
  public:
    explicit Block(const Inputs &in)
        : in_(in), activation_(activation(in.activation)),
          knot_size_(LANES<T> * TABLE_ROWS * FUNCTIONS), norm_(1),
          geometry_(0, &norm_, edges::make_grid(in.grid_start, in.grid_stretch),
                    in.table.size(1) - 2) {}

    // Nodes begin..end of the grouping. Edges read rows of `far_width` numbers of their centre, or
    // of their neighbour.
    void fill(const Grouping &grouping, int64_t begin, int64_t end, bool read_centres,
              int64_t far_width) {
        const int64_t *centre = in_.edge_index.template const_data_ptr<int64_t>();
        const int64_t *neighbour = centre + in_.edge_index.size(1);
        const int64_t *far = read_centres ? centre : neighbour;
        const int64_t *species = in_.species.template const_data_ptr<int64_t>();
        const double *pair_scale = in_.pair_scale.template const_data_ptr<double>();
        const T *edge_vec = in_.edge_vec.template const_data_ptr<T>();
        const int64_t n_species = in_.pair_scale.size(0), n_local = in_.n_local();
        geometry_.resize(grouping.first[end] - grouping.first[begin] + end - begin);
        const int64_t s = geometry_.stride();
        T *vec = geometry_.vec(), *scale = geometry_.scale();
        edges_.resize(s + EDGES_AHEAD);
        first_.assign(1, 0);
        selves_.clear();
        int32_t k = 0;
        for (int64_t node = begin; node < end; ++node) {
            if (node < n_local) {
                selves_.push_back(k);
                vec[k] = vec[s + k] = vec[2 * s + k] = T(0);
                scale[k] = T(1);
                edges_[k++].far = node * far_width;
            }
            for (int64_t place = grouping.first[node]; place < grouping.first[node + 1]; ++place) {
                const int64_t e = grouping.order.empty() ? place : grouping.order[place];
                for (int a = 0; a < 3; ++a) {
                    vec[a * s + k] = edge_vec[3 * e + a];
                }
                const int64_t pair = species[centre[e]] * n_species + species[neighbour[e]];
                scale[k] = static_cast<T>(pair_scale[pair]);
                edges_[k++].far = far[e] * far_width;
            }
            first_.push_back(k);
        }
        geometry_.make(k);
        fill_edges(k);
    }

    AttentionArgs<T> args(const HeadLayout &layout, const Packed<T> &near, int64_t first_node,
                          const Packed<T> &far, T *result) {
        AttentionArgs<T> a{};
        a.n_nodes = static_cast<int>(first_.size()) - 1;
        a.first = first_.data();
        a.head_lanes = static_cast<int>(layout.head_lanes);
        a.n_chunks = static_cast<int>(layout.n_chunks);
        a.near = near.data + first_node * near.width;
        a.near_rows = near.n_rows;
        a.far = far.data;
        a.far_rows = far.n_rows;
        a.edges = edges_.data();
        a.table = in_.table.template const_data_ptr<T>();
        a.table_rows = in_.table.size(1);
        a.activation = activation_;
        // loads may go beyond the last score
        const size_t n_scores = (geometry_.stride() + 1) * LANES<T>;
        a.weight = weight_.resize(n_scores);
        a.d_score = d_score_.resize(n_scores);
        a.more_scores[0] = more_scores_.resize(2 * n_scores);
        a.more_scores[1] = a.more_scores[0] + n_scores;
        a.result = result;
        return a;
    }

    // Derivatives by the edge vectors of the block, which go to `d_vec` one after another.
    void edge_vectors(const AttentionArgs<T> &a, T *d_vec) {
        const int n = first_.back();
        T *all = d_vec_.resize(3 * n);
        simd::kernels<Kernels<T>>().edge_vectors(
            {n, edges_.data(), a.edge_lanes, geometry_.rows().inverse_length, all});
        size_t self = 0;
        for (int32_t e = 0; e < n; ++e) {
            if (self < selves_.size() && selves_[self] == e) {
                ++self;
                continue;
            }
            d_vec = std::copy_n(all + 3 * e, 3, d_vec);
        }
    }

    int stride() const { return geometry_.stride(); }

  private:
    // What follows from the geometry of the block's n edges.
    void fill_edges(int64_t n) {
        const GeometryArgs<T> &rows = geometry_.rows();
        const int64_t s = rows.stride;
        for (int64_t e = 0; e < n; ++e) {
            Edge<T> &edge = edges_[e];
            edge.knot = static_cast<int64_t>(rows.interval[e]) * knot_size_;
            for (int k = 0; k < INTERVAL_ROWS; ++k) {
                edge.basis[k] = rows.basis[k * s + e];
                edge.slope[k] = rows.slope[k * s + e];
            }
            for (int a = 0; a < 3; ++a) {
                edge.unit[a] = rows.unit[a * s + e];
            }
        }
        for (const int32_t self : selves_) {
            Edge<T> &edge = edges_[self];
            // behind the knots the table has the functions at distance zero
            edge.knot = (in_.table.size(1) - 2) * knot_size_;
            for (int k = 0; k < INTERVAL_ROWS; ++k) {
                edge.basis[k] = k == VALUE ? T(1) : T(0);
                edge.slope[k] = T(0);
            }
        }
    }

    const Inputs &in_;
    Activation activation_;
    int64_t knot_size_;
    T norm_;
    edges::Geometry<T> geometry_;
    std::vector<int32_t> first_, selves_;
    Buffer<T> weight_, d_score_, more_scores_, d_vec_;
    std::vector<Edge<T>> edges_;
};

} // namespace egraff::attention
