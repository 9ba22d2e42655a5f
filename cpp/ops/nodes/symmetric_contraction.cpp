// SPDX-License-Identifier: GPL-2.0-or-later
//
// egraff::symmetric_contraction: MACE's product basis (arXiv:2206.07697, eqs. 10 and 11), channel
// by channel:
//
//   out_i,m = sum over paths p of  W[p, Z_i]  sum over terms of  coefficient . monomial(x_i)
//
// Monomials live in the cache for one atom and one cache line of channels; nothing else is stored.
// First derivative by x only: it serves inference, training uses the plain form.
#include "ops/nodes/symmetric_contraction_kernels.h"
#include "ops/simd/buffer.h"
#include "ops/simd/kernels.h"
#include "ops/torch/expect.h"
#include "ops/torch/fused_operator.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <vector>

namespace egraff {
namespace {

using simd::Buffer;
using simd::LANES;

constexpr Expect expect("egraff::symmetric_contraction");

struct Inputs {
    Tensor x;         // [n, width]
    Tensor species;   // int64 [n]
    Tensor weights;   // [n_paths, n_species, channels]
    Tensor variables; // int64 [n_components, 2], first column of x and step from channel to channel
    Tensor products;  // int64 [n_products, 2], monomials of which each further one is made
    Tensor paths;     // int64 [n_paths, 4], see contraction::Path
    Tensor terms;     // int64 [n_terms, 2], monomial and component
    Tensor coefficients; // float64 [n_terms]
    Tensor outputs;      // int64 [n_components, 2], likewise of the result

