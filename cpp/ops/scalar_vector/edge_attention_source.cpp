// SPDX-License-Identifier: GPL-2.0-or-later
//
// egraff::attention_source: all that edges read of an atom, in the order in which
// egraff::scalar_vector_attention reads it. For linear maps k, a, p, t of scalars x, and vectors v
//
//   source = (k, a, p, t v)       or, where there are no vectors yet, (k, a, p)
//
// packed as [chunk][row][lane]; see edge_attention_kernels.h. It is the atom's owner who maps, and
// ghosts are sent the result. First derivatives by x and v; t is formed again for them.
#include "ops/exchange.h"
#include "ops/nodes/node_blocks.h"
#include "ops/scalar_vector/edge_attention_layout.h"
#include "ops/torch/operator.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

namespace egraff {
namespace {

using attention::HeadLayout;
using simd::LANES;

using Pair = std::tuple<Tensor, Tensor>;

constexpr const char *NAME = "egraff::attention_source";

// rows of a node that are linear maps and nothing else: keys, scalar and push
constexpr int64_t MAPPED = attention::SOURCE_ROWS_NO_VECTORS;
constexpr int64_t COMPONENTS = 3;

#define EGRAFF_SOURCE_ARGUMENTS                                                                    \
    const Tensor &x, const Tensor &v, const Tensor &weight, const Tensor &bias, int64_t n_heads
#define EGRAFF_SOURCE_VALUES x, v, weight, bias, n_heads

// One call's tensors, contiguous and outside of autograd, and sizes.
struct Call {
    Call(EGRAFF_SOURCE_ARGUMENTS)
        : x(x.detach().contiguous()), v(v.detach().contiguous()), weight(weight.detach()),
          bias(bias.detach()), has_vectors(v.dim() == 3 && v.size(1) != 0) {
        const auto dtype = x.scalar_type();
        TORCH_CHECK_VALUE((dtype == at::kFloat || dtype == at::kDouble) && x.dim() == 2, NAME,
                          ": x: expected float32 or float64 [n, width], got ", dtype, " ",
                          x.sizes());
        n = x.size(0), width = x.size(1);
        TORCH_CHECK_VALUE(n_heads > 0 && width > 0 && width % n_heads == 0, NAME,
                          ": n_heads: expected a divisor of the width ", width, ", got ", n_heads);
        expect(v, "v", {n, has_vectors ? COMPONENTS : 0, width});
        const int64_t lanes = 64 / x.element_size();
        row = HeadLayout(n_heads, width, lanes).n_chunks * lanes;
        const int64_t n_maps = has_vectors ? MAPPED + 1 : MAPPED;
        expect(weight, "weight", {n_maps * row, width});
        expect(bias, "bias", {n_maps * row});
        n_rows = has_vectors ? attention::SOURCE_ROWS : MAPPED;
    }

    void expect(const Tensor &y, const char *name, at::IntArrayRef shape) const {
        TORCH_CHECK_VALUE(y.scalar_type() == x.scalar_type() && y.sizes() == shape, NAME, ": ",
                          name, ": expected ", x.scalar_type(), " ", shape, ", got ",
                          y.scalar_type(), " ", y.sizes());
    }

