// SPDX-License-Identifier: GPL-2.0-or-later
//
// Depth-wise products of egraff::graph_attention and their sums over edges.
#include "ops/graph_attention/graph_attention_kernels.h"

#include "ops/simd/activation_kernels.h"

namespace egraff::graph {

namespace {

using namespace simd;

// Derivatives by the entries of an edge's matrix become derivatives by its harmonics.
template <typename T>
inline void add_by_harmonics(const PathMatrix<T> &path, int edge, const Vec<T> *d_matrix) {
    T *to = path.d_harmonics + edge * path.d_row;
    for (int k = 0; k < path.n_terms; ++k) {
        const Term<T> &term = path.terms[k];
        T *at = to + term.harmonic * LANES<T>;
        store(at, load(at) + d_matrix[term.entry] * term.value);
    }
}

template <typename T, int D1, int D3> void product_forward(const ProductArgs<T> &a) {
    const int64_t stride = a.path.stride;
    for (int e = 0; e < a.n_edges; ++e) {
        const T *matrix = a.path.matrix + e;
        for (int c = 0; c < a.channels; c += Vector<T>::width) {
            const T *in = a.in + e * a.in_row + c;
            const Vec<T> weight = load(a.weight + e * a.weight_row + c);
            Vec<T> sums[D3] = {};
#pragma GCC unroll 8
            for (int m = 0; m < D1; ++m) {
                const Vec<T> x = weight * load(in + m * a.in_step);
#pragma GCC unroll 8
                for (int k = 0; k < D3; ++k) {
                    sums[k] += x * matrix[(m * D3 + k) * stride];
                }
            }
            T *out = a.out + e * a.out_row + c;
#pragma GCC unroll 8
            for (int k = 0; k < D3; ++k) {
                store(out + k * a.out_step, sums[k]);
            }
        }
    }
}

template <typename T, int D1, int D3> void product_backward(const ProductArgs<T> &a) {
    const int64_t stride = a.path.stride;
    for (int e = 0; e < a.n_edges; ++e) {
        const T *matrix = a.path.matrix + e;
        Vec<T> d_matrix[D1 * D3] = {};
        for (int c = 0; c < a.channels; c += Vector<T>::width) {
            const T *in = a.in + e * a.in_row + c, *by = a.out + e * a.out_row + c;
            T *d_in = a.d_in + e * a.in_row + c;
            const Vec<T> weight = load(a.weight + e * a.weight_row + c);
            Vec<T> d_out[D3];
#pragma GCC unroll 8
            for (int k = 0; k < D3; ++k) {
                d_out[k] = load(by + k * a.out_step);
            }
            Vec<T> d_weight{};
#pragma GCC unroll 8
            for (int m = 0; m < D1; ++m) {
                const Vec<T> x = load(in + m * a.in_step);
                const Vec<T> weighted = weight * x;
                Vec<T> back{};
#pragma GCC unroll 8
                for (int k = 0; k < D3; ++k) {
                    back += d_out[k] * matrix[(m * D3 + k) * stride];
                    d_matrix[m * D3 + k] += weighted * d_out[k];
                }
                d_weight += back * x;
                store(d_in + m * a.in_step, load(d_in + m * a.in_step) + weight * back);
            }
            store(a.d_weight + e * a.weight_row + c, d_weight);
        }
        add_by_harmonics(a.path, e, d_matrix);
    }
}

// Heads first to first + HEADS.
template <typename T, int D1, int D3, int HEADS>
inline void value_sums(const ValueArgs<T> &a, int head) {
    const int64_t stride = a.path.stride;
    for (int node = 0; node < a.n_nodes; ++node) {
        for (int c = 0; c < a.channels; c += Vector<T>::width) {
            Vec<T> sums[HEADS * D3] = {};
            for (int e = a.first[node]; e < a.first[node + 1]; ++e) {
                const T *matrix = a.path.matrix + e;
                const T *in = a.in + e * a.in_row + c, *alpha = a.alpha + e * a.n_heads + head;
                Vec<T> product[D3] = {};
#pragma GCC unroll 8
                for (int m = 0; m < D1; ++m) {
                    const Vec<T> x = load(in + m * a.in_step);
#pragma GCC unroll 8
                    for (int k = 0; k < D3; ++k) {
                        product[k] += x * matrix[(m * D3 + k) * stride];
                    }
                }
#pragma GCC unroll 4
                for (int h = 0; h < HEADS; ++h) {
#pragma GCC unroll 8
                    for (int k = 0; k < D3; ++k) {
                        sums[h * D3 + k] += product[k] * alpha[h];
                    }
                }
            }
            T *to = a.sums + head * a.head_step + node * a.node_step + c;
            for (int h = 0; h < HEADS; ++h) {
                for (int k = 0; k < D3; ++k) {
                    store(to + h * a.head_step + k * a.out_step, sums[h * D3 + k]);
                }
            }
        }
    }
}

template <typename T, int D1, int D3> void value_forward(const ValueArgs<T> &a) {
    // as many heads at a time as there are registers for their sums
    constexpr int HEADS = 4 * D3 <= MAX_ACCUMULATORS ? 4 : 2;
    int head = 0;
    for (; head + HEADS <= a.n_heads; head += HEADS) {
        value_sums<T, D1, D3, HEADS>(a, head);
    }
    for (; head < a.n_heads; ++head) {
        value_sums<T, D1, D3, 1>(a, head);
    }
}

template <typename T, int D1, int D3> void value_backward(const ValueArgs<T> &a) {
    const int64_t stride = a.path.stride;
    for (int node = 0; node < a.n_nodes; ++node) {
        for (int e = a.first[node]; e < a.first[node + 1]; ++e) {
            const T *matrix = a.path.matrix + e, *alpha = a.alpha + e * a.n_heads;
            Vec<T> d_matrix[D1 * D3] = {};
            for (int c = 0; c < a.channels; c += Vector<T>::width) {
                const T *in = a.in + e * a.in_row + c;
                T *d_in = a.d_in + e * a.in_row + c;
                Vec<T> product[D3] = {}, d_product[D3] = {};
#pragma GCC unroll 8
                for (int m = 0; m < D1; ++m) {
                    const Vec<T> x = load(in + m * a.in_step);
#pragma GCC unroll 8
                    for (int k = 0; k < D3; ++k) {
                        product[k] += x * matrix[(m * D3 + k) * stride];
                    }
                }
                const T *by = a.sums + node * a.node_step + c;
                T *d_alpha = a.d_alpha + e * a.n_heads * LANES<T>;
                for (int h = 0; h < a.n_heads; ++h, by += a.head_step, d_alpha += LANES<T>) {
                    Vec<T> along = load(d_alpha);
                    const T weight = alpha[h];
#pragma GCC unroll 8
                    for (int k = 0; k < D3; ++k) {
                        const Vec<T> d_sum = load(by + k * a.out_step);
                        along += product[k] * d_sum;
                        d_product[k] += d_sum * weight;
                    }
                    store(d_alpha, along);
                }
#pragma GCC unroll 8
                for (int m = 0; m < D1; ++m) {
                    const Vec<T> x = load(in + m * a.in_step);
                    Vec<T> back = load(d_in + m * a.in_step);
#pragma GCC unroll 8
                    for (int k = 0; k < D3; ++k) {
                        back += d_product[k] * matrix[(m * D3 + k) * stride];
                        d_matrix[m * D3 + k] += x * d_product[k];
                    }
                    store(d_in + m * a.in_step, back);
                }
            }
            add_by_harmonics(a.path, e, d_matrix);
        }
    }
}

// ---- scores and gates --------------------------------------------------------------------------

// The smooth leaky ReLU, x/2 (1 + a + (1 - a) tanh(x/2)), and its derivative.
template <typename T> inline Vec<T> smooth_leaky_relu(Vec<T> x, T a, Vec<T> &slope) {
    const Vec<T> t = T(1) - T(2) / (T(1) + exponential<T>(x));
    const Vec<T> factor = T(0.5) * (T(1) + a + (T(1) - a) * t);
    slope = factor + T(0.25) * (T(1) - a) * x * (T(1) - t * t);
    return x * factor;
}

template <typename T> void gate_forward(const GateArgs<T> &a) {
    constexpr int W = Vector<T>::width;
    for (int e = 0; e < a.n_edges; ++e) {
        T *scalar = a.scalars + e * a.scalars_row, *out = a.out + e * a.out_row;
        const T *direction = a.direction;
        for (int h = 0; h < a.n_heads; ++h) {
            Vec<T> total{};
            for (int c = 0; c < a.n_scores; c += W, scalar += W, direction += W) {
                Vec<T> slope;
                const Vec<T> along = load(direction);
                total += along * smooth_leaky_relu<T>(load(scalar), a.negative_slope, slope);
                store(scalar, along * slope);
            }
            a.score[e * a.n_heads + h] = sum_runs<T, W>(total)[0];
        }
        for (int c = 0; c < a.n_scalars; c += W, scalar += W) {
            const Vec<T> x = load(scalar), s = T(1) / (T(1) + exponential<T>(-x));
            store(out + c, x * s);
            store(scalar, s * (T(1) + x * (T(1) - s)));
        }
        for (int b = 0; b < a.n_blocks; ++b) {
            const GatedBlock<T> &block = a.blocks[b];
            const T *in = block.in + int64_t(e) * block.dim * block.channels;
            for (int c = 0; c < block.channels; c += W, scalar += W) {
                const Vec<T> s = T(1) / (T(1) + exponential<T>(-load(scalar)));
                store(scalar, s);
                for (int m = 0; m < block.dim; ++m) {
                    const int64_t k = m * block.channels + c;
                    store(out + block.out + k, s * load(in + k));
                }
            }
        }
    }
}

template <typename T> void gate_backward(const GateArgs<T> &a) {
    constexpr int W = Vector<T>::width;
    for (int e = 0; e < a.n_edges; ++e) {
        T *scalar = a.scalars + e * a.scalars_row;
        const T *by = a.out + e * a.out_row;
        for (int h = 0; h < a.n_heads; ++h) {
            const T by_score = a.score[e * a.n_heads + h];
            for (int c = 0; c < a.n_scores; c += W, scalar += W) {
                store(scalar, load(scalar) * by_score);
            }
        }
        for (int c = 0; c < a.n_scalars; c += W, scalar += W) {
            store(scalar, load(scalar) * load(by + c));
        }
        for (int b = 0; b < a.n_blocks; ++b) {
            const GatedBlock<T> &block = a.blocks[b];
            T *in = block.in + int64_t(e) * block.dim * block.channels;
            for (int c = 0; c < block.channels; c += W, scalar += W) {
                const Vec<T> s = load(scalar);
                Vec<T> total{};
                for (int m = 0; m < block.dim; ++m) {
                    const int64_t k = m * block.channels + c;
                    const Vec<T> d = load(by + block.out + k);
                    total += d * load(in + k);
                    store(in + k, d * s);
                }
                store(scalar, total * s * (T(1) - s));
            }
        }
    }
}

template <typename T> void add_rows(const T *a, const T *b, int64_t n, T *to) {
    for (int64_t k = 0; k < n; k += Vector<T>::width) {
        store(to + k, load(a + k) + load(b + k));
    }
}

template <typename T, int L1 = 0, int L3 = 0> void fill(Kernels<T> &k) {
    if constexpr (L1 <= MAX_L) {
        constexpr int D1 = 2 * L1 + 1, D3 = 2 * L3 + 1;
        k.product_forward[L1][L3] = product_forward<T, D1, D3>;
        k.product_backward[L1][L3] = product_backward<T, D1, D3>;
        k.value_forward[L1][L3] = value_forward<T, D1, D3>;
        k.value_backward[L1][L3] = value_backward<T, D1, D3>;
        fill < T, L3 < MAX_L ? L1 : L1 + 1, L3<MAX_L ? L3 + 1 : 0>(k);
    }
}

} // namespace

template <typename T> template <simd::InstructionSet> Kernels<T> Kernels<T>::make() {
    Kernels<T> kernels;
    fill(kernels);
    kernels.gate_forward = graph::gate_forward<T>;
    kernels.gate_backward = graph::gate_backward<T>;
    kernels.add = add_rows<T>;
    return kernels;
}

template Kernels<float> Kernels<float>::make<simd::SET>();
template Kernels<double> Kernels<double>::make<simd::SET>();

} // namespace egraff::graph
