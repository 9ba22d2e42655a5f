// SPDX-License-Identifier: GPL-2.0-or-later
//
// Sums over edges for LANES channels of one path, for fixed orders of source and harmonics.
//
// The sum over a node's edges of weight * source (x) harmonics is formed as an outer product; the
// Clebsch-Gordan coefficients, which no edge changes, are applied once per node.
#include "ops/convolution/edge_convolution_kernels.h"

#include "ops/edges/table_rows.h"
#include "ops/simd/vector.h"

namespace egraff::convolution {

namespace {

using namespace edges;
using namespace simd;

// What an interval's numbers, each LANES of them, add to its first value.
template <typename T> inline Vec<T> change(const T *table, const T *factors, int64_t stride) {
    Vec<T> w = load(table + SLOPE * LANES<T>) * factors[SLOPE * stride];
    w += load(table + CURVATURE * LANES<T>) * factors[CURVATURE * stride];
    w += load(table + RISE * LANES<T>) * factors[RISE * stride];
    w += load(table + NEXT_SLOPE * LANES<T>) * factors[NEXT_SLOPE * stride];
    w += load(table + NEXT_CURVATURE * LANES<T>) * factors[NEXT_CURVATURE * stride];
    return w;
}

template <typename T> inline Vec<T> spline(const T *table, const T *basis, int64_t stride) {
    return change(table, basis, stride) + load(table + VALUE * LANES<T>) * basis[VALUE * stride];
}

// Outer products of source components FROM..TO with all harmonics, summed over edges.
template <typename T, int D2, int FROM, int TO>
inline void outer_rows(const AccumulateArgs<T> &a, int first, int last, int lane, Vec<T> *sums) {
    constexpr int N = (TO - FROM) * D2;
    Vec<T> acc[N];
    for (int k = 0; k < N; ++k) {
        acc[k] = Vec<T>{};
    }
    const int64_t stride = a.stride;
    for (int e = first; e < last; ++e) {
        const Vec<T> w = spline(a.table + a.knot[e] + lane, a.basis + e, stride);
        const T *source = a.source + a.row[e] + lane;
        const T *y = a.harmonics + e;
#pragma GCC unroll 16
        for (int m1 = FROM; m1 < TO; ++m1) {
            const Vec<T> weighted = w * load(source + m1 * a.source_stride);
#pragma GCC unroll 16
            for (int m2 = 0; m2 < D2; ++m2) {
                acc[(m1 - FROM) * D2 + m2] += weighted * y[m2 * stride];
            }
        }
    }
    for (int k = 0; k < N; ++k) {
        sums[FROM * D2 + k] = acc[k];
    }
}

template <typename T, int D1, int D2, int FROM = 0>
inline void outer_product(const AccumulateArgs<T> &a, int first, int last, int lane, Vec<T> *sums) {
    // as many rows at a time as there are registers for their sums
    constexpr int ROWS = MAX_ACCUMULATORS / D2 > 1 ? MAX_ACCUMULATORS / D2 : 1;
    if constexpr (FROM < D1) {
        constexpr int TO = FROM + ROWS < D1 ? FROM + ROWS : D1;
        outer_rows<T, D2, FROM, TO>(a, first, last, lane, sums);
        outer_product<T, D1, D2, TO>(a, first, last, lane, sums);
    }
}

template <typename T, int L1, int L2> void accumulate(const AccumulateArgs<T> &a) {
    constexpr int D1 = 2 * L1 + 1, D2 = 2 * L2 + 1;
    Vec<T> sums[D1 * D2];
    for (int node = 0; node < a.n_nodes; ++node) {
        const int first = a.first[node], last = a.first[node + 1];
        if (first == last) {
            continue;
        }
        for (int lane = 0; lane < LANES<T>; lane += Vector<T>::width) {
            outer_product<T, D1, D2>(a, first, last, lane, sums);
            T *dest = a.dest + node * a.dest_row + lane;
            for (int k = 0; k < a.n_coupling; ++k) {
                const Coupling<T> &c = a.coupling[k];
                T *to = dest + c.component * a.dest_stride;
                store(to, load(to) + sums[c.product] * c.value);
            }
        }
    }
}

// Registers of channels that share what is read of an edge.
constexpr int TOGETHER = 4;

// The gradients of one node's edges, for n <= TOGETHER registers of channels, the first of them
// `from`. `coupled` are the couplings applied to the gradient of the node's sums.
template <typename T, int D1, int D2>
inline void node_gradient(const GradientArgs<T> &g, int first, int last, int from, int n,
                          const Vec<T> (*coupled)[D1 * D2]) {
    constexpr int W = Vector<T>::width;
    const AccumulateArgs<T> &a = g.forward;
    const int64_t stride = a.stride;
    for (int e = first; e < last; ++e) {
        T basis[INTERVAL_ROWS], slope[INTERVAL_ROWS], y[D2];
        for (int k = 0; k < INTERVAL_ROWS; ++k) {
            basis[k] = a.basis[k * stride + e];
            slope[k] = g.slope[k * stride + e];
        }
#pragma GCC unroll 16
        for (int m2 = 0; m2 < D2; ++m2) {
            y[m2] = a.harmonics[m2 * stride + e];
        }
        const T *row = a.source + a.row[e];
        const T *knot = a.table + a.knot[e];
        T *d_row = g.d_source ? g.d_source[e] + g.from_source : nullptr;
        Vec<T> by_harmonics[D2], by_length{};
#pragma GCC unroll 16
        for (int m2 = 0; m2 < D2; ++m2) {
            by_harmonics[m2] = Vec<T>{};
        }
        for (int k = 0; k < n; ++k) {
            const int64_t channel = (from + k) * W;
            const T *table = knot + channel / LANES<T> * g.table_chunk + channel % LANES<T>;
            const Vec<T> w = spline(table, basis, 1), dw = change(table, slope, 1);
            Vec<T> weighted[D1], by_weight{};
#pragma GCC unroll 16
            for (int m1 = 0; m1 < D1; ++m1) {
                Vec<T> u = coupled[k][m1 * D2] * y[0];
#pragma GCC unroll 16
                for (int m2 = 1; m2 < D2; ++m2) {
                    u += coupled[k][m1 * D2 + m2] * y[m2];
                }
                const Vec<T> x = load(row + channel + m1 * a.source_stride);
                by_weight += x * u;
                weighted[m1] = w * x;
                if (d_row) {
                    T *to = d_row + channel + m1 * a.source_stride;
                    store(to, load(to) + w * u);
                }
            }
            if constexpr (D2 > 1) { // the harmonic of order 0 is a constant
#pragma GCC unroll 16
                for (int m2 = 0; m2 < D2; ++m2) {
#pragma GCC unroll 16
                    for (int m1 = 0; m1 < D1; ++m1) {
                        by_harmonics[m2] += weighted[m1] * coupled[k][m1 * D2 + m2];
                    }
                }
            }
            by_length += dw * by_weight;
        }
        if constexpr (D2 > 1) {
#pragma GCC unroll 16
            for (int m2 = 0; m2 < D2; ++m2) {
                T *to = g.d_harmonics + e * g.d_row + m2 * LANES<T>;
                store(to, load(to) + by_harmonics[m2]);
            }
        }
        T *d_length = g.d_length + e * g.d_row;
        store(d_length, load(d_length) + by_length);
    }
}

template <typename T, int L1, int L2> void gradient(const GradientArgs<T> &g) {
    constexpr int D1 = 2 * L1 + 1, D2 = 2 * L2 + 1, W = Vector<T>::width;
    const AccumulateArgs<T> &a = g.forward;
    const int n_registers = g.n_chunks * (LANES<T> / W);
    Vec<T> coupled[TOGETHER][D1 * D2];
    for (int node = 0; node < a.n_nodes; ++node) {
        const int first = a.first[node], last = a.first[node + 1];
        if (first == last) {
            continue;
        }
        for (int from = 0; from < n_registers; from += TOGETHER) {
            const int n = n_registers - from < TOGETHER ? n_registers - from : TOGETHER;
            for (int k = 0; k < n; ++k) {
                for (int product = 0; product < D1 * D2; ++product) {
                    coupled[k][product] = Vec<T>{};
                }
                const T *by_dest = g.gradient + node * a.dest_row + (from + k) * W;
                for (int c = 0; c < a.n_coupling; ++c) {
                    const Coupling<T> &one = a.coupling[c];
                    coupled[k][one.product] +=
                        load(by_dest + one.component * a.dest_stride) * one.value;
                }
            }
            node_gradient<T, D1, D2>(g, first, last, from, n, coupled);
        }
    }
}

template <typename T, int L1 = 0, int L2 = 0> void fill(Kernels<T> &k) {
    if constexpr (L1 <= MAX_L) {
        k.accumulate[L1][L2] = accumulate<T, L1, L2>;
        k.gradient[L1][L2] = gradient<T, L1, L2>;
        fill < T, L2 < MAX_L ? L1 : L1 + 1, L2<MAX_L ? L2 + 1 : 0>(k);
    }
}

} // namespace

template <typename T> template <simd::InstructionSet> Kernels<T> Kernels<T>::make() {
    Kernels<T> kernels;
    fill(kernels);
    return kernels;
}

template Kernels<float> Kernels<float>::make<simd::SET>();
template Kernels<double> Kernels<double>::make<simd::SET>();

} // namespace egraff::convolution
