// SPDX-License-Identifier: GPL-2.0-or-later
//
// egraff::index_sum(source [.., k, ..], dim, index [k], size) -> [.., size, ..]
//
// Along `dim`, adds each slice of `source` to the slice of the result that `index` names: the
// derivative of a gather. Compiled models call it, and no other operator that adds to places which
// data choose. AOTInductor of torch 2.13 would write atomic additions in their place: slow, in an
// order that differs from run to run, and, in a loop tiled in two directions, with an offset that
// counts the inner direction twice.
#include "ops/torch/described_operator.h"
#include "ops/torch/expect.h"

#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>

namespace egraff {
namespace {

// Columns that one thread adds at least: two cache lines of float64.
constexpr int64_t MIN_COLUMNS = 16;

constexpr Expect expect("egraff::index_sum");

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
    struct Inputs {
        Tensor source; // [.., k, ..]
        int64_t dim;
        Tensor index; // int64 [k]
        Size size;

        static constexpr auto list() {
            return std::tuple{Argument{"source", &Inputs::source}, Argument{"dim", &Inputs::dim},
                              Argument{"index", &Inputs::index}, Argument{"size", &Inputs::size}};
        }
    };
    static constexpr const char *NAME = "index_sum";

    static const Tensor &like(const Inputs &in) { return in.source; }
    static std::array<Shape, 1> shapes(const Inputs &in) {
        TORCH_CHECK_VALUE(in.dim >= 0 && in.dim < in.source.dim(),
                          "egraff::index_sum: dim: expected 0 <= dim < ", in.source.dim(), ", got ",
                          in.dim);
        Shape shape = in.source.sym_sizes().vec();
        shape[in.dim] = in.size.symbol;
        return {shape};
    }
    static void check(const Inputs &in) {
        expect(in.source.scalar_type() == at::kFloat || in.source.scalar_type() == at::kDouble,
               "source", "float32 or float64", in.source);
        expect(in.index.scalar_type() == at::kLong && in.index.dim() == 1, "index", "int64 [k]",
               in.index);
        TORCH_CHECK_VALUE(shapes(in).size() == 1 && in.index.size(0) == in.source.size(in.dim),
                          "egraff::index_sum: index: expected ", in.source.size(in.dim),
                          " places, one per slice of source, got ", in.index.size(0));
    }
    static Tensor zeros(const Inputs &in) {
        return at::zeros_symint(shapes(in)[0], in.source.options());
    }

    struct Cpu {
        template <typename T> static Tensors<1> forward(const Inputs &in) {
            const int64_t size = in.size, *place = in.index.const_data_ptr<int64_t>();
            for (int64_t k = 0; k < in.index.size(0); ++k) {
                TORCH_CHECK_VALUE(place[k] >= 0 && place[k] < size,
                                  "egraff::index_sum: index: expected 0 <= index < ", size,
                                  ", got ", place[k]);
            }
            int64_t slices = 1, columns = 1;
            for (int64_t d = 0; d < in.source.dim(); ++d) {
                (d < in.dim ? slices : columns) *= d == in.dim ? 1 : in.source.size(d);
            }
            Tensor result = zeros(in);
            add_all<T>(in.source, in.index, slices, columns, size, result);
            return {result};
        }
    };
    struct Cuda {
        template <typename T> static Tensors<1> forward(const Inputs &in) {
            return {zeros(in).index_add_(in.dim, in.index, in.source)};
        }
    };
};

} // namespace

TORCH_LIBRARY_FRAGMENT(egraff, library) { define<Described<IndexSum>>(library); }

} // namespace egraff
