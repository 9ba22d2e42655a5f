// SPDX-License-Identifier: GPL-2.0-or-later
//
// Lengths, spline bases and spherical harmonics of a block of edges; one edge per vector lane.
//
// Real harmonics in e3nn's convention (polar axis y), for a unit vector (x, y, z):
//   Y_l,+m = N_lm P_l^(m)(y) c_m,  Y_l,-m = N_lm P_l^(m)(y) s_m,  c_m + i s_m = (z + i x)^m,
// with P_l^(m) the m-th derivative of the Legendre polynomial.
#include "ops/edges/geometry_kernels.h"

#include "ops/simd/vector.h"

namespace egraff::edges {

namespace {

using namespace simd;

inline float square_root(float x) { return __builtin_sqrtf(x); }
inline double square_root(double x) { return __builtin_sqrt(x); }

inline int triangle(int l, int m) { return l * (l + 1) / 2 + m; }

// Where the lengths lie on the grid of the table. In float64: a position in float32 is off by a
// part of the whole cutoff, and where forces change fast that is what they would be off by. One
// step of Newton's method brings `length` there, for less than another square root.
template <typename T> void place(const GeometryArgs<T> &a, const T *__restrict length, int n) {
    constexpr int TILE = LANES<T>;
    const T *__restrict vx = a.vec, *__restrict vy = vx + a.stride, *__restrict vz = vy + a.stride;
    const T *__restrict inverses = a.inverse_length;
    const double start = a.grid.start, last = a.n_intervals - 1.0;
    const double per_scale = a.n_intervals / (1.0 - start);
    for (int first = 0; first < n; first += TILE) {
        double position[TILE], density[TILE];
        for (int e = 0; e < TILE; ++e) {
            const double scale = a.scale[first + e];
            const double x = vx[first + e], y = vy[first + e], z = vz[first + e];
            const double r = length[first + e], inverse = inverses[first + e];
            position[e] = (r + 0.5 * inverse * (x * x + y * y + z * z - r * r)) * scale;
            density[e] = per_scale * scale;
        }
        if (a.grid.exponential != 0.0) {
            for (int e = 0; e < TILE; e += Vector<double>::width) {
                const Vec<double> x = load(position + e);
                const Vec<double> decayed =
                    a.grid.exponential * exponential<double>(-GRID_DECAY * x);
                store(position + e, a.grid.offset + a.grid.linear * x - decayed);
                store(density + e, load(density + e) * (a.grid.linear + GRID_DECAY * decayed));
            }
        }
        for (int e = 0; e < TILE; ++e) {
            const double u = (position[e] - start) * per_scale;
            const double clamped = u < last ? u : last;
            const double k = static_cast<int32_t>(clamped > 0.0 ? clamped : 0.0);
            a.interval[first + e] = static_cast<T>(k < a.grid.kink ? k : k + 1.0);
            a.offset[first + e] = static_cast<T>(u - k);
            a.inside[first + e] = position[e] < 1.0 ? T(1) : T(0);
            a.density[first + e] = static_cast<T>(density[e]);
        }
    }
}

// What multiplies the numbers of an interval (TableRow) in a polynomial of the fifth degree, and in
// its derivative.
template <typename T> void hermite(const GeometryArgs<T> &a, int n) {
    T *__restrict basis = a.basis;
    T *__restrict slope = a.slope;
    const int64_t s = a.stride;
    for (int e = 0; e < n; ++e) {
        const T t = a.offset[e], inside = a.inside[e];
        const T du = inside * a.density[e];
        const T t2 = t * t, t3 = t2 * t;
        const T h3 = t3 * (T(10) + t * (T(6) * t - T(15)));
        const T d3 = T(30) * t2 * (T(1) + t * (t - T(2)));
        basis[SLOPE * s + e] = inside * (t + t3 * (T(-6) + t * (T(8) - T(3) * t)));
        basis[CURVATURE * s + e] = inside * T(0.5) * t2 * (T(1) + t * (T(-3) + t * (T(3) - t)));
        basis[VALUE * s + e] = inside;
        basis[RISE * s + e] = inside * h3;
        basis[NEXT_SLOPE * s + e] = inside * t3 * (T(-4) + t * (T(7) - T(3) * t));
        basis[NEXT_CURVATURE * s + e] = inside * T(0.5) * t3 * (T(1) + t * (t - T(2)));
        slope[SLOPE * s + e] = du * (T(1) + t2 * (T(-18) + t * (T(32) - T(15) * t)));
        slope[CURVATURE * s + e] = du * t * (T(1) + t * (T(-4.5) + t * (T(6) - T(2.5) * t)));
        slope[VALUE * s + e] = T(0);
        slope[RISE * s + e] = du * d3;
        slope[NEXT_SLOPE * s + e] = du * t2 * (T(-12) + t * (T(28) - T(15) * t));
        slope[NEXT_CURVATURE * s + e] = du * t2 * (T(1.5) + t * (T(2.5) * t - T(4)));
    }
}

template <typename T> void geometry(const GeometryArgs<T> &a) {
    const int n = a.stride;
    const int64_t s = a.stride;
    const T *__restrict vx = a.vec, *__restrict vy = a.vec + s, *__restrict vz = a.vec + 2 * s;
    T *__restrict x = a.unit, *__restrict y = a.unit + s, *__restrict z = a.unit + 2 * s;
    T *__restrict inverse = a.inverse_length;
    T *__restrict legendre = a.scratch;
    T *__restrict cosine = legendre + s * triangle(a.l_max + 1, 0);
    T *__restrict sine = cosine + s * (a.l_max + 1);
    T *__restrict length = sine + s * (a.l_max + 1);
    for (int e = 0; e < n; ++e) {
        const T square = vx[e] * vx[e] + vy[e] * vy[e] + vz[e] * vz[e];
        length[e] = square_root(square);
        // atoms on top of each other have no direction; their energy is finite, their force zero
        inverse[e] = square > T(0) ? T(1) / length[e] : T(0);
        x[e] = vx[e] * inverse[e];
        y[e] = vy[e] * inverse[e];
        z[e] = vz[e] * inverse[e];
    }
    place(a, length, n);
    hermite(a, n);
    for (int e = 0; e < n; ++e) {
        cosine[e] = T(1);
        sine[e] = T(0);
        legendre[e] = T(1);
    }
    for (int m = 1; m <= a.l_max; ++m) {
        const T *c = cosine + s * (m - 1), *q = sine + s * (m - 1);
        T *next_c = cosine + s * m, *next_q = sine + s * m;
        for (int e = 0; e < n; ++e) {
            next_c[e] = z[e] * c[e] - x[e] * q[e];
            next_q[e] = z[e] * q[e] + x[e] * c[e];
        }
    }
    for (int l = 1; l <= a.l_max; ++l) {
        for (int m = 0; m <= l; ++m) {
            T *p = legendre + s * triangle(l, m);
            if (m == l) {
                const T *before = legendre + s * triangle(l - 1, l - 1);
                for (int e = 0; e < n; ++e) {
                    p[e] = T(2 * l - 1) * before[e];
                }
            } else if (m == l - 1) {
                const T *before = legendre + s * triangle(l - 1, m);
                for (int e = 0; e < n; ++e) {
                    p[e] = T(2 * l - 1) * y[e] * before[e];
                }
            } else {
                const T *one = legendre + s * triangle(l - 1, m);
                const T *two = legendre + s * triangle(l - 2, m);
                const T up = T(2 * l - 1) / T(l - m), down = T(l + m - 1) / T(l - m);
                for (int e = 0; e < n; ++e) {
                    p[e] = up * y[e] * one[e] - down * two[e];
                }
            }
        }
    }
    for (int l = 0; l <= a.l_max; ++l) {
        for (int m = 0; m <= l; ++m) {
            const T norm = a.norm[l * (a.l_max + 1) + m];
            const T *p = legendre + s * triangle(l, m);
            T *plus = a.harmonics + s * (l * l + l + m), *minus = a.harmonics + s * (l * l + l - m);
            for (int e = 0; e < n; ++e) {
                const T scaled = norm * p[e];
                minus[e] = scaled * sine[s * m + e];
                plus[e] = scaled * cosine[s * m + e];
            }
        }
    }
}

template <typename T> void geometry_backward(const GeometryBackwardArgs<T> &b) {
    const GeometryArgs<T> &a = b.geometry;
    const int n = a.stride;
    const int64_t s = a.stride;
    const T *__restrict legendre = a.scratch;
    const T *__restrict cosine = legendre + s * triangle(a.l_max + 1, 0);
    const T *__restrict sine = cosine + s * (a.l_max + 1);
    T *__restrict gx = b.d_vec, *__restrict gy = b.d_vec + s, *__restrict gz = b.d_vec + 2 * s;
    for (int e = 0; e < n; ++e) {
        gx[e] = gy[e] = gz[e] = T(0);
    }
    for (int l = 1; l <= a.l_max; ++l) {
        for (int m = 0; m <= l; ++m) {
            const T norm = a.norm[l * (a.l_max + 1) + m];
            const T *p = legendre + s * triangle(l, m);
            const T *d_plus = b.d_harmonics + s * (l * l + l + m);
            const T *d_minus = b.d_harmonics + s * (l * l + l - m);
            const T *c = cosine + s * m, *q = sine + s * m;
            if (m < l) { // the derivative of P_l^(m) is P_l^(m+1)
                const T *dp = legendre + s * triangle(l, m + 1);
                for (int e = 0; e < n; ++e) {
                    const T both = m == 0 ? d_plus[e] : d_plus[e] * c[e] + d_minus[e] * q[e];
                    gy[e] += norm * dp[e] * both;
                }
            }
            if (m > 0) {
                const T *c1 = cosine + s * (m - 1), *q1 = sine + s * (m - 1);
                for (int e = 0; e < n; ++e) {
                    const T f = norm * T(m) * p[e];
                    gz[e] += f * (d_plus[e] * c1[e] + d_minus[e] * q1[e]);
                    gx[e] += f * (d_minus[e] * c1[e] - d_plus[e] * q1[e]);
                }
            }
        }
    }
    const T *__restrict x = a.unit, *__restrict y = a.unit + s, *__restrict z = a.unit + 2 * s;
    for (int e = 0; e < n; ++e) {
        // a change of direction is perpendicular to the edge and inversely proportional to r
        const T along = gx[e] * x[e] + gy[e] * y[e] + gz[e] * z[e];
        const T inverse = a.inverse_length[e];
        gx[e] = (gx[e] - along * x[e]) * inverse + b.d_length[e] * x[e];
        gy[e] = (gy[e] - along * y[e]) * inverse + b.d_length[e] * y[e];
        gz[e] = (gz[e] - along * z[e]) * inverse + b.d_length[e] * z[e];
    }
}

template <typename T> void sum_lanes(const T *lanes, int n_edges, int n_rows, int stride, T *sums) {
    constexpr int W = Vector<T>::width;
    for (int e = 0; e < n_edges; ++e) {
        for (int row = 0; row < n_rows; ++row, lanes += LANES<T>) {
            Vec<T> total = load(lanes);
            for (int lane = W; lane < LANES<T>; lane += W) {
                total += load(lanes + lane);
            }
            sums[row * static_cast<int64_t>(stride) + e] = sum_of<T>(total);
        }
    }
    for (int row = 0; row < n_rows; ++row) {
        for (int e = n_edges; e < stride; ++e) {
            sums[row * static_cast<int64_t>(stride) + e] = T(0);
        }
    }
}

} // namespace

template <typename T>
template <simd::InstructionSet>
GeometryKernels<T> GeometryKernels<T>::make() {
    return {geometry<T>, geometry_backward<T>, edges::sum_lanes<T>};
}

template GeometryKernels<float> GeometryKernels<float>::make<simd::SET>();
template GeometryKernels<double> GeometryKernels<double>::make<simd::SET>();

} // namespace egraff::edges
