// SPDX-License-Identifier: GPL-2.0-or-later
#include "ops/edges/radial_kernels.h"

#include "ops/simd/vector.h"

namespace egraff::edges {

namespace {

using namespace simd;

template <typename T> void radial_values(const RadialArgs<T> &a) {
    const int64_t stride = a.stride, next = a.knot_size;
    for (int e = 0; e < a.n_edges; ++e) {
        const T *knot = a.table + a.knot[e], *basis = a.basis + e;
        for (int k = 0; k < a.n_columns; ++k) {
            const RadialColumns<T> &c = a.columns[k];
            T *to = c.rows + e * c.width;
            const T *left = knot + c.from, *right = left + next;
            for (int64_t chunk = 0; chunk < c.width; chunk += LANES<T>) {
                for (int lane = 0; lane < LANES<T>; lane += Vector<T>::width) {
                    const T *l = left + lane, *r = right + lane;
                    // the largest term comes last
                    Vec<T> low = load(l + RISE * LANES<T>) * basis[RISE * stride];
                    Vec<T> high = load(r + SLOPE * LANES<T>) * basis[NEXT_SLOPE * stride];
                    low += load(l + SLOPE * LANES<T>) * basis[SLOPE * stride];
                    high += load(r + CURVATURE * LANES<T>) * basis[NEXT_CURVATURE * stride];
                    low += load(l + CURVATURE * LANES<T>) * basis[CURVATURE * stride];
                    const Vec<T> value = load(l + VALUE * LANES<T>) * basis[VALUE * stride];
                    store(to + chunk + lane, (low + high) + value);
                }
                left += TABLE_ROWS * LANES<T>;
                right += TABLE_ROWS * LANES<T>;
            }
        }
    }
}

// `rows` are the derivatives by the values; `basis` is the slope.
template <typename T> void radial_gradient(const RadialArgs<T> &a) {
    const int64_t stride = a.stride, next = a.knot_size;
    for (int e = 0; e < a.n_edges; ++e) {
        const T *knot = a.table + a.knot[e], *slope = a.basis + e;
        // one sum for each of the basis functions, which are applied at the end
        Vec<T> rise{}, slopes[2] = {}, curvatures[2] = {};
        for (int k = 0; k < a.n_columns; ++k) {
            const RadialColumns<T> &c = a.columns[k];
            const T *by = c.rows + e * c.width;
            const T *left = knot + c.from, *right = left + next;
            for (int64_t chunk = 0; chunk < c.width; chunk += LANES<T>) {
                for (int lane = 0; lane < LANES<T>; lane += Vector<T>::width) {
                    const Vec<T> d = load(by + chunk + lane);
                    const T *l = left + lane, *r = right + lane;
                    rise += d * load(l + RISE * LANES<T>);
                    slopes[0] += d * load(l + SLOPE * LANES<T>);
                    slopes[1] += d * load(r + SLOPE * LANES<T>);
                    curvatures[0] += d * load(l + CURVATURE * LANES<T>);
                    curvatures[1] += d * load(r + CURVATURE * LANES<T>);
                }
                left += TABLE_ROWS * LANES<T>;
                right += TABLE_ROWS * LANES<T>;
            }
        }
        Vec<T> total = rise * slope[RISE * stride];
        total += slopes[0] * slope[SLOPE * stride] + slopes[1] * slope[NEXT_SLOPE * stride];
        total += curvatures[0] * slope[CURVATURE * stride];
        total += curvatures[1] * slope[NEXT_CURVATURE * stride];
        a.d_length[e] = sum_of<T>(total);
    }
}

} // namespace

template <typename T> template <simd::InstructionSet> RadialKernels<T> RadialKernels<T>::make() {
    return {radial_values<T>, radial_gradient<T>};
}

template RadialKernels<float> RadialKernels<float>::make<simd::SET>();
template RadialKernels<double> RadialKernels<double>::make<simd::SET>();

} // namespace egraff::edges
