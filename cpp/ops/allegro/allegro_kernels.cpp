// SPDX-License-Identifier: GPL-2.0-or-later
//
// Environments and products of tensors.
//
// The environment is the same for all edges of a centre. So are the products' path weights and
// Clebsch-Gordan coefficients; all of them together are one small matrix for each centre and
// channel, which maps the tensor of an edge to the product.
#include "ops/allegro/allegro_kernels.h"

#include "ops/simd/activation_kernels.h"

namespace egraff::allegro {

namespace {

using namespace simd;

// environment[m] = sum over edges of weights[group of m] * harmonics[m], one vector of channels
template <typename T>
inline void sum_environment(const ProductArgs<T> &a, int first, int last, int lane,
                            T *environment) {
    for (int m = 0; m < a.n_harmonics; ++m) {
        const T *y = a.harmonics + m * static_cast<int64_t>(a.stride);
        const T *w = a.weights + a.weight_group[m] * a.channels + lane;
        Vec<T> even{}, odd{};
        int e = first;
        for (; e + 1 < last; e += 2) {
            even += load(w + e * a.weights_row) * y[e];
            odd += load(w + (e + 1) * a.weights_row) * y[e + 1];
        }
        if (e < last) {
            even += load(w + e * a.weights_row) * y[e];
        }
        store(environment + m * a.channels + lane, even + odd);
    }
}

// matrix[k] = sum of terms, in vectors side by side
template <typename T>
inline void make_matrix(const ProductArgs<T> &a, const T *environment, int lane, T *matrix) {
    constexpr int W = Vector<T>::width;
    for (int k = 0; k < a.n_matrix; ++k) {
        store(matrix + k * W, Vec<T>{});
    }
    for (int t = 0; t < a.n_terms; ++t) {
        const Term term = a.terms[t];
        T *to = matrix + term.matrix * W;
        store(to, load(to) + load(a.term_weights + t * static_cast<int64_t>(a.channels) + lane) *
                                 load(environment + term.harmonic * a.channels + lane));
    }
}

// out[e][to] (+)= sum over entries of matrix * in[e][from], for EDGES edges side by side
template <typename T, int EDGES>
inline void apply_edges(const Entry *entries, int n_entries, int dim, const T *matrix, const T *in,
                        int64_t in_row, int64_t in_component, T *out, int64_t out_row,
                        int64_t out_component, bool add) {
    constexpr int W = Vector<T>::width;
    int k = 0;
    for (int to = 0; to < dim; ++to) {
        Vec<T> sums[EDGES] = {};
        for (; k < n_entries && entries[k].to == to; ++k) {
            const Vec<T> factor = load(matrix + entries[k].matrix * W);
            const T *from = in + entries[k].from * in_component;
#pragma GCC unroll 8
            for (int e = 0; e < EDGES; ++e) {
                sums[e] += factor * load(from + e * in_row);
            }
        }
        T *dest = out + to * out_component;
#pragma GCC unroll 8
        for (int e = 0; e < EDGES; ++e) {
            store(dest + e * out_row, add ? load(dest + e * out_row) + sums[e] : sums[e]);
        }
    }
}

template <typename T, int EDGES = (MAX_ACCUMULATORS >= 24 ? 8 : 4)>
inline void apply(const Entry *entries, int n_entries, int dim, const T *matrix, int n_edges,
                  const T *in, int64_t in_row, int64_t in_component, T *out, int64_t out_row,
                  int64_t out_component, bool add) {
    for (; n_edges >= EDGES; n_edges -= EDGES, in += EDGES * in_row, out += EDGES * out_row) {
        apply_edges<T, EDGES>(entries, n_entries, dim, matrix, in, in_row, in_component, out,
                              out_row, out_component, add);
    }
    if constexpr (EDGES > 1) {
        apply<T, EDGES / 2>(entries, n_entries, dim, matrix, n_edges, in, in_row, in_component, out,
                            out_row, out_component, add);
    }
}

// A tensor of every edge of a centre: one vector of channels of each component.
template <typename T> struct EdgeTensors {
    const T *rows; // of the first edge
    int64_t row, component;
};

// The tensors that a layer reads, made in `scratch` where they are harmonics times weights.
template <typename T>
inline EdgeTensors<T> tensors_in(const ProductArgs<T> &a, int first, int last, int lane,
                                 T *scratch) {
    constexpr int W = Vector<T>::width;
    if (!a.in_is_weights) {
        return {a.in + first * a.in_row + lane, a.in_row, a.channels};
    }
    const int64_t row = static_cast<int64_t>(a.dim_in) * W;
    for (int e = first; e < last; ++e) {
        const T *w = a.in + e * a.in_row + lane;
        T *to = scratch + (e - first) * row;
        for (int m = 0; m < a.n_harmonics; ++m) {
            store(to + m * W, load(w + a.harmonics_group[m] * a.channels) *
                                  a.harmonics[m * static_cast<int64_t>(a.stride) + e]);
        }
    }
    return {scratch, row, W};
}

template <typename T> void product_forward(const ProductArgs<T> &a) {
    constexpr int W = Vector<T>::width;
    for (int node = 0; node < a.n_nodes; ++node) {
        const int first = a.first[node], last = a.first[node + 1];
        if (first == last) {
            continue;
        }
        T *environment = a.environment + static_cast<int64_t>(node) * a.n_harmonics * a.channels;
        T *matrix = a.scratch, *scratch = a.scratch + a.n_matrix * W;
        for (int lane = 0; lane < a.channels; lane += W) {
            sum_environment(a, first, last, lane, environment);
            make_matrix(a, environment, lane, matrix);
            const EdgeTensors<T> in = tensors_in(a, first, last, lane, scratch);
            apply<T>(a.by_output, a.n_matrix, a.dim_out, matrix, last - first, in.rows, in.row,
                     in.component, a.out + first * a.out_row + lane, a.out_row, a.channels, false);
        }
    }
}

// d_matrix = sum over edges of in (x) d_out; entries with the same component of d_out share it
template <typename T>
inline void matrix_gradient(const ProductArgs<T> &a, int n_edges, const EdgeTensors<T> &in,
                            const T *d_out, T *d_matrix) {
    constexpr int W = Vector<T>::width;
    for (int k = 0; k < a.n_matrix;) {
        const int to = a.by_output[k].to;
        const T *by = d_out + static_cast<int64_t>(to) * a.channels;
        // four at a time; where fewer are left, the last ones are made again
        const Entry *entry = a.by_output + k;
        int count = 1;
        while (count < 4 && k + count < a.n_matrix && entry[count].to == to) {
            ++count;
        }
        const T *from[4];
        for (int j = 0; j < 4; ++j) {
            from[j] = in.rows + entry[j < count ? j : count - 1].from * in.component;
        }
        Vec<T> sums[4] = {};
        for (int e = 0; e < n_edges; ++e) {
            const Vec<T> d = load(by + e * a.out_row);
#pragma GCC unroll 4
            for (int j = 0; j < 4; ++j) {
                sums[j] += d * load(from[j] + e * in.row);
            }
        }
        for (int j = 0; j < count; ++j) {
            store(d_matrix + entry[j].matrix * W, sums[j]);
        }
        k += count;
    }
}

template <typename T>
inline void environment_gradient(const ProductArgs<T> &a, int lane, const T *d_matrix,
                                 T *d_environment) {
    constexpr int W = Vector<T>::width;
    for (int m = 0; m < a.n_harmonics; ++m) {
        store(d_environment + m * W, Vec<T>{});
    }
    for (int t = 0; t < a.n_terms; ++t) {
        const Term term = a.terms[t];
        T *to = d_environment + term.harmonic * W;
        store(to, load(to) + load(a.term_weights + t * static_cast<int64_t>(a.channels) + lane) *
                                 load(d_matrix + term.matrix * W));
    }
}

// Derivatives of harmonics times weights, given that by the product, d[edge][harmonic]:
// d_weights[group] is set, d_harmonics is added to.
template <typename T>
inline void weighted_gradient(const ProductArgs<T> &a, int first, int last, int lane,
                              const int32_t *group, const T *weights, int64_t weights_row,
                              const T *d, int64_t d_row, T *d_weights) {
    constexpr int W = Vector<T>::width;
    for (int e = first; e < last; ++e, d += d_row) {
        const T *y = a.harmonics + e, *w = weights + e * weights_row + lane;
        T *d_w = d_weights + e * weights_row + lane;
        T *d_y =
            a.d_harmonics + static_cast<int64_t>(e) * a.n_harmonics * LANES<T> + lane % LANES<T>;
        for (int m = 0; m < a.n_harmonics;) {
            const int g = group[m];
            const Vec<T> weight = load(w + g * a.channels);
            Vec<T> sum{};
            for (; m < a.n_harmonics && group[m] == g; ++m) {
                const Vec<T> by = load(d + m * W);
                sum += by * y[m * static_cast<int64_t>(a.stride)];
                store(d_y + m * LANES<T>, load(d_y + m * LANES<T>) + by * weight);
            }
            store(d_w + g * a.channels, sum);
        }
    }
}

template <typename T> void product_backward(const ProductArgs<T> &a) {
    constexpr int W = Vector<T>::width;
    for (int node = 0; node < a.n_nodes; ++node) {
        const int first = a.first[node], last = a.first[node + 1], n = last - first;
        if (first == last) {
            continue;
        }
        T *environment = a.environment + static_cast<int64_t>(node) * a.n_harmonics * a.channels;
        T *matrix = a.scratch, *d_matrix = matrix + a.n_matrix * W;
        T *d_environment = d_matrix + a.n_matrix * W;
        T *scratch = d_environment + a.n_harmonics * W;
        T *d_scratch = scratch + static_cast<int64_t>(n) * a.dim_in * W;
        for (int lane = 0; lane < a.channels; lane += W) {
            make_matrix(a, environment, lane, matrix);
            const EdgeTensors<T> in = tensors_in(a, first, last, lane, scratch);
            const T *d_out = a.d_out + first * a.out_row + lane;
            matrix_gradient(a, n, in, d_out, d_matrix);
            environment_gradient(a, lane, d_matrix, d_environment);
            // the gradient of the environment is the same for each of its edges
            weighted_gradient(a, first, last, lane, a.weight_group, a.weights, a.weights_row,
                              d_environment, 0, a.d_weights);
            if (!a.in_is_weights) {
                apply<T>(a.by_input, a.n_matrix, a.dim_in, matrix, n, d_out, a.out_row, a.channels,
                         a.d_in + first * a.in_row + lane, a.in_row, a.channels, a.add_d_in);
                continue;
            }
            const int64_t row = static_cast<int64_t>(a.dim_in) * W;
            apply<T>(a.by_input, a.n_matrix, a.dim_in, matrix, n, d_out, a.out_row, a.channels,
                     d_scratch, row, W, false);
            weighted_gradient(a, first, last, lane, a.harmonics_group, a.in, a.in_row, d_scratch,
                              row, a.d_in);
        }
    }
}

template <typename T> void multiply(const T *factor, int64_t n, const T *from, T *to) {
    for (int64_t k = 0; k < n; k += Vector<T>::width) {
        store(to + k, load(factor + k) * load(from + k));
    }
}

template <typename T> void activate(const ActivationArgs<T> &a) {
    with_activation(a.activation, [&](auto kind) {
        for (int64_t k = 0; k < a.n; k += Vector<T>::width) {
            Vec<T> value, slope;
            activated<T, decltype(kind)::value>(load(a.before + k), value, slope);
            store(a.after + k, value);
            store(a.before + k, slope);
        }
    });
}

} // namespace

template <typename T> template <simd::InstructionSet> Kernels<T> Kernels<T>::make() {
    return {allegro::activate<T>, allegro::multiply<T>, allegro::product_forward<T>,
            allegro::product_backward<T>};
}

template Kernels<float> Kernels<float>::make<simd::SET>();
template Kernels<double> Kernels<double>::make<simd::SET>();

} // namespace egraff::allegro
