// SPDX-License-Identifier: GPL-2.0-or-later
#include "ops/nodes/symmetric_contraction_kernels.h"

#include "ops/simd/vector.h"

namespace egraff::contraction {

namespace {

using namespace simd;

template <typename T> void forward(const ContractionArgs<T> &a) {
    for (int lane = 0; lane < LANES<T>; lane += Vector<T>::width) {
        T *monomials = a.monomials + lane;
        for (int k = a.n_variables; k < a.n_monomials; ++k) {
            const Product p = a.products[k];
            store(monomials + k * LANES<T>,
                  load(monomials + p.left * LANES<T>) * load(monomials + p.right * LANES<T>));
        }
        for (int p = 0; p < a.n_paths; ++p) {
            const Path path = a.paths[p];
            const Vec<T> weight = load(a.weights + p * a.weights_stride + lane);
            T *result = a.result + path.first_component * LANES<T> + lane;
            // terms are sorted by component
            for (int t = path.first_term; t < path.last_term;) {
                const int component = a.terms[t].component;
                Vec<T> even{}, odd{};
                for (; t < path.last_term && a.terms[t].component == component; ++t) {
                    even +=
                        load(monomials + a.terms[t].monomial * LANES<T>) * a.terms[t].coefficient;
                    if (t + 1 < path.last_term && a.terms[t + 1].component == component) {
                        ++t; // a second sum, which need not wait for the first
                        odd += load(monomials + a.terms[t].monomial * LANES<T>) *
                               a.terms[t].coefficient;
                    }
                }
                T *to = result + component * LANES<T>;
                store(to, load(to) + weight * (even + odd));
            }
        }
    }
}

// After a forward on the same `monomials`.
template <typename T> void backward(const ContractionArgs<T> &a) {
    for (int lane = 0; lane < LANES<T>; lane += Vector<T>::width) {
        const T *monomials = a.monomials + lane;
        T *d_monomials = a.d_monomials + lane;
        for (int p = 0; p < a.n_paths; ++p) {
            const Path path = a.paths[p];
            const Vec<T> weight = load(a.weights + p * a.weights_stride + lane);
            const T *gradient = a.result + path.first_component * LANES<T> + lane;
            for (int t = path.first_term; t < path.last_term;) {
                const int component = a.terms[t].component;
                const Vec<T> weighted = weight * load(gradient + component * LANES<T>);
                for (; t < path.last_term && a.terms[t].component == component; ++t) {
                    T *to = d_monomials + a.terms[t].monomial * LANES<T>;
                    store(to, load(to) + weighted * a.terms[t].coefficient);
                }
            }
        }
        for (int k = a.n_monomials - 1; k >= a.n_variables; --k) {
            const Product p = a.products[k];
            const Vec<T> d = load(d_monomials + k * LANES<T>);
            T *left = d_monomials + p.left * LANES<T>;
            store(left, load(left) + d * load(monomials + p.right * LANES<T>));
            T *right = d_monomials + p.right * LANES<T>;
            store(right, load(right) + d * load(monomials + p.left * LANES<T>));
        }
    }
}

} // namespace

template <typename T> template <simd::InstructionSet> Kernels<T> Kernels<T>::make() {
    return {contraction::forward<T>, contraction::backward<T>};
}

template Kernels<float> Kernels<float>::make<simd::SET>();
template Kernels<double> Kernels<double>::make<simd::SET>();

} // namespace egraff::contraction
