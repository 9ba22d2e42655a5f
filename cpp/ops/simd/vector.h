// SPDX-License-Identifier: GPL-2.0-or-later
//
// Registers of numbers, for kernel sources only.
#pragma once

#include "ops/simd/instruction_set.h"

#include <cstdint>

namespace egraff::simd {

namespace { // every kernel source has its own: see instruction_set.h

template <typename T> struct Vector {
    typedef T type __attribute__((vector_size(EGRAFF_VECTOR_BYTES), aligned(sizeof(T)), may_alias));
    static constexpr int width = EGRAFF_VECTOR_BYTES / sizeof(T);
};

template <typename T> using Vec = typename Vector<T>::type;

template <typename T> inline Vec<T> load(const T *from) {
    return *reinterpret_cast<const Vec<T> *>(from);
}

template <typename T> inline void store(T *to, Vec<T> value) {
    *reinterpret_cast<Vec<T> *>(to) = value;
}

// Minus zero, unlike plus zero, leaves every number as it is, so that nothing is added.
template <typename T> inline Vec<T> broadcast(T x) { return x - Vec<T>{}; }

// ---- sums over lanes ---------------------------------------------------------------------------

template <int... I> struct Lanes {};
template <int N, int... I> struct MakeLanes : MakeLanes<N - 1, N - 1, I...> {};
template <int... I> struct MakeLanes<0, I...> {
    using type = Lanes<I...>;
};
template <typename T> using AllLanes = typename MakeLanes<Vector<T>::width>::type;

template <typename T, int STEP, int... I> inline Vec<T> swap_lanes(Vec<T> v, Lanes<I...>) {
    return __builtin_shufflevector(v, v, (I ^ STEP)...);
}

// The sum over each run of N lanes, a power of two, in all lanes of the run.
template <typename T, int N> inline Vec<T> sum_runs(Vec<T> v) {
    if constexpr (N > 1) {
        v = sum_runs<T, N / 2>(v);
        v += swap_lanes<T, N / 2>(v, AllLanes<T>{});
    }
    return v;
}

// in order, from the first lane on
template <typename T> inline T sum_of(Vec<T> v) {
    T total = T(0);
    for (int k = 0; k < Vector<T>::width; ++k) {
        total += v[k];
    }
    return total;
}

// number k of `from` in all lanes of the k-th run of N lanes
template <typename T, int N, int... I> inline Vec<T> spread_lanes(Vec<T> v, Lanes<I...>) {
    return __builtin_shufflevector(v, v, (I / N)...);
}

template <typename T, int N> inline Vec<T> spread_runs(const T *from) {
    if constexpr (N == Vector<T>::width) {
        return broadcast(from[0]);
    } else {
        return spread_lanes<T, N>(load(from), AllLanes<T>{});
    }
}

// ---- exponential -------------------------------------------------------------------------------

// exp x = 2^n exp r with n the whole number nearest to x / ln 2. Adding 1.5 times the power of two
// at which the last bit of a number is worth one rounds to n, and leaves n in the last bits.
template <typename T> struct Exponential;
template <> struct Exponential<float> {
    typedef int32_t bits __attribute__((vector_size(EGRAFF_VECTOR_BYTES)));
    static constexpr float round = 12582912.0f, limit = 87.0f;
    static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    static constexpr int mantissa = 23, one = 0x3f800000, degree = 7;
};
template <> struct Exponential<double> {
    typedef int64_t bits __attribute__((vector_size(EGRAFF_VECTOR_BYTES)));
    static constexpr double round = 6755399441055744.0, limit = 708.0;
    static constexpr double ln2_high = 0.693145751953125, ln2_low = 1.42860682030941723e-6;
    static constexpr int mantissa = 52, degree = 13;
    static constexpr int64_t one = 0x3ff0000000000000;
};

template <typename T> inline Vec<T> clamp(Vec<T> x, T lower, T upper) {
    x = x < lower ? broadcast(lower) : x;
    return x > upper ? broadcast(upper) : x;
}

// Within rounding of exp x; x beyond the range of the type is taken as its end.
template <typename T> inline Vec<T> exponential(Vec<T> x) {
    using E = Exponential<T>;
    x = clamp<T>(x, -E::limit, E::limit);
    const Vec<T> shifted = x * T(1.4426950408889634) + E::round;
    const Vec<T> n = shifted - E::round;
    const Vec<T> r = (x - n * E::ln2_high) - n * E::ln2_low;
    Vec<T> sum = broadcast(T(1)); // Taylor: |r| is at most ln 2 / 2
#pragma GCC unroll 16
    for (int k = E::degree; k > 0; --k) {
        sum = T(1) + sum * r * (T(1) / T(k));
    }
    const auto power = (reinterpret_cast<typename E::bits>(shifted) << E::mantissa) + E::one;
    return sum * reinterpret_cast<Vec<T>>(power);
}

// How many sums an inner loop holds in registers, what it reads beside them.
constexpr int MAX_ACCUMULATORS = EGRAFF_VECTOR_BYTES == 64 ? 28 : 12;

} // namespace

} // namespace egraff::simd
