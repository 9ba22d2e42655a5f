// SPDX-License-Identifier: GPL-2.0-or-later
//
// Nonlinearities with their derivatives, for kernel sources only.
#pragma once

#include "ops/simd/activations.h"
#include "ops/simd/vector.h"

namespace egraff::simd {

namespace { // every kernel source has its own: see instruction_set.h

template <typename T> inline Vec<T> logistic(Vec<T> x) {
    return T(1) / (T(1) + exponential<T>(-x));
}

inline float log1p_exp_minus(float x) { return __builtin_log1pf(__builtin_expf(-x)); }
inline double log1p_exp_minus(double x) { return __builtin_log1p(__builtin_exp(-x)); }
inline float error_function(float x) { return __builtin_erff(x); }
inline double error_function(double x) { return __builtin_erf(x); }

// Value and derivative at one register of numbers.
template <typename T, Activation KIND>
inline void activated(Vec<T> x, Vec<T> &value, Vec<T> &slope) {
    if constexpr (KIND == Activation::SILU) {
        const Vec<T> s = logistic<T>(x);
        value = x * s;
        slope = s + value * (T(1) - s);
    } else if constexpr (KIND == Activation::SIGMOID) {
        value = logistic<T>(x);
        slope = value * (T(1) - value);
    } else if constexpr (KIND == Activation::TANH) {
        value = T(2) * logistic<T>(x + x) - T(1);
        slope = T(1) - value * value;
    } else if constexpr (KIND == Activation::MISH) {
        // x tanh(ln(1 + e^x)); beyond the limit the hyperbolic tangent is one
        const Vec<T> e = exponential<T>(clamp<T>(x, T(-40), T(40)));
        const Vec<T> n = e * (e + T(2));
        const Vec<T> t = n / (n + T(2));
        value = x * t;
        slope = t + x * (T(1) - t * t) * logistic<T>(x);
    } else if constexpr (KIND == Activation::GELU) {
        const T density = T(0.3989422804014327);
        slope = x * density * exponential<T>(T(-0.5) * x * x);
        for (int lane = 0; lane < Vector<T>::width; ++lane) {
            const T below = T(0.5) * (T(1) + error_function(x[lane] * T(0.7071067811865476)));
            value[lane] = x[lane] * below;
            slope[lane] += below;
        }
    } else {
        // beyond 20, torch's softplus is a straight line
        slope = x > T(20) ? broadcast(T(1)) : logistic<T>(x);
        for (int lane = 0; lane < Vector<T>::width; ++lane) {
            const T at = x[lane], size = at < T(0) ? -at : at;
            const T rest = at > T(20) ? T(0) : log1p_exp_minus(size);
            value[lane] = (at < T(0) ? T(0) : at) + rest - T(0.6931471805599453);
        }
    }
}

template <Activation KIND> struct ActivationKind {
    static constexpr Activation value = KIND;
};

// Calls `use` with the ActivationKind, so that its loop has no branches.
template <typename Use> inline void with_activation(Activation kind, const Use &use) {
    switch (kind) {
    case Activation::SILU:
        return use(ActivationKind<Activation::SILU>{});
    case Activation::TANH:
        return use(ActivationKind<Activation::TANH>{});
    case Activation::MISH:
        return use(ActivationKind<Activation::MISH>{});
    case Activation::GELU:
        return use(ActivationKind<Activation::GELU>{});
    case Activation::SSP:
        return use(ActivationKind<Activation::SSP>{});
    case Activation::SIGMOID:
        return use(ActivationKind<Activation::SIGMOID>{});
    }
}

} // namespace

} // namespace egraff::simd