    Tensor x, v, weight, bias;
    bool has_vectors;
    int64_t n, width;
    int64_t row;    // lanes of one row of a node
    int64_t n_rows; // of a node
};

template <typename T> Tensor forward_typed(const Call &c, const HeadLayout &layout) {
    constexpr int64_t L = LANES<T>;
    Tensor source = rows_to_send(c.n, c.n_rows * c.row, c.x.options());
    const T *const v = c.v.const_data_ptr<T>();
    T *const all = source.mutable_data_ptr<T>();
    nodes::for_blocks(c.n, [&] {
        Tensor mapped = at::empty({nodes::BLOCK, c.weight.size(0)}, c.x.options());
        return [&, mapped](int64_t first, int64_t count) {
            nodes::map(c.x.narrow(0, first, count), c.weight, c.bias, mapped.narrow(0, 0, count));
            for (int64_t node = 0; node < count; ++node) {
                const T *from = mapped.const_data_ptr<T>() + node * c.weight.size(0);
                T *to = all + (first + node) * c.n_rows * c.row;
                if (c.has_vectors) {
                    if (layout.padded) {
                        std::fill_n(to, c.n_rows * c.row, T(0));
                    }
                    for (int64_t a = 0; a < COMPONENTS; ++a) {
                        pack(layout, v + ((first + node) * COMPONENTS + a) * c.width,
                             to + (MAPPED + a) * L, c.n_rows);
                    }
                }
                for (int64_t chunk = 0; chunk < layout.n_chunks; ++chunk, from += L) {
                    T *rows = to + chunk * c.n_rows * L;
                    for (int64_t r = 0; r < MAPPED; ++r) {
                        std::copy_n(from + r * c.row, L, rows + r * L);
                    }
                    const T *turn = from + MAPPED * c.row;
                    for (int64_t r = MAPPED; r < c.n_rows; ++r) {
                        for (int64_t lane = 0; lane < L; ++lane) {
                            rows[r * L + lane] *= turn[lane];
                        }
                    }
                }
            }
        };
    });
    return source;
}

template <typename T>
Pair backward_typed(const Tensor &by_source, const Call &c, const HeadLayout &layout) {
    constexpr int64_t L = LANES<T>;
    Tensor d_x = at::empty_like(c.x), d_v = at::empty_like(c.v);
    const T *const gradients = by_source.const_data_ptr<T>(), *const v = c.v.const_data_ptr<T>();
    T *const to_v = d_v.mutable_data_ptr<T>();
    const int64_t n_maps = c.weight.size(0) / c.row;
    nodes::for_blocks(c.n, [&] {
        Tensor by_mapped = at::empty({nodes::BLOCK, n_maps * c.row}, c.x.options());
        Tensor turns = at::empty({c.has_vectors ? nodes::BLOCK : 0, c.row}, c.x.options());
        std::vector<T> packed(COMPONENTS * c.row, T(0)); // lanes without a channel stay zero
        return [&, by_mapped, turns, packed](int64_t first, int64_t count) mutable {
            const Tensor block = c.x.narrow(0, first, count);
            if (c.has_vectors) {
                nodes::map(block, c.weight.narrow(0, MAPPED * c.row, c.row),
                           c.bias.narrow(0, MAPPED * c.row, c.row), turns.narrow(0, 0, count));
            }
            for (int64_t node = 0; node < count; ++node) {
                const T *from = gradients + (first + node) * c.n_rows * c.row;
                T *to = by_mapped.mutable_data_ptr<T>() + node * n_maps * c.row;
                for (int64_t chunk = 0; chunk < layout.n_chunks; ++chunk) {
                    for (int64_t r = 0; r < MAPPED; ++r) {
                        std::copy_n(from + (chunk * c.n_rows + r) * L, L,
                                    to + r * c.row + chunk * L);
                    }
                }
                if (!c.has_vectors) {
                    continue;
                }
                const int64_t place = (first + node) * COMPONENTS * c.width;
                for (int64_t a = 0; a < COMPONENTS; ++a) {
                    pack(layout, v + place + a * c.width, packed.data() + a * L, COMPONENTS);
                }
                const T *turn = turns.const_data_ptr<T>() + node * c.row;
                for (int64_t chunk = 0; chunk < layout.n_chunks; ++chunk) {
                    const T *by = from + (chunk * c.n_rows + MAPPED) * L;
                    T *vectors = packed.data() + chunk * COMPONENTS * L;
                    T *by_turn = to + MAPPED * c.row + chunk * L;
                    for (int64_t lane = 0; lane < L; ++lane) {
                        T sum = 0;
                        for (int64_t a = 0; a < COMPONENTS; ++a) {
                            sum += by[a * L + lane] * vectors[a * L + lane];
                            vectors[a * L + lane] = by[a * L + lane] * turn[chunk * L + lane];
                        }
                        by_turn[lane] = sum;
                    }
                }
                for (int64_t a = 0; a < COMPONENTS; ++a) {
                    unpack(layout, packed.data() + a * L, to_v + place + a * c.width, COMPONENTS);
                }
            }
            Tensor to = d_x.narrow(0, first, count);
            at::mm_out(to, by_mapped.narrow(0, 0, count), c.weight);
        };
    });
    return {d_x, d_v};
}

#define EGRAFF_SOURCE_SCHEMA "Tensor x, Tensor v, Tensor weight, Tensor bias, int n_heads"

struct SourceBackward {
    static constexpr const char *SCHEMA =
        "attention_source_backward(Tensor by_source, " EGRAFF_SOURCE_SCHEMA ") -> (Tensor, Tensor)";

    static Pair cpu(const Tensor &by_source, EGRAFF_SOURCE_ARGUMENTS) {
        const Call call(EGRAFF_SOURCE_VALUES);
        call.expect(by_source, "by_source", {call.n, call.n_rows * call.row});
        const Tensor by = by_source.detach().contiguous();
        if (x.scalar_type() == at::kFloat) {
            return backward_typed<float>(by, call, HeadLayout(n_heads, call.width, LANES<float>));
        }
        return backward_typed<double>(by, call, HeadLayout(n_heads, call.width, LANES<double>));
    }

    static Pair meta(const Tensor &by_source, EGRAFF_SOURCE_ARGUMENTS) {
        return {shape_of(x), shape_of(v)};
    }

    static std::string no_derivative() { return no_second_derivative(NAME); }
};

struct Source {
    static constexpr const char *SCHEMA = "attention_source(" EGRAFF_SOURCE_SCHEMA ") -> Tensor";

    static Tensor cpu(EGRAFF_SOURCE_ARGUMENTS) {
        const Call call(EGRAFF_SOURCE_VALUES);
        if (x.scalar_type() == at::kFloat) {
            return forward_typed<float>(call, HeadLayout(n_heads, call.width, LANES<float>));
        }
        return forward_typed<double>(call, HeadLayout(n_heads, call.width, LANES<double>));
    }

    static Tensor meta(EGRAFF_SOURCE_ARGUMENTS) {
        const bool has_vectors = v.sym_size(1) != 0;
        const c10::SymInt row = weight.sym_size(0) / (has_vectors ? MAPPED + 1 : MAPPED);
        const int64_t n_rows = has_vectors ? int64_t(attention::SOURCE_ROWS) : MAPPED;
        return x.new_empty_symint({x.sym_size(0), row * n_rows});
    }

    static variable_list derivative(AutogradContext *ctx, const variable_list &gradients,
                                    EGRAFF_SOURCE_ARGUMENTS) {
        auto [d_x, d_v] = call<SourceBackward>(gradients[0], EGRAFF_SOURCE_VALUES);
        return {d_x, ctx->needs_input_grad(1) ? d_v : Tensor()};
    }
};

} // namespace

TORCH_LIBRARY_FRAGMENT(egraff, library) {
    define<Source>(library);
    define<SourceBackward>(library);
}

} // namespace egraff
