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
#include "ops/torch/operator.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

namespace egraff {
namespace {

using Pair = std::tuple<Tensor, Tensor>;

constexpr const char *NAME = "egraff::gated_vector_update";

#define EGRAFF_UPDATE_ARGUMENTS                                                                    \
    const Tensor &x, const Tensor &v, const Tensor &scalars, const Tensor &vectors,                \
        const Tensor &weight, const Tensor &bias, const Tensor &maps
// what derivatives depend on
#define EGRAFF_UPDATE_BACKWARD_ARGUMENTS                                                           \
    const Tensor &by_x, const Tensor &by_v, const Tensor &v, const Tensor &scalars,                \
        const Tensor &weight, const Tensor &bias, const Tensor &maps

constexpr int64_t PARTS = 3;      // gates, and maps of vectors
constexpr int64_t COMPONENTS = 3; // of vectors

// What derivatives depend on, contiguous and outside of autograd, and sizes.
struct Call {
    Call(const Tensor &v, const Tensor &scalars, const Tensor &weight, const Tensor &bias,
         const Tensor &maps)
        : v(v.detach().contiguous()), scalars(scalars.detach().contiguous()),
          weight(weight.detach()), bias(bias.detach()), maps(maps.detach()) {
        const auto dtype = v.scalar_type();
        TORCH_CHECK_VALUE((dtype == at::kFloat || dtype == at::kDouble) && v.dim() == 3 &&
                              v.size(1) == COMPONENTS,
                          NAME, ": v: expected float32 or float64 [n, 3, width], got ", dtype, " ",
                          v.sizes());
        n = v.size(0), width = v.size(2);
        expect(scalars, "scalars", {n, width});
        expect(weight, "weight", {PARTS * width, width});
        expect(bias, "bias", {PARTS * width});
        expect(maps, "maps", {PARTS * width, width});
    }

    void expect(const Tensor &y, const char *name, at::IntArrayRef shape) const {
        TORCH_CHECK_VALUE(y.scalar_type() == v.scalar_type() && y.sizes() == shape, NAME, ": ",
                          name, ": expected ", v.scalar_type(), " ", shape, ", got ",
                          y.scalar_type(), " ", y.sizes());
    }

    // the vectors of some nodes, one component after another
    Tensor components(const Tensor &y, int64_t first, int64_t count) const {
        return y.narrow(0, first, count).view({count * COMPONENTS, width});
    }

    Tensor v, scalars, weight, bias, maps;
    int64_t n, width;
};

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

template <typename T> Pair forward_typed(const Call &c, const Tensor &x_in, const Tensor &vectors) {
    Tensor x_out = at::empty_like(x_in), v_out = at::empty_like(c.v);
    const int64_t w = c.width;
    nodes::for_blocks(c.n, [&] {
        return [&, block = Block(c)](int64_t first, int64_t count) mutable {
            block.fill(c, first, count);
            T *const x = x_out.mutable_data_ptr<T>() + first * w;
            T *const v = v_out.mutable_data_ptr<T>() + first * COMPONENTS * w;
            simd::kernels<update::Kernels<T>>().forward(
                {count, w, block.gates.template const_data_ptr<T>(),
                 block.mapped.template const_data_ptr<T>(),
                 vectors.const_data_ptr<T>() + first * COMPONENTS * w, x, v});
            add(x_in.const_data_ptr<T>() + first * w, count * w, x);
            add(c.v.const_data_ptr<T>() + first * COMPONENTS * w, count * COMPONENTS * w, v);
        };
    });
    return {x_out, v_out};
}

template <typename T> Pair backward_typed(const Tensor &by_x, const Tensor &by_v, const Call &c) {
    Tensor d_v = at::empty_like(c.v), d_scalars = at::empty_like(c.scalars);
    const int64_t w = c.width;
    nodes::for_blocks(c.n, [&] {
        return [&, block = Block(c), by = Block(c)](int64_t first, int64_t count) mutable {
            block.fill(c, first, count);
            simd::kernels<update::Kernels<T>>().backward(
                {count, w, block.gates.template const_data_ptr<T>(),
                 block.mapped.template const_data_ptr<T>(), by_x.const_data_ptr<T>() + first * w,
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

struct UpdateBackward {
    static constexpr const char *SCHEMA =
        "gated_vector_update_backward(Tensor by_x, Tensor by_v, Tensor v, Tensor scalars, "
        "Tensor weight, Tensor bias, Tensor maps) -> (Tensor, Tensor)";

    static Pair cpu(EGRAFF_UPDATE_BACKWARD_ARGUMENTS) {
        const Call call(v, scalars, weight, bias, maps);
        call.expect(by_x, "by_x", {call.n, call.width});
        call.expect(by_v, "by_v", {call.n, COMPONENTS, call.width});
        const Tensor a = by_x.detach().contiguous(), b = by_v.detach().contiguous();
        return v.scalar_type() == at::kFloat ? backward_typed<float>(a, b, call)
                                             : backward_typed<double>(a, b, call);
    }

    static Pair meta(EGRAFF_UPDATE_BACKWARD_ARGUMENTS) { return {shape_of(v), shape_of(scalars)}; }

    static std::string no_derivative() { return no_second_derivative(NAME); }
};

struct Update {
    static constexpr const char *SCHEMA =
        "gated_vector_update(Tensor x, Tensor v, Tensor scalars, Tensor vectors, "
        "Tensor weight, Tensor bias, Tensor maps) -> (Tensor, Tensor)";

    static Pair cpu(EGRAFF_UPDATE_ARGUMENTS) {
        const Call call(v, scalars, weight, bias, maps);
        call.expect(x, "x", {call.n, call.width});
        call.expect(vectors, "vectors", {call.n, COMPONENTS, call.width});
        const Tensor a = x.detach().contiguous(), b = vectors.detach().contiguous();
        return x.scalar_type() == at::kFloat ? forward_typed<float>(call, a, b)
                                             : forward_typed<double>(call, a, b);
    }

    static Pair meta(EGRAFF_UPDATE_ARGUMENTS) { return {shape_of(x), shape_of(v)}; }

    static auto keep(EGRAFF_UPDATE_ARGUMENTS) { return std::tie(v, scalars, weight, bias, maps); }

    static variable_list derivative(AutogradContext *, const variable_list &by, const Tensor &v,
                                    const Tensor &scalars, const Tensor &weight, const Tensor &bias,
                                    const Tensor &maps) {
        auto [d_v, d_scalars] = call<UpdateBackward>(by[0], by[1], v, scalars, weight, bias, maps);
        return {by[0], d_v, d_scalars, by[1]};
    }
};

} // namespace

TORCH_LIBRARY_FRAGMENT(egraff, library) {
    define<Update>(library);
    define<UpdateBackward>(library);
}

} // namespace egraff