    static constexpr auto list() {
        return std::tuple{Argument{"x", &Inputs::x},
                          Argument{"species", &Inputs::species},
                          Argument{"weights", &Inputs::weights},
                          Argument{"variables", &Inputs::variables},
                          Argument{"products", &Inputs::products},
                          Argument{"paths", &Inputs::paths},
                          Argument{"terms", &Inputs::terms},
                          Argument{"coefficients", &Inputs::coefficients},
                          Argument{"outputs", &Inputs::outputs}};
    }
};

// Columns of x or of the result: component k of channel c is column first[k] + step[k] * c.
struct Columns {
    std::vector<int64_t> first, step;
};

template <typename T> struct Plan {
    int64_t n, channels, n_species, n_chunks;
    Columns in, out;
    std::vector<contraction::Product> products;
    std::vector<contraction::Path> paths;
    std::vector<contraction::Term<T>> terms;

    explicit Plan(const Inputs &inputs);
};

Columns columns(const Tensor &table, const char *name, int64_t channels, int64_t width) {
    expect(table.scalar_type() == at::kLong && table.dim() == 2 && table.size(1) == 2, name,
           "int64 [n_components, 2]", table);
    const int64_t *row = table.const_data_ptr<int64_t>();
    Columns result;
    for (int64_t k = 0; k < table.size(0); ++k) {
        const int64_t first = row[2 * k], step = row[2 * k + 1];
        TORCH_CHECK_VALUE(first >= 0 && step > 0 && first + step * (channels - 1) < width,
                          "egraff::symmetric_contraction: ", name, ": expected columns below ",
                          width, ", got ", first, " + ", step, " * channel");
        result.first.push_back(first);
        result.step.push_back(step);
    }
    return result;
}

template <typename T> Plan<T>::Plan(const Inputs &inputs) {
    const auto &[x, species, weights, variables, products, paths, terms, coefficients, outputs] =
        inputs;
    n = x.size(0);
    channels = weights.size(2);
    n_species = weights.size(1);
    n_chunks = (channels + LANES<T> - 1) / LANES<T>;
    expect(species.scalar_type() == at::kLong && species.dim() == 1 && species.size(0) == n,
           "species", "int64 [n] as in x", species);
    in = columns(variables, "variables", channels, x.size(1));
    out = columns(outputs, "outputs", channels, channels * outputs.size(0));
    expect(products.scalar_type() == at::kLong && products.dim() == 2 && products.size(1) == 2,
           "products", "int64 [n_products, 2]", products);
    expect(paths.scalar_type() == at::kLong && paths.dim() == 2 && paths.size(1) == 4 &&
               paths.size(0) == weights.size(0),
           "paths", "int64 [n_paths, 4] as in weights", paths);
    expect(coefficients.scalar_type() == at::kDouble && coefficients.dim() == 1, "coefficients",
           "float64 [n_terms]", coefficients);
    expect(terms.scalar_type() == at::kLong && terms.dim() == 2 && terms.size(1) == 2 &&
               terms.size(0) == coefficients.size(0),
           "terms", "int64 [n_terms, 2] as in coefficients", terms);
    const int64_t n_variables = static_cast<int64_t>(in.first.size());
    const int64_t n_monomials = n_variables + products.size(0);
    const auto expect_fit = [](bool good, const char *name, const int64_t *row, int columns,
                               int64_t k) {
        TORCH_CHECK_VALUE(
            good, "egraff::symmetric_contraction: ", name,
            ": expected monomials of earlier ones and components of the outputs, got ",
            at::IntArrayRef(row, columns), " in row ", k, "\n  fix: export the model again");
    };
    this->products.assign(n_variables, {0, 0});
    for (int64_t k = 0; k < products.size(0); ++k) {
        const int64_t *row = products.const_data_ptr<int64_t>() + 2 * k;
        expect_fit(row[0] >= 0 && row[0] < n_variables + k && row[1] >= 0 && row[1] < n_variables,
                   "products", row, 2, k);
        this->products.push_back({static_cast<int32_t>(row[0]), static_cast<int32_t>(row[1])});
    }
    for (int64_t k = 0; k < terms.size(0); ++k) {
        const int64_t *row = terms.const_data_ptr<int64_t>() + 2 * k;
        expect_fit(row[0] >= 0 && row[0] < n_monomials, "terms", row, 2, k);
        this->terms.push_back({static_cast<int32_t>(row[0]), static_cast<int32_t>(row[1]),
                               static_cast<T>(coefficients.const_data_ptr<double>()[k])});
    }
    for (int64_t p = 0; p < paths.size(0); ++p) {
        const int64_t *row = paths.const_data_ptr<int64_t>() + 4 * p;
        bool good = row[0] >= 0 && row[0] <= row[1] && row[1] <= terms.size(0) && row[2] >= 0 &&
                    row[3] > 0 && row[2] + row[3] <= outputs.size(0);
        for (int64_t k = row[0]; good && k < row[1]; ++k) {
            good = this->terms[k].component >= 0 && this->terms[k].component < row[3];
        }
        expect_fit(good, "paths", row, 4, p);
        this->paths.push_back({static_cast<int32_t>(row[0]), static_cast<int32_t>(row[1]),
                               static_cast<int32_t>(row[2]), static_cast<int32_t>(row[3])});
    }
    for (int64_t k = 0; k < n; ++k) {
        const int64_t z = species.const_data_ptr<int64_t>()[k];
        TORCH_CHECK_VALUE(z >= 0 && z < n_species,
                          "egraff::symmetric_contraction: species: expected 0 <= species < ",
                          n_species, ", got ", z, " at atom ", k);
    }
}

// Between a row of x or of the result and [component][LANES]; channels past the last are zero.
template <typename T>
void gather(const Columns &columns, int64_t first, int64_t count, const T *row, T *lanes) {
    for (size_t k = 0; k < columns.first.size(); ++k) {
        const T *from = row + columns.first[k] + columns.step[k] * first;
        for (int64_t c = 0; c < LANES<T>; ++c) {
            lanes[k * LANES<T> + c] = c < count ? from[columns.step[k] * c] : T(0);
        }
    }
}

template <typename T>
void scatter(const Columns &columns, int64_t first, int64_t count, const T *lanes, T *row) {
    for (size_t k = 0; k < columns.first.size(); ++k) {
        T *to = row + columns.first[k] + columns.step[k] * first;
        for (int64_t c = 0; c < count; ++c) {
            to[columns.step[k] * c] = lanes[k * LANES<T> + c];
        }
    }
}

// gradient undefined: the result; otherwise the derivative of sum(gradient * result) by x.
template <typename T> Tensor contract(const Tensor &gradient, const Inputs &in) {
    const Plan<T> plan(in);
    const Tensor &x = in.x;
    const auto &kernel = simd::kernels<contraction::Kernels<T>>();
    const int64_t n_paths = in.paths.size(0), padded = plan.n_chunks * LANES<T>;
    const int64_t width_out = plan.channels * static_cast<int64_t>(plan.out.first.size());
    const bool backward = gradient.defined();
    const Tensor padded_weights = at::zeros({n_paths, plan.n_species, padded}, x.options());
    padded_weights.narrow(2, 0, plan.channels).copy_(in.weights);
    const int64_t width = backward ? x.size(1) : width_out;
    Tensor result = at::empty({plan.n, width}, x.options());
    const T *w = padded_weights.const_data_ptr<T>(), *rows = x.const_data_ptr<T>();
    const T *g = backward ? gradient.const_data_ptr<T>() : nullptr;
    T *to = result.mutable_data_ptr<T>();
    const int64_t *z = in.species.const_data_ptr<int64_t>();
    const int64_t width_in = x.size(1), n_out = static_cast<int64_t>(plan.out.first.size());
    at::parallel_for(0, plan.n, 16, [&](int64_t begin, int64_t end) {
        Buffer<T> monomials, d_monomials, lanes;
        contraction::ContractionArgs<T> args{};
        args.n_variables = static_cast<int>(plan.in.first.size());
        args.n_monomials = static_cast<int>(plan.products.size());
        args.products = plan.products.data();
        args.paths = plan.paths.data();
        args.terms = plan.terms.data();
        args.weights_stride = plan.n_species * padded;
        const int64_t size = args.n_monomials * LANES<T>;
        args.monomials = monomials.resize(size);
        args.d_monomials = d_monomials.resize(size);
        args.result = lanes.resize(n_out * LANES<T>);
        for (int64_t atom = begin; atom < end; ++atom) {
            std::fill(to + atom * width, to + (atom + 1) * width, T(0));
            for (int64_t chunk = 0; chunk < plan.n_chunks; ++chunk) {
                const int64_t first = chunk * LANES<T>;
                const int64_t count = std::min<int64_t>(LANES<T>, plan.channels - first);
                args.weights = w + z[atom] * padded + first;
                gather(plan.in, first, count, rows + atom * width_in, args.monomials);
                std::fill(args.result, args.result + n_out * LANES<T>, T(0));
                // the derivative needs the monomials only
                args.n_paths = backward ? 0 : static_cast<int>(n_paths);
                kernel.forward(args);
                args.n_paths = static_cast<int>(n_paths);
                if (!backward) {
                    scatter(plan.out, first, count, args.result, to + atom * width_out);
                    continue;
                }
                gather(plan.out, first, count, g + atom * width_out, args.result);
                std::fill(args.d_monomials, args.d_monomials + size, T(0));
                kernel.backward(args);
                scatter(plan.in, first, count, args.d_monomials, to + atom * width_in);
            }
        }
    });
    return result;
}

struct Cpu {
    template <typename T> static Tensors<1> forward(const Inputs &in) {
        return {contract<T>(Tensor(), in)};
    }
    template <typename T>
    static Tensors<1> backward(const Tensors<1> &gradients, const Inputs &in,
                               const std::array<bool, 1> &) {
        return {contract<T>(gradients[0], in)};
    }
};

struct SymmetricContraction {
    static constexpr const char *NAME = "symmetric_contraction";
    using Inputs = egraff::Inputs;
    static constexpr std::array GRADIENTS{"gradient"};
    static constexpr size_t N_DERIVATIVES = 1; // x
    using Cpu = egraff::Cpu;

    static const Tensor &like(const Inputs &in) { return in.x; }
    static std::array<Shape, 1> shapes(const Inputs &in) {
        return {Shape{in.x.sym_size(0), in.weights.sym_size(2) * in.outputs.sym_size(0)}};
    }
    static void check(const Inputs &in) {
        expect((in.x.scalar_type() == at::kFloat || in.x.scalar_type() == at::kDouble) &&
                   in.x.dim() == 2,
               "x", "float32 or float64 [n, width]", in.x);
        expect(in.weights.scalar_type() == in.x.scalar_type() && in.weights.dim() == 3 &&
                   in.weights.size(2) > 0,
               "weights", "[n_paths, n_species, channels] of the type of x", in.weights);
    }
};

} // namespace

TORCH_LIBRARY_FRAGMENT(egraff, library) { define_fused<SymmetricContraction>(library); }

} // namespace egraff
