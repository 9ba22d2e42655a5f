// SPDX-License-Identifier: GPL-2.0-or-later
//
// Attention over the edges of a block of nodes.
//
// A head's score needs all its channels, and its messages need the score: so for one head, or as
// many as share a register, first the scores of all edges of the block are formed, then their
// activations, then the sums. What is between these steps stays in the cache. RUN is the number of
// lanes of a register that belong to one head.
#include "ops/scalar_vector/edge_attention_kernels.h"

#include "ops/simd/activation_kernels.h"

namespace egraff::attention {

namespace {

using namespace edges;
using namespace simd;

// ---- functions of the distance -----------------------------------------------------------------

// What multiplies the numbers of an edge's interval: all of its first knot, two of the next one.
template <typename T> struct Hermite {
    Vec<T> b[INTERVAL_ROWS];

    explicit Hermite(const T *factors) {
        for (int k = 0; k < INTERVAL_ROWS; ++k) {
            b[k] = broadcast(factors[k]);
        }
    }

    template <int FUNCTION> Vec<T> operator()(const T *table) const {
        constexpr int step = FUNCTIONS * LANES<T>;
        const T *at = table + FUNCTION * LANES<T>;
        Vec<T> sum = load(at) * b[0];
#pragma GCC unroll 8
        for (int k = 1; k < INTERVAL_ROWS; ++k) {
            sum += load(at + k * step) * b[k];
        }
        return sum;
    }
    Vec<T> key(const T *table) const { return operator()<OF_KEY>(table); }
    Vec<T> scalar(const T *table) const { return operator()<OF_SCALAR>(table); }
    Vec<T> turn(const T *table) const { return operator()<OF_TURNED>(table); }
    Vec<T> push(const T *table) const { return operator()<OF_PUSH>(table); }
};

// Where register number `vector` of a node, an edge's far node, and its table start.
template <typename T> struct Place {
    int64_t near, far, table;

    Place(const AttentionArgs<T> &a, int vector) {
        constexpr int per_chunk = LANES<T> / Vector<T>::width;
        const int64_t chunk = vector / per_chunk, lane = vector % per_chunk * Vector<T>::width;
        near = chunk * a.near_rows * LANES<T> + lane;
        far = chunk * a.far_rows * LANES<T> + lane;
        table = chunk * a.table_rows * TABLE_ROWS * FUNCTIONS * LANES<T> + lane;
    }
};

template <typename T> inline int64_t near_step(const AttentionArgs<T> &a) {
    return a.n_chunks * a.near_rows * LANES<T>;
}

template <bool VECTORS>
inline constexpr int SOURCE = VECTORS ? SOURCE_ROWS : SOURCE_ROWS_NO_VECTORS;

// ---- scores ------------------------------------------------------------------------------------

// Scores of the heads of one register, and with GRADIENT also derivatives by activations. Rows of
// both ends: query and key, then gradient and value of the scalar message.
template <typename T, int RUN, bool GRADIENT, int FAR_ROWS>
void scores(const AttentionArgs<T> &a, int vector) {
    constexpr int heads = Vector<T>::width / RUN;
    const Place<T> place(a, vector);
    for (int node = 0; node < a.n_nodes; ++node) {
        const T *near = a.near + node * near_step(a) + place.near;
        const Vec<T> query = load(near);
        Vec<T> by_scalar{};
        if constexpr (GRADIENT) {
            by_scalar = load(near + LANES<T>);
        }
        for (int e = a.first[node]; e < a.first[node + 1]; ++e) {
            const Edge<T> &edge = a.edges[e];
            const Hermite<T> value(edge.basis);
            const T *far = a.far + edge.far + place.far;
            // also what the sums will read, so that they find it in a near cache
            const T *ahead = a.far + a.edges[e + EDGES_AHEAD].far + place.far;
            for (int row = 0; row < FAR_ROWS; ++row) {
                __builtin_prefetch(ahead + row * LANES<T>);
            }
            const T *table = a.table + edge.knot + place.table;
            const Vec<T> score = sum_runs<T, RUN>(query * load(far) * value.key(table));
            for (int head = 0; head < heads; ++head) {
                a.weight[e * heads + head] = score[head * RUN];
            }
            if constexpr (GRADIENT) {
                const Vec<T> gradient =
                    sum_runs<T, RUN>(by_scalar * load(far + LANES<T>) * value.scalar(table));
                for (int head = 0; head < heads; ++head) {
                    a.d_score[e * heads + head] = gradient[head * RUN];
                }
            }
        }
    }
}

// Adds to the scores of a head those of another of its registers.
template <typename T, int RUN, bool GRADIENT, int FAR_ROWS>
void add_scores(const AttentionArgs<T> &a, int vector) {
    const int n = a.first[a.n_nodes];
    AttentionArgs<T> part = a;
    part.weight = a.more_scores[0];
    part.d_score = a.more_scores[1];
    scores<T, RUN, GRADIENT, FAR_ROWS>(part, vector);
    for (int k = 0; k < n; ++k) {
        a.weight[k] += part.weight[k];
        if constexpr (GRADIENT) {
            a.d_score[k] += part.d_score[k];
        }
    }
}

// Replaces n scores by their activations, and gradients by activations by those by scores.
template <typename T, bool GRADIENT> void activate_scores(const AttentionArgs<T> &a, int n) {
    with_activation(a.activation, [&](auto kind) {
        for (int k = 0; k < n; k += Vector<T>::width) {
            Vec<T> value, slope;
            activated<T, decltype(kind)::value>(load(a.weight + k), value, slope);
            store(a.weight + k, value);
            if constexpr (GRADIENT) {
                store(a.d_score + k, load(a.d_score + k) * slope);
            }
        }
    });
}

// Calls sum(vector) for all registers, each after the scores of its heads.
template <typename T, int RUN, bool GRADIENT, int FAR_ROWS, typename Sum>
void for_each_head(const AttentionArgs<T> &a, Sum sum) {
    constexpr int width = Vector<T>::width;
    const int per_head = a.head_lanes > width ? a.head_lanes / width : 1;
    for (int v = 0; v < a.n_chunks * (LANES<T> / width); v += per_head) {
        scores<T, RUN, GRADIENT, FAR_ROWS>(a, v);
        for (int k = v + 1; k < v + per_head; ++k) {
            add_scores<T, RUN, GRADIENT, FAR_ROWS>(a, k);
        }
        activate_scores<T, GRADIENT>(a, a.first[a.n_nodes] * (width / RUN));
        for (int k = v; k < v + per_head; ++k) {
            sum(k);
        }
    }
}

template <typename T> inline T *result_row(const AttentionArgs<T> &a, int node, int vector, int n) {
    constexpr int per_chunk = LANES<T> / Vector<T>::width;
    const int64_t chunk = vector / per_chunk, lane = vector % per_chunk * Vector<T>::width;
    return a.result + (node * a.n_chunks + chunk) * n * LANES<T> + lane;
}

// ---- sums --------------------------------------------------------------------------------------

template <typename T, int RUN, bool VECTORS>
void forward_sums(const AttentionArgs<T> &a, int vector) {
    using namespace attention;
    constexpr int heads = Vector<T>::width / RUN;
    const Place<T> place(a, vector);
    for (int node = 0; node < a.n_nodes; ++node) {
        Vec<T> sum{}, x{}, y{}, z{};
        for (int e = a.first[node]; e < a.first[node + 1]; ++e) {
            const Edge<T> &edge = a.edges[e];
            const Hermite<T> value(edge.basis);
            const T *far = a.far + edge.far + place.far;
            const T *table = a.table + edge.knot + place.table;
            const Vec<T> weight = spread_runs<T, RUN>(a.weight + e * heads);
            sum += weight * load(far + SCALAR * LANES<T>) * value.scalar(table);
            const Vec<T> push = load(far + PUSH * LANES<T>) * value.push(table);
            x += push * edge.unit[0];
            y += push * edge.unit[1];
            z += push * edge.unit[2];
            if constexpr (VECTORS) {
                const Vec<T> turn = value.turn(table);
                x += turn * load(far + TURNED_X * LANES<T>);
                y += turn * load(far + TURNED_Y * LANES<T>);
                z += turn * load(far + TURNED_Z * LANES<T>);
            }
        }
        T *to = result_row(a, node, vector, SUM_ROWS);
        store(to, sum);
        store(to + LANES<T>, x);
        store(to + 2 * LANES<T>, y);
        store(to + 3 * LANES<T>, z);
    }
}

// Derivatives by queries, and by length and direction of the edges.
template <typename T, int RUN, bool VECTORS>
void centre_sums(const AttentionArgs<T> &a, int vector) {
    using namespace attention;
    constexpr int heads = Vector<T>::width / RUN;
    constexpr int per_chunk = LANES<T> / Vector<T>::width;
    const int64_t lane = vector % per_chunk * Vector<T>::width;
    const bool is_first = vector < per_chunk;
    const Place<T> place(a, vector);
    for (int node = 0; node < a.n_nodes; ++node) {
        const T *near = a.near + node * near_step(a) + place.near;
        const Vec<T> query = load(near), by_scalar = load(near + BY_SCALAR * LANES<T>);
        const Vec<T> gx = load(near + BY_VECTOR_X * LANES<T>);
        const Vec<T> gy = load(near + BY_VECTOR_Y * LANES<T>);
        const Vec<T> gz = load(near + BY_VECTOR_Z * LANES<T>);
        Vec<T> d_query{};
        for (int e = a.first[node]; e < a.first[node + 1]; ++e) {
            const Edge<T> &edge = a.edges[e];
            const Hermite<T> value(edge.basis), slope(edge.slope);
            const T *far = a.far + edge.far + place.far;
            const T *table = a.table + edge.knot + place.table;
            const Vec<T> key = load(far) * spread_runs<T, RUN>(a.d_score + e * heads);
            d_query += key * value.key(table);
            Vec<T> d_length = query * key * slope.key(table);
            d_length += spread_runs<T, RUN>(a.weight + e * heads) * by_scalar *
                        load(far + SCALAR * LANES<T>) * slope.scalar(table);
            const Vec<T> push = load(far + PUSH * LANES<T>);
            const Vec<T> along = gx * edge.unit[0] + gy * edge.unit[1] + gz * edge.unit[2];
            d_length += push * along * slope.push(table);
            if constexpr (VECTORS) {
                Vec<T> turned = gx * load(far + TURNED_X * LANES<T>);
                turned += gy * load(far + TURNED_Y * LANES<T>);
                turned += gz * load(far + TURNED_Z * LANES<T>);
                d_length += turned * slope.turn(table);
            }
            const Vec<T> pushed = push * value.push(table);
            T *to = a.edge_lanes + e * EDGE_ROWS * LANES<T> + lane;
            Vec<T> dx = pushed * gx, dy = pushed * gy, dz = pushed * gz;
            if (!is_first) {
                d_length += load(to);
                dx += load(to + LANES<T>);
                dy += load(to + 2 * LANES<T>);
                dz += load(to + 3 * LANES<T>);
            }
            store(to, d_length);
            store(to + LANES<T>, dx);
            store(to + 2 * LANES<T>, dy);
            store(to + 3 * LANES<T>, dz);
        }
        store(result_row(a, node, vector, 1), d_query);
    }
}

// Derivatives by all that edges read of their neighbour.
template <typename T, int RUN, bool VECTORS>
void neighbour_sums(const AttentionArgs<T> &a, int vector) {
    using namespace attention;
    constexpr int heads = Vector<T>::width / RUN;
    const Place<T> place(a, vector);
    for (int node = 0; node < a.n_nodes; ++node) {
        Vec<T> by_key{}, by_scalar{}, by_push{}, x{}, y{}, z{};
        for (int e = a.first[node]; e < a.first[node + 1]; ++e) {
            const Edge<T> &edge = a.edges[e];
            const Hermite<T> value(edge.basis);
            const T *far = a.far + edge.far + place.far;
            const T *table = a.table + edge.knot + place.table;
            by_key += spread_runs<T, RUN>(a.d_score + e * heads) * load(far) * value.key(table);
            by_scalar += spread_runs<T, RUN>(a.weight + e * heads) *
                         load(far + BY_SCALAR * LANES<T>) * value.scalar(table);
            const Vec<T> gx = load(far + BY_VECTOR_X * LANES<T>);
            const Vec<T> gy = load(far + BY_VECTOR_Y * LANES<T>);
            const Vec<T> gz = load(far + BY_VECTOR_Z * LANES<T>);
            const Vec<T> along = gx * edge.unit[0] + gy * edge.unit[1] + gz * edge.unit[2];
            by_push += along * value.push(table);
            if constexpr (VECTORS) {
                const Vec<T> turn = value.turn(table);
                x += turn * gx;
                y += turn * gy;
                z += turn * gz;
            }
        }
        T *to = result_row(a, node, vector, SOURCE<VECTORS>);
        store(to + KEY * LANES<T>, by_key);
        store(to + SCALAR * LANES<T>, by_scalar);
        store(to + PUSH * LANES<T>, by_push);
        if constexpr (VECTORS) {
            store(to + TURNED_X * LANES<T>, x);
            store(to + TURNED_Y * LANES<T>, y);
            store(to + TURNED_Z * LANES<T>, z);
        }
    }
}

template <typename T, int RUN, bool VECTORS> void forward(const AttentionArgs<T> &a) {
    for_each_head<T, RUN, false, SOURCE<VECTORS>>(
        a, [&](int k) { forward_sums<T, RUN, VECTORS>(a, k); });
}

template <typename T, int RUN, bool VECTORS> void centre(const AttentionArgs<T> &a) {
    for_each_head<T, RUN, true, SOURCE<VECTORS>>(
        a, [&](int k) { centre_sums<T, RUN, VECTORS>(a, k); });
}

template <typename T, int RUN, bool VECTORS> void neighbour(const AttentionArgs<T> &a) {
    for_each_head<T, RUN, true, CENTRE_ROWS>(a,
                                             [&](int k) { neighbour_sums<T, RUN, VECTORS>(a, k); });
}

template <typename T> void edge_vectors(const EdgeVectorArgs<T> &a) {
    for (int e = 0; e < a.n_edges; ++e) {
        T sums[EDGE_ROWS];
        for (int row = 0; row < EDGE_ROWS; ++row) {
            const T *from = a.edge_lanes + (e * EDGE_ROWS + row) * LANES<T>;
            Vec<T> sum = load(from);
            for (int lane = Vector<T>::width; lane < LANES<T>; lane += Vector<T>::width) {
                sum += load(from + lane);
            }
            sums[row] = sum_runs<T, Vector<T>::width>(sum)[0];
        }
        const T *unit = a.edges[e].unit;
        const T x = unit[0], y = unit[1], z = unit[2];
        // a change of direction is perpendicular to the edge and inversely proportional to r
        const T along = sums[1] * x + sums[2] * y + sums[3] * z;
        const T inverse = a.inverse_length[e];
        a.d_vec[3 * e] = (sums[1] - along * x) * inverse + sums[0] * x;
        a.d_vec[3 * e + 1] = (sums[2] - along * y) * inverse + sums[0] * y;
        a.d_vec[3 * e + 2] = (sums[3] - along * z) * inverse + sums[0] * z;
    }
}

// The narrowest run first; wider heads than a register take the last.
template <typename T, int RUN = 1> void fill(Kernels<T> &k, int index = 0) {
    k.forward[index][0] = forward<T, RUN, false>;
    k.forward[index][1] = forward<T, RUN, true>;
    k.centre[index][0] = centre<T, RUN, false>;
    k.centre[index][1] = centre<T, RUN, true>;
    k.neighbour[index][0] = neighbour<T, RUN, false>;
    k.neighbour[index][1] = neighbour<T, RUN, true>;
    if constexpr (RUN < Vector<T>::width) {
        fill<T, 2 * RUN>(k, index + 1);
    } else {
        for (int wider = index + 1; wider < MAX_RUNS; ++wider) {
            for (int vectors = 0; vectors < 2; ++vectors) {
                k.forward[wider][vectors] = k.forward[index][vectors];
                k.centre[wider][vectors] = k.centre[index][vectors];
                k.neighbour[wider][vectors] = k.neighbour[index][vectors];
            }
        }
    }
}

} // namespace

template <typename T> template <simd::InstructionSet> Kernels<T> Kernels<T>::make() {
    Kernels<T> kernels;
    fill(kernels);
    kernels.edge_vectors = attention::edge_vectors<T>;
    return kernels;
}

template Kernels<float> Kernels<float>::make<simd::SET>();
template Kernels<double> Kernels<double>::make<simd::SET>();

} // namespace egraff::attention
