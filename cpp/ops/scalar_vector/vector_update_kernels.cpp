// SPDX-License-Identifier: GPL-2.0-or-later
#include "ops/scalar_vector/vector_update_kernels.h"

namespace egraff::update {

namespace {

template <typename T> void forward(const ForwardArgs<T> &a) {
    const int64_t width = a.width;
    for (int64_t node = 0; node < a.n_nodes; ++node) {
        const T *__restrict gate = a.gates + node * 3 * width;
        const T *__restrict x = a.maps + node * 9 * width;
        const T *__restrict y = x + 3 * width, *__restrict z = y + 3 * width;
        const T *__restrict sum = a.sums + node * 3 * width;
        T *__restrict scalar = a.scalars + node * width;
        T *__restrict vector = a.vectors + node * 3 * width;
        for (int64_t c = 0; c < width; ++c) {
            const int64_t d = c + width, e = d + width;
            const T product = x[c] * x[d] + y[c] * y[d] + z[c] * z[d];
            scalar[c] = gate[e] + gate[d] * product;
            vector[c] = sum[c] + gate[c] * x[e];
            vector[d] = sum[d] + gate[c] * y[e];
            vector[e] = sum[e] + gate[c] * z[e];
        }
    }
}

template <typename T> void backward(const BackwardArgs<T> &a) {
    const int64_t width = a.width;
    for (int64_t node = 0; node < a.n_nodes; ++node) {
        const T *__restrict gate = a.gates + node * 3 * width;
        const T *__restrict x = a.maps + node * 9 * width;
        const T *__restrict y = x + 3 * width, *__restrict z = y + 3 * width;
        const T *__restrict by_scalar = a.by_scalars + node * width;
        const T *__restrict by_vector = a.by_vectors + node * 3 * width;
        T *__restrict d_gate = a.d_gates + node * 3 * width;
        T *__restrict dx = a.d_maps + node * 9 * width;
        T *__restrict dy = dx + 3 * width, *__restrict dz = dy + 3 * width;
        for (int64_t c = 0; c < width; ++c) {
            const int64_t d = c + width, e = d + width;
            const T gx = by_vector[c], gy = by_vector[d], gz = by_vector[e];
            const T by_product = by_scalar[c] * gate[d];
            d_gate[c] = gx * x[e] + gy * y[e] + gz * z[e];
            d_gate[d] = by_scalar[c] * (x[c] * x[d] + y[c] * y[d] + z[c] * z[d]);
            d_gate[e] = by_scalar[c];
            dx[c] = by_product * x[d];
            dy[c] = by_product * y[d];
            dz[c] = by_product * z[d];
            dx[d] = by_product * x[c];
            dy[d] = by_product * y[c];
            dz[d] = by_product * z[c];
            dx[e] = gx * gate[c];
            dy[e] = gy * gate[c];
            dz[e] = gz * gate[c];
        }
    }
}

} // namespace

template <typename T> template <simd::InstructionSet> Kernels<T> Kernels<T>::make() {
    return {update::forward<T>, update::backward<T>};
}

template Kernels<float> Kernels<float>::make<simd::SET>();
template Kernels<double> Kernels<double>::make<simd::SET>();

} // namespace egraff::update
