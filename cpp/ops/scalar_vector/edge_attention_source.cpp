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
#include "ops/torch/fused_operator.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

namespace egraff {
namespace {

using attention::HeadLayout;
using simd::LANES;

constexpr const char *OPERATOR = "egraff::attention_source";

// rows of a node that are linear maps and nothing else: keys, scalar and push
constexpr int64_t MAPPED = attention::SOURCE_ROWS_NO_VECTORS;
constexpr int64_t COMPONENTS = 3;

struct Inputs {
    Tensor x;      // [n, width]
    Tensor v;      // [n, 3, width], or [n, 0, width]
    Tensor weight; // [n_maps * row, width]
    Tensor bias;   // [n_maps * row]
    int64_t n_heads;

    static constexpr auto list() {
        return std::tuple{Argument{"x", &Inputs::x}, Argument{"v", &Inputs::v},
                          Argument{"weight", &Inputs::weight}, Argument{"bias", &Inputs::bias},
                          Argument{"n_heads", &Inputs::n_heads}};
    }
};

// One call's tensors, outside of autograd, and sizes.
struct Call {
    explicit Call(const Inputs &in)
        : x(in.x.detach()), v(in.v.detach()), weight(in.weight.detach()), bias(in.bias.detach()),
          has_vectors(v.dim() == 3 && v.size(1) != 0) {
        const auto dtype = x.scalar_type();
        TORCH_CHECK_VALUE((dtype == at::kFloat || dtype == at::kDouble) && x.dim() == 2, OPERATOR,
                          ": x: expected float32 or float64 [n, width], got ", dtype, " ",
                          x.sizes());
        n = x.size(0), width = x.size(1);
        TORCH_CHECK_VALUE(in.n_heads > 0 && width > 0 && width % in.n_heads == 0, OPERATOR,
                          ": n_heads: expected a divisor of the width ", width, ", got ",
                          in.n_heads);
        expect(v, "v", {n, has_vectors ? COMPONENTS : 0, width});
        const int64_t lanes = 64 / x.element_size();
        row = HeadLayout(in.n_heads, width, lanes).n_chunks * lanes;
        const int64_t n_maps = has_vectors ? MAPPED + 1 : MAPPED;
        expect(weight, "weight", {n_maps * row, width});
        expect(bias, "bias", {n_maps * row});
        n_rows = has_vectors ? int64_t(attention::SOURCE_ROWS) : MAPPED;
    }

    void expect(const Tensor &y, const char *name, at::IntArrayRef shape) const {
        TORCH_CHECK_VALUE(y.scalar_type() == x.scalar_type() && y.sizes() == shape, OPERATOR, ": ",
                          name, ": expected ", x.scalar_type(), " ", shape, ", got ",
                          y.scalar_type(), " ", y.sizes());
    }

    Tensor x, v, weight, bias;
    bool has_vectors;
    int64_t n, width;
    int64_t row;    // lanes of one row of a node
    int64_t n_rows; // of a node
};

struct Cpu {
    template <typename T> static Tensors<1> forward(const Inputs &in) {
        const Call c(in);
        const HeadLayout layout(in.n_heads, c.width, LANES<T>);
        constexpr int64_t L = LANES<T>;
        Tensor source = rows_to_send(c.n, c.n_rows * c.row, c.x.options());
        const T *const v = c.v.const_data_ptr<T>();
        T *const all = source.mutable_data_ptr<T>();
        nodes::for_blocks(c.n, [&] {
            Tensor mapped = at::empty({nodes::BLOCK, c.weight.size(0)}, c.x.options());
            return [&, mapped](int64_t first, int64_t count) {
                nodes::map(c.x.narrow(0, first, count), c.weight, c.bias,
                           mapped.narrow(0, 0, count));
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
        return {source};
    }

    template <typename T>
    static Tensors<2> backward(const Tensors<1> &by_source, const Inputs &in,
                               const std::array<bool, 2> &) {
        const Call c(in);
        const HeadLayout layout(in.n_heads, c.width, LANES<T>);
        constexpr int64_t L = LANES<T>;
        Tensor d_x = at::empty_like(c.x), d_v = at::empty_like(c.v);
        const T *const gradients = by_source[0].const_data_ptr<T>(), *const v =
                                                                         c.v.const_data_ptr<T>();
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
                        unpack(layout, packed.data() + a * L, to_v + place + a * c.width,
                               COMPONENTS);
                    }
                }
                Tensor to = d_x.narrow(0, first, count);
                at::mm_out(to, by_mapped.narrow(0, 0, count), c.weight);
            };
        });
        return {d_x, d_v};
    }
};

struct AttentionSource {
    static constexpr const char *NAME = "attention_source";
    using Inputs = egraff::Inputs;
    static constexpr std::array GRADIENTS{"by_source"};
    static constexpr size_t N_DERIVATIVES = 2; // x, v
    using Cpu = egraff::Cpu;

    static const Tensor &like(const Inputs &in) { return in.x; }
    static std::array<Shape, 1> shapes(const Inputs &in) {
        const bool has_vectors = in.v.sym_size(1) != 0;
        const c10::SymInt row = in.weight.sym_size(0) / (has_vectors ? MAPPED + 1 : MAPPED);
        const int64_t n_rows = has_vectors ? int64_t(attention::SOURCE_ROWS) : MAPPED;
        return {Shape{in.x.sym_size(0), row * n_rows}};
    }
    static void check(const Inputs &in) { Call{in}; }
};

} // namespace

TORCH_LIBRARY_FRAGMENT(egraff, library) { define_fused<AttentionSource>(library); }

} // namespace egraff
