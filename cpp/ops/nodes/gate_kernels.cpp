// SPDX-License-Identifier: GPL-2.0-or-later
#include "ops/nodes/gate_kernels.h"

#include "ops/simd/activation_kernels.h"

namespace egraff::gate {

namespace {

using namespace simd;

// The first n numbers, the others zero.
template <typename T> inline Vec<T> load_first(const T *from, int64_t n) {
    if (n >= Vector<T>::width) {
        return load(from);
    }
    Vec<T> v{};
    for (int64_t lane = 0; lane < n; ++lane) {
        v[lane] = from[lane];
    }
    return v;
}

template <typename T> inline void store_first(T *to, Vec<T> v, int64_t n) {
    if (n >= Vector<T>::width) {
        return store(to, v);
    }
    for (int64_t lane = 0; lane < n; ++lane) {
        to[lane] = v[lane];
    }
}

template <typename T, Activation KIND>
void forward_block(const ForwardArgs<T> &a, const Block<T> &b) {
    for (int64_t node = 0; node < a.n_nodes; ++node) {
        const T *row = a.x + node * a.width_in;
        const T *x = row + b.start_in;
        const T *argument = b.gate == NO_GATE ? x : row + b.gate;
        T *to = a.result + node * a.width_out + b.start_out;
        for (int64_t c = 0; c < b.channels; c += Vector<T>::width) {
            const int64_t left = b.channels - c;
            Vec<T> value, slope;
            activated<T, KIND>(load_first(argument + c, left), value, slope);
            value *= b.factor;
            if (b.gate == NO_GATE) {
                store_first(to + c, value, left);
                continue;
            }
            for (int64_t m = 0; m < b.dim; ++m) {
                const int64_t at = m * b.channels + c;
                store_first(to + at, load_first(x + at, left) * value, left);
            }
        }
    }
}

template <typename T, Activation KIND>
void backward_block(const BackwardArgs<T> &a, const Block<T> &b) {
    for (int64_t node = 0; node < a.n_nodes; ++node) {
        const T *row = a.x + node * a.width_in;
        const T *x = row + b.start_in;
        const T *argument = b.gate == NO_GATE ? x : row + b.gate;
        const T *g = a.gradient + node * a.width_out + b.start_out;
        T *d_row = a.d_x + node * a.width_in;
        T *d_x = d_row + b.start_in;
        for (int64_t c = 0; c < b.channels; c += Vector<T>::width) {
            const int64_t left = b.channels - c;
            Vec<T> value, slope;
            activated<T, KIND>(load_first(argument + c, left), value, slope);
            value *= b.factor;
            slope *= b.factor;
            if (b.gate == NO_GATE) {
                store_first(d_x + c, load_first(g + c, left) * slope, left);
                continue;
            }
            Vec<T> by_gate{};
            for (int64_t m = 0; m < b.dim; ++m) {
                const int64_t at = m * b.channels + c;
                const Vec<T> by_result = load_first(g + at, left);
                by_gate += by_result * load_first(x + at, left);
                store_first(d_x + at, by_result * value, left);
            }
            store_first(d_row + b.gate + c, by_gate * slope, left);
        }
    }
}

template <typename T> void forward(const ForwardArgs<T> &a) {
    for (int64_t k = 0; k < a.n_blocks; ++k) {
        with_activation(a.blocks[k].activation, [&](auto kind) {
            forward_block<T, decltype(kind)::value>(a, a.blocks[k]);
        });
    }
}

template <typename T> void backward(const BackwardArgs<T> &a) {
    for (int64_t k = 0; k < a.n_blocks; ++k) {
        with_activation(a.blocks[k].activation, [&](auto kind) {
            backward_block<T, decltype(kind)::value>(a, a.blocks[k]);
        });
    }
}

} // namespace

template <typename T> template <simd::InstructionSet> Kernels<T> Kernels<T>::make() {
    return {gate::forward<T>, gate::backward<T>};
}

template Kernels<float> Kernels<float>::make<simd::SET>();
template Kernels<double> Kernels<double>::make<simd::SET>();

} // namespace egraff::gate
