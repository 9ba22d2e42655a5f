// SPDX-License-Identifier: GPL-2.0-or-later
#include "ops/edges/neighbour_sums.h"

#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

namespace egraff::edges {

// Nodes that a thread adds up together.
constexpr int64_t GRAIN = 64;

template <typename T>
NeighbourSums<T>::NeighbourSums(const EdgeList &edges, const Grouping &by_centre,
                                std::vector<int64_t> first_centre, int64_t width,
                                const at::TensorOptions &options)
    : by_centre_(by_centre),
      neighbour_(edges.edge_index.const_data_ptr<int64_t>() + edges.edge_index.size(1)),
      first_centre_(std::move(first_centre)), width_(width),
      result_(at::zeros({edges.species.size(0), width}, options)),
      sums_(result_.mutable_data_ptr<T>()), parts_(first_centre_.size() - 1) {}

template <typename T> void NeighbourSums<T>::open(int64_t part) {
    if (n_parts() == 1) {
        return;
    }
    Part &own = parts_[part];
    own.row.assign(result_.size(0), NONE);
    const int64_t begin = by_centre_.first[first_centre_[part]];
    const int64_t end = by_centre_.first[first_centre_[part + 1]];
    int32_t n_rows = 0;
    for (int64_t e = begin; e < end; ++e) {
        const int64_t node = neighbour_[e];
        if (!owns(part, node) && own.row[node] == NONE) {
            own.row[node] = n_rows++;
        }
    }
    T *rows = own.rows.resize(n_rows * width_);
    std::fill(rows, rows + n_rows * width_, T(0));
}

template <typename T> at::Tensor NeighbourSums<T>::finish() {
    if (n_parts() > 1) {
        at::parallel_for(0, result_.size(0), GRAIN, [&](int64_t begin, int64_t end) {
            for (int64_t node = begin; node < end; ++node) {
                T *sum = sums_ + node * width_;
                for (const Part &part : parts_) {
                    if (part.row[node] == NONE) {
                        continue;
                    }
                    const T *row = part.rows.data() + part.row[node] * width_;
                    for (int64_t k = 0; k < width_; ++k) {
                        sum[k] += row[k];
                    }
                }
            }
        });
    }
    return std::move(result_);
}

template class NeighbourSums<float>;
template class NeighbourSums<double>;

} // namespace egraff::edges
