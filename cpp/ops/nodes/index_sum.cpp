// SPDX-License-Identifier: GPL-2.0-or-later
//
// egraff::index_sum(source [.., k, ..], dim, index [k], size) -> [.., size, ..]
//
// Along `dim`, adds each slice of `source` to the slice of the result that `index` names: the
// derivative of a gather. Compiled models call it, and no other operator that adds to places which
// data choose. AOTInductor of torch 2.13 would write atomic additions in their place: slow, in an
// order that differs from run to run, and, in a loop tiled in two directions, with an offset that
// counts the inner direction twice.
#include "ops/torch/operator.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>

namespace egraff {
namespace {

// Columns that one thread adds at least: two cache lines of float64.
constexpr int64_t MIN_COLUMNS = 16;

void check(const Tensor &source, int64_t dim, const Tensor &index) {
    TORCH_CHECK_VALUE(dim >= 0 && dim < source.dim(),
                      "egraff::index_sum: dim: expected 0 <= dim < ", source.dim(), ", got ", dim);
    TORCH_CHECK_VALUE(index.scalar_type() == at::kLong && index.dim() == 1,
                      "egraff::index_sum: index: expected int64 [k], got ", index.scalar_type(),
                      " with ", index.dim(), " dimension(s)");
}

// result[o][index[k]][c] += source[o][k][c] for c in [first, last), in the order of k.
template <typename T>
void add_columns(const T *source, const int64_t *index, int64_t n, int64_t columns, int64_t first,
                 int64_t last, T *result) {
    for (int64_t k = 0; k < n; ++k) {
        const T *from = source + k * columns;
        T *to = result + index[k] * columns;
        for (int64_t c = first; c < last; ++c) {
            to[c] += from[c];
        }
    }
}

// Threads share whole slices, or columns where there is one slice only; either way the order of
// additions does not depend on their number.
template <typename T>
void add_all(const Tensor &source, const Tensor &index, int64_t slices, int64_t columns,
             int64_t size, Tensor &result) {
    const T *from = source.const_data_ptr<T>();
    const int64_t *places = index.const_data_ptr<int64_t>();
    T *to = result.mutable_data_ptr<T>();
    const int64_t n = index.size(0);
    if (slices == 1) {
        at::parallel_for(0, columns, MIN_COLUMNS, [&](int64_t first, int64_t last) {
            add_columns(from, places, n, columns, first, last, to);
        });
        return;
    }
    const int64_t grain = std::max<int64_t>(1, 4096 / std::max<int64_t>(1, n * columns));
    at::parallel_for(0, slices, grain, [&](int64_t first, int64_t last) {
        for (int64_t slice = first; slice < last; ++slice) {
            add_columns(from + slice * n * columns, places, n, columns, 0, columns,
                        to + slice * size * columns);
        }
    });
}

struct IndexSum {
    static constexpr const char *SCHEMA =
        "index_sum(Tensor source, int dim, Tensor index, SymInt size) -> Tensor";

    static Tensor cpu(const Tensor &source, int64_t dim, const Tensor &index, int64_t size) {
        check(source, dim, index);
        TORCH_CHECK_VALUE(index.size(0) == source.size(dim), "egraff::index_sum: index: expected ",
                          source.size(dim), " places, one per slice of source, got ",
                          index.size(0));
        const Tensor rows = source.contiguous(), places = index.contiguous();
        const int64_t *place = places.const_data_ptr<int64_t>();
        for (int64_t k = 0; k < places.size(0); ++k) {
            TORCH_CHECK_VALUE(place[k] >= 0 && place[k] < size,
                              "egraff::index_sum: index: expected 0 <= index < ", size, ", got ",
                              place[k]);
        }
        int64_t slices = 1, columns = 1;
        for (int64_t d = 0; d < source.dim(); ++d) {
            (d < dim ? slices : columns) *= d == dim ? 1 : source.size(d);
        }
        std::vector<int64_t> shape = source.sizes().vec();
        shape[dim] = size;
        Tensor result = at::zeros(shape, source.options());
        AT_DISPATCH_FLOATING_TYPES(source.scalar_type(), "egraff::index_sum", [&] {
            add_all<scalar_t>(rows, places, slices, columns, size, result);
        });
        return result;
    }

    static Tensor cuda(const Tensor &source, int64_t dim, const Tensor &index, int64_t size) {
        check(source, dim, index);
        std::vector<int64_t> shape = source.sizes().vec();
        shape[dim] = size;
        return at::zeros(shape, source.options()).index_add_(dim, index, source);
    }

    static Tensor meta(const Tensor &source, int64_t dim, const Tensor &index, c10::SymInt size) {
        check(source, dim, index);
        std::vector<c10::SymInt> shape = source.sym_sizes().vec();
        shape[dim] = std::move(size);
        return at::empty_symint(shape, source.options());
    }
};

} // namespace

TORCH_LIBRARY_FRAGMENT(egraff, library) { define<IndexSum>(library); }

} // namespace egraff
