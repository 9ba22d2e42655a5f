// SPDX-License-Identifier: GPL-2.0-or-later
//
// egraff::gated_vector_update: what an atom of the equivariant transformer makes of the sums of
// its messages (Thoelke & De Fabritiis, arXiv:2202.02541, eqs. 8-11). For scalars x and vectors v,
// sums y and w of scalar and vector messages, and linear maps O, U1, U2, U3
//
//   q1, q2, q3 = O y ;   x' = x + q3 + q2 sum over components of U1 v U2 v ;   v' = v + w + q1 U3 v
//
// Gates q and the three maps of v are twelve rows of channels for four that go out. They are made
// for a block of atoms at a time, and again for the derivatives, which are by x, v, y and w; it
// serves inference, training uses the plain form.
#include "ops/nodes/node_blocks.h"
#include "ops/scalar_vector/vector_update_kernels.h"
#include "ops/simd/kernels.h"
#include "ops/torch/described_operator.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

namespace egraff {
namespace {

constexpr const char *OPERATOR = "egraff::gated_vector_update";

constexpr int64_t PARTS = 3;      // gates, and maps of vectors
constexpr int64_t COMPONENTS = 3; // of vectors

// What derivatives depend on, outside of autograd: threads of their own do not know that it is off.
struct Call {
    template <typename Inputs>
    explicit Call(const Inputs &in)
        : v(in.v.detach()), scalars(in.scalars.detach()), weight(in.weight.detach()),
          bias(in.bias.detach()), maps(in.maps.detach()), n(v.size(0)), width(v.size(2)) {}

    // the vectors of some nodes, one component after another
    Tensor components(const Tensor &y, int64_t first, int64_t count) const {
        return y.narrow(0, first, count).view({count * COMPONENTS, width});
    }

    Tensor v, scalars, weight, bias, maps;
    int64_t n, width;
};

void expect(const Tensor &v, const Tensor &y, const char *name, at::IntArrayRef shape) {
    TORCH_CHECK_VALUE(y.scalar_type() == v.scalar_type() && y.sizes() == shape, OPERATOR, ": ",
                      name, ": expected ", v.scalar_type(), " ", shape, ", got ", y.scalar_type(),
                      " ", y.sizes());
}

// what both operators read, and two more of shapes [n, width] and [n, 3, width]
template <typename Inputs>
void check_shapes(const Inputs &in, const Tensor &a, const char *name_a, const Tensor &b,
                  const char *name_b) {
    const Tensor &v = in.v;
    TORCH_CHECK_VALUE((v.scalar_type() == at::kFloat || v.scalar_type() == at::kDouble) &&
                          v.dim() == 3 && v.size(1) == COMPONENTS,
                      OPERATOR, ": v: expected float32 or float64 [n, 3, width], got ",
                      v.scalar_type(), " ", v.sizes());
    const int64_t n = v.size(0), width = v.size(2);
    expect(v, in.scalars, "scalars", {n, width});
    expect(v, in.weight, "weight", {PARTS * width, width});
    expect(v, in.bias, "bias", {PARTS * width});
    expect(v, in.maps, "maps", {PARTS * width, width});
    expect(v, a, name_a, {n, width});
    expect(v, b, name_b, {n, COMPONENTS, width});
}

// Gates and maps of a block of nodes.
struct Block {
    explicit Block(const Call &c)
        : gates(at::empty({nodes::BLOCK, PARTS * c.width}, c.v.options())),
          mapped(at::empty({nodes::BLOCK * COMPONENTS, PARTS * c.width}, c.v.options())) {}

    void fill(const Call &c, int64_t first, int64_t count) {
        nodes::map(c.scalars.narrow(0, first, count), c.weight, c.bias, gates.narrow(0, 0, count));
        Tensor to = mapped.narrow(0, 0, count * COMPONENTS);
        at::mm_out(to, c.components(c.v, first, count), c.maps.t());
    }

    Tensor gates, mapped;
};

template <typename T> void add(const T *from, int64_t n, T *to) {
    for (int64_t k = 0; k < n; ++k) {
        to[k] += from[k];
    }
}

struct UpdateBackward {
    struct Inputs {
        Tensor by_x, by_v; // [n, width], [n, 3, width]
        Tensor v, scalars, weight, bias, maps;

        static constexpr auto list() {
            return std::tuple{
                Argument{"by_x", &Inputs::by_x},     Argument{"by_v", &Inputs::by_v},
                Argument{"v", &Inputs::v},           Argument{"scalars", &Inputs::scalars},
                Argument{"weight", &Inputs::weight}, Argument{"bias", &Inputs::bias},
                Argument{"maps", &Inputs::maps}};
        }
    };
    static constexpr const char *NAME = "gated_vector_update_backward";

    static const Tensor &like(const Inputs &in) { return in.v; }
    static std::array<Shape, 2> shapes(const Inputs &in) {
        return {in.v.sym_sizes().vec(), in.scalars.sym_sizes().vec()};
    }
    static void check(const Inputs &in) { check_shapes(in, in.by_x, "by_x", in.by_v, "by_v"); }
    static std::string no_derivative() { return no_second_derivative(OPERATOR); }

    struct Cpu {
        template <typename T> static Tensors<2> forward(const Inputs &in) {
            const Call c(in);
            const Tensor by_x = in.by_x.detach(), by_v = in.by_v.detach();
            Tensor d_v = at::empty_like(c.v), d_scalars = at::empty_like(c.scalars);
            const int64_t w = c.width;
            nodes::for_blocks(c.n, [&] {
                return [&, block = Block(c), by = Block(c)](int64_t first, int64_t count) mutable {
                    block.fill(c, first, count);
                    simd::kernels<update::Kernels<T>>().backward(
                        {count, w, block.gates.template const_data_ptr<T>(),
                         block.mapped.template const_data_ptr<T>(),
                         by_x.const_data_ptr<T>() + first * w,
                         by_v.const_data_ptr<T>() + first * COMPONENTS * w,
                         by.gates.template mutable_data_ptr<T>(),
                         by.mapped.template mutable_data_ptr<T>()});
                    Tensor to = d_scalars.narrow(0, first, count);
                    at::mm_out(to, by.gates.narrow(0, 0, count), c.weight);
                    to = c.components(d_v, first, count);
                    at::addmm_out(to, c.components(by_v, first, count),
                                  by.mapped.narrow(0, 0, count * COMPONENTS), c.maps);
                };
            });
            return {d_v, d_scalars};
        }
    };
};

struct Update {
    struct Inputs {
        Tensor x, v;             // [n, width], [n, 3, width]
        Tensor scalars, vectors; // sums of messages, likewise
        Tensor weight, bias;     // of O: [3 width, width], [3 width]
        Tensor maps;             // U1, U2, U3: [3 width, width]

        static constexpr auto list() {
            return std::tuple{Argument{"x", &Inputs::x},
                              Argument{"v", &Inputs::v},
                              Argument{"scalars", &Inputs::scalars},
                              Argument{"vectors", &Inputs::vectors},
                              Argument{"weight", &Inputs::weight},
                              Argument{"bias", &Inputs::bias},
                              Argument{"maps", &Inputs::maps}};
        }
    };
    static constexpr const char *NAME = "gated_vector_update";

    static const Tensor &like(const Inputs &in) { return in.v; }
    static std::array<Shape, 2> shapes(const Inputs &in) {
        return {in.x.sym_sizes().vec(), in.v.sym_sizes().vec()};
    }
    static void check(const Inputs &in) { check_shapes(in, in.x, "x", in.vectors, "vectors"); }

    struct Cpu {
        template <typename T> static Tensors<2> forward(const Inputs &in) {
            const Call c(in);
            Tensor x_out = at::empty_like(in.x), v_out = at::empty_like(c.v);
            const int64_t w = c.width;
            nodes::for_blocks(c.n, [&] {
                return [&, block = Block(c)](int64_t first, int64_t count) mutable {
                    block.fill(c, first, count);
                    T *const x = x_out.mutable_data_ptr<T>() + first * w;
                    T *const v = v_out.mutable_data_ptr<T>() + first * COMPONENTS * w;
                    simd::kernels<update::Kernels<T>>().forward(
                        {count, w, block.gates.template const_data_ptr<T>(),
                         block.mapped.template const_data_ptr<T>(),
                         in.vectors.const_data_ptr<T>() + first * COMPONENTS * w, x, v});
                    add(in.x.const_data_ptr<T>() + first * w, count * w, x);
                    add(c.v.const_data_ptr<T>() + first * COMPONENTS * w, count * COMPONENTS * w,
                        v);
                };
            });
            return {x_out, v_out};
        }
    };

    static auto keep(const Inputs &in) {
        return std::tuple(in.v, in.scalars, in.weight, in.bias, in.maps);
    }
    static variable_list derivative(AutogradContext *, const variable_list &by, const Tensor &v,
                                    const Tensor &scalars, const Tensor &weight, const Tensor &bias,
                                    const Tensor &maps) {
        auto [d_v, d_scalars] =
            call<Described<UpdateBackward>>(by[0], by[1], v, scalars, weight, bias, maps);
        return {by[0], d_v, d_scalars, by[1]};
    }
};

} // namespace

TORCH_LIBRARY_FRAGMENT(egraff, library) {
    define<Described<Update>>(library);
    define<Described<UpdateBackward>>(library);
}

} // namespace egraff
