// SPDX-License-Identifier: GPL-2.0-or-later
#include "ops/graph_attention/graph_attention_block.h"

#include <algorithm>
#include <cmath>

namespace egraff::graph {

using edges::EdgeSource;
using simd::LANES;

namespace {

template <typename T> EdgeSource<T> edge_source(const Inputs &in, const Plan<T> &plan) {
    return edges::edge_source<T>(edge_list(in), in.edge_vec, in.constant(PAIR_SCALE),
                                 in.constant(PAIR_TABLE), in.constant(TABLES), 1,
                                 edges::make_grid(in.grid_start, in.grid_stretch), plan.l_max,
                                 plan.norm);
}

} // namespace

template <typename T>
Worker<T>::Worker(const Inputs &in, const Plan<T> &plan, const Grouping &grouping)
    : in_(in), plan_(plan), grouping_(grouping), block_(edge_source(in, plan)),
      matrices_(in.constant(MATRICES).template const_data_ptr<T>()), heads_(in.n_heads) {}

template <typename T> void Worker<T>::prepare(int64_t begin, int64_t end) {
    n_nodes_ = end - begin;
    const int64_t first_edge = grouping_.first[begin];
    n_edges_ = grouping_.first[end] - first_edge;
    n_harmonics_ = (plan_.l_max + 1) * (plan_.l_max + 1);
    grouping_.offsets(begin, end, first_);
    int64_t widest = 0, longest = 0;
    for (const InnerGroup &g : plan_.inner) {
        widest = std::max(widest, g.dim * g.width);
    }
    for (const OuterGroup &g : plan_.outer) {
        longest = std::max(longest, g.dim * heads_ * g.channels);
    }
    block_.fill(first_edge, first_edge + n_edges_, plan_.width);
    matrix_.resize(plan_.n_entries * block_.stride());
    radial_.resize(n_edges_ * plan_.radial_width);
    message_.resize(n_edges_ * plan_.width);
    weights_.resize(n_edges_ * plan_.n_weights);
    product_.resize(n_edges_ * widest);
    scalars_.resize(n_edges_ * plan_.inner[0].n_out);
    mapped_.resize(n_edges_ * plan_.width);
    gated_.resize(n_edges_ * plan_.width);
    score_.resize(n_edges_ * heads_);
    alpha_.resize(n_edges_ * heads_);
    share_.resize(n_edges_ * heads_);
    ratio_.resize(n_edges_ * heads_);
    sums_.resize(heads_ * n_nodes_ * plan_.n_sums);
    rows_.resize(n_nodes_ * longest);
}

template <typename T> void Worker<T>::make_matrices() {
    const int64_t stride = block_.stride();
    const T *harmonics = block_.harmonics(0);
    std::fill_n(matrix_.data(), plan_.n_entries * stride, T(0));
    for (const Coupling<T> &coupling : plan_.couplings) {
        for (const Term<T> &term : coupling.terms) {
            T *to = matrix_.data() + (coupling.first_entry + term.entry) * stride;
            const T *from = harmonics + term.harmonic * stride;
            for (int64_t e = 0; e < stride; ++e) {
                to[e] += term.value * from[e];
            }
        }
    }
}

template <typename T> void Worker<T>::make_messages(int64_t begin) {
    const T *source = in_.source.template const_data_ptr<T>();
    const T *target = in_.target.template const_data_ptr<T>() + begin * plan_.width;
    T *to = message_.data();
    for (int64_t node = 0; node < n_nodes_; ++node, target += plan_.width) {
        for (int32_t e = first_[node]; e < first_[node + 1]; ++e) {
            kernel_.add(source + block_.row()[e], target, plan_.width, to + e * plan_.width);
        }
    }
}

template <typename T> edges::RadialArgs<T> Worker<T>::table_args(const T *basis, T *rows) {
    columns_.assign(1, {rows, plan_.radial_width, 0});
    edges::RadialArgs<T> args{};
    args.n_edges = static_cast<int>(n_edges_);
    args.stride = block_.stride();
    args.table = in_.constant(TABLES).template const_data_ptr<T>();
    args.knot = block_.knot();
    args.knot_size = in_.constant(TABLES).stride(1);
    args.basis = basis;
    args.n_columns = 1;
    args.columns = columns_.data();
    return args;
}

template <typename T> PathMatrix<T> Worker<T>::path_matrix(const Path &path) {
    const Coupling<T> &coupling = plan_.couplings[path.coupling];
    return {matrix_.data() + coupling.first_entry * block_.stride(),
            block_.stride(),
            static_cast<int>(coupling.terms.size()),
            coupling.terms.data(),
            d_harmonics_.data(),
            n_harmonics_ * LANES<T>};
}

template <typename T>
template <typename Args>
Args Worker<T>::path_args(const Path &path, const T *features, T *d_features) {
    const Block &block = plan_.blocks[path.block];
    Args args{};
    args.channels = static_cast<int>(block.channels);
    args.path = path_matrix(path);
    args.in = features + block.first;
    args.in_row = plan_.width;
    args.in_step = block.channels;
    args.d_in = d_features + block.first;
    return args;
}

template <typename T> ProductArgs<T> Worker<T>::product_args(const Path &path, T *d_message) {
    const InnerGroup &group = plan_.inner[path.group];
    auto args = path_args<ProductArgs<T>>(path, message_.data(), d_message);
    args.n_edges = static_cast<int>(n_edges_);
    args.weight = weights(group) + path.first;
    args.weight_row = group.width;
    args.out = product_.data() + path.first;
    args.out_row = group.dim * group.width;
    args.out_step = group.width;
    args.d_weight = weights(group) + path.first; // each is read before it is written
    return args;
}

template <typename T> ValueArgs<T> Worker<T>::value_args(const Path &path) {
    const OuterGroup &group = plan_.outer[path.group];
    auto args = path_args<ValueArgs<T>>(path, gated_.data(), d_gated_.data());
    args.n_nodes = static_cast<int>(n_nodes_);
    args.first = first_.data();
    args.n_heads = static_cast<int>(heads_);
    args.alpha = alpha_.data();
    args.sums = sums(group) + path.first;
    args.head_step = n_nodes_ * group.dim * group.width;
    args.node_step = group.dim * group.width;
    args.out_step = group.width;
    args.d_alpha = d_alpha_.data();
    return args;
}

template <typename T> GateArgs<T> Worker<T>::gate_args(T *out) {
    gated_blocks_.clear();
    for (size_t k = 1; k < plan_.blocks.size(); ++k) {
        const Block &block = plan_.blocks[k];
        gated_blocks_.push_back({static_cast<int>(block.dim), static_cast<int>(block.channels),
                                 mapped_.data() + n_edges_ * block.first, block.first});
    }
    GateArgs<T> args{};
    args.n_edges = static_cast<int>(n_edges_);
    args.scalars = scalars_.data();
    args.scalars_row = plan_.inner[0].n_out;
    args.n_heads = static_cast<int>(heads_);
    args.n_scores = static_cast<int>(plan_.n_scores);
    args.negative_slope = static_cast<T>(in_.negative_slope);
    args.direction = in_.constant(DIRECTION).template const_data_ptr<T>();
    args.score = score_.data();
    args.n_scalars = static_cast<int>(plan_.blocks[0].channels);
    args.n_blocks = static_cast<int>(gated_blocks_.size());
    args.blocks = gated_blocks_.data();
    args.out = out;
    args.out_row = plan_.width;
    return args;
}

// From messages to scores and gated features.
template <typename T> void Worker<T>::make_inner() {
    radial_kernel_.values(table_args(block_.geometry().basis, radial_.data()));
    for (const InnerGroup &group : plan_.inner) {
        dense(n_edges_, in_.n_functions, group.width, radial_.data(), plan_.radial_width,
              group.radial, weights(group), group.width);
    }
    const T *bias = in_.constant(BIAS).template const_data_ptr<T>();
    const int64_t n_scalars = plan_.inner[0].n_out;
    for (int64_t e = 0; e < n_edges_; ++e) {
        std::copy_n(bias, n_scalars, scalars_.data() + e * n_scalars);
    }
    if (plan_.inner.size() < plan_.blocks.size()) { // some blocks have no source
        std::fill_n(mapped_.data(), n_edges_ * plan_.width, T(0));
    }
    for (size_t k = 0; k < plan_.inner.size(); ++k) {
        const InnerGroup &group = plan_.inner[k];
        for (const Path &path : plan_.inner_paths) {
            if (path.group == static_cast<int64_t>(k)) {
                const Coupling<T> &c = plan_.couplings[path.coupling];
                kernel_.product_forward[c.l_in][c.l_out](product_args(path, nullptr));
            }
        }
        dense(n_edges_ * group.dim, group.width, group.n_out, product_.data(), group.width,
              group.matrix, mapped(group), group.n_out, k == 0);
    }
    kernel_.gate_forward(gate_args(gated_.data()));
}

// From scores z and envelopes u to weights, alpha = u (u exp z / sum over k of u_k exp z_k).
template <typename T> void Worker<T>::attend() {
    const T *envelope = radial_.data() + in_.n_functions;
    for (int64_t node = 0; node < n_nodes_; ++node) {
        const int64_t begin = first_[node], end = first_[node + 1];
        for (int64_t h = 0; h < heads_ && begin < end; ++h) {
            const auto at = [&](int64_t e) { return e * heads_ + h; };
            T largest = score_.data()[at(begin)], total = T(0);
            for (int64_t e = begin + 1; e < end; ++e) {
                largest = std::max(largest, score_.data()[at(e)]);
            }
            for (int64_t e = begin; e < end; ++e) {
                const T exponential = std::exp(score_.data()[at(e)] - largest);
                ratio_.data()[at(e)] = exponential;
                total += exponential * envelope[e * plan_.radial_width];
            }
            const T inverse = T(1) / (total + T(1e-16));
            for (int64_t e = begin; e < end; ++e) {
                const T u = envelope[e * plan_.radial_width];
                ratio_.data()[at(e)] *= inverse;
                share_.data()[at(e)] = u * ratio_.data()[at(e)];
                alpha_.data()[at(e)] = u * share_.data()[at(e)];
            }
        }
    }
}

template <typename T> void Worker<T>::form_weights(int64_t begin, int64_t end) {
    prepare(begin, end);
    make_matrices();
    make_messages(begin);
    make_inner();
    attend();
}

template <typename T> void Worker<T>::forward(int64_t begin, int64_t end, T *result) {
    if (grouping_.first[begin] == grouping_.first[end]) {
        std::fill_n(result, (end - begin) * plan_.width_out, T(0));
        return;
    }
    form_weights(begin, end);
    for (const Path &path : plan_.outer_paths) {
        const Coupling<T> &c = plan_.couplings[path.coupling];
        kernel_.value_forward[c.l_in][c.l_out](value_args(path));
    }
    for (const OuterGroup &group : plan_.outer) {
        const int64_t row = heads_ * group.channels, n_rows = n_nodes_ * group.dim;
        for (int64_t h = 0; h < heads_; ++h) {
            dense(n_rows, group.width, group.channels, sums(group) + h * n_rows * group.width,
                  group.width, group.matrix + h * group.width * group.channels,
                  rows_.data() + h * group.channels, row);
        }
        for (int64_t node = 0; node < n_nodes_; ++node) {
            std::copy_n(rows_.data() + node * group.dim * row, group.dim * row,
                        result + node * plan_.width_out + group.first);
        }
    }
    const int64_t channels = plan_.outer[0].channels;
    const T *bias = in_.constant(VALUE_BIAS).template const_data_ptr<T>();
    for (int64_t node = 0; node < n_nodes_; ++node) {
        for (int64_t h = 0; h < heads_; ++h) {
            T total = T(0);
            for (int32_t e = first_[node]; e < first_[node + 1]; ++e) {
                total += alpha_.data()[e * heads_ + h];
            }
            T *to = result + node * plan_.width_out + h * channels;
            for (int64_t c = 0; c < channels; ++c) {
                to[c] += total * bias[h * channels + c];
            }
        }
    }
}

// Derivatives by the values, from those by the result.
template <typename T> void Worker<T>::result_backward(const T *by_result) {
    d_gated_.resize(n_edges_ * plan_.width);
    d_alpha_.resize(n_edges_ * heads_ * LANES<T>);
    d_harmonics_.resize(n_edges_ * n_harmonics_ * LANES<T>);
    std::fill_n(d_gated_.data(), n_edges_ * plan_.width, T(0));
    std::fill_n(d_alpha_.data(), n_edges_ * heads_ * LANES<T>, T(0));
    std::fill_n(d_harmonics_.data(), n_edges_ * n_harmonics_ * LANES<T>, T(0));
    for (const OuterGroup &group : plan_.outer) {
        const int64_t row = heads_ * group.channels, n_rows = n_nodes_ * group.dim;
        for (int64_t node = 0; node < n_nodes_; ++node) {
            std::copy_n(by_result + node * plan_.width_out + group.first, group.dim * row,
                        rows_.data() + node * group.dim * row);
        }
        for (int64_t h = 0; h < heads_; ++h) {
            dense(n_rows, group.channels, group.width, rows_.data() + h * group.channels, row,
                  group.matrix_t + h * group.width * group.channels,
                  sums(group) + h * n_rows * group.width, group.width);
        }
    }
    for (const Path &path : plan_.outer_paths) {
        const Coupling<T> &c = plan_.couplings[path.coupling];
        kernel_.value_backward[c.l_in][c.l_out](value_args(path));
    }
    const int64_t channels = plan_.outer[0].channels;
    const T *bias = in_.constant(VALUE_BIAS).template const_data_ptr<T>();
    for (int64_t node = 0; node < n_nodes_; ++node) {
        for (int64_t h = 0; h < heads_; ++h) {
            const T *by = by_result + node * plan_.width_out + h * channels;
            T total = T(0);
            for (int64_t c = 0; c < channels; ++c) {
                total += by[c] * bias[h * channels + c];
            }
            for (int32_t e = first_[node]; e < first_[node + 1]; ++e) {
                d_alpha_.data()[(e * heads_ + h) * LANES<T>] += total;
            }
        }
    }
}

// Derivatives by scores, in their place, and by envelopes, from those by alpha.
template <typename T> void Worker<T>::attend_backward() {
    const auto sum = [&](int64_t k) {
        const T *lanes = d_alpha_.data() + k * LANES<T>;
        T total = T(0);
        for (int64_t lane = 0; lane < LANES<T>; ++lane) {
            total += lanes[lane];
        }
        return total;
    };
    T *by_envelope = d_radial_.data() + in_.n_functions;
    for (int64_t node = 0; node < n_nodes_; ++node) {
        for (int64_t h = 0; h < heads_; ++h) {
            T mean = T(0);
            for (int64_t e = first_[node]; e < first_[node + 1]; ++e) {
                const int64_t k = e * heads_ + h;
                score_.data()[k] = sum(k);
                mean += score_.data()[k] * alpha_.data()[k];
            }
            for (int64_t e = first_[node]; e < first_[node + 1]; ++e) {
                const int64_t k = e * heads_ + h;
                const T by_alpha = score_.data()[k], share = share_.data()[k];
                score_.data()[k] = by_alpha * alpha_.data()[k] - mean * share;
                by_envelope[e * plan_.radial_width] +=
                    T(2) * share * by_alpha - mean * ratio_.data()[k];
            }
        }
    }
}

template <typename T> void Worker<T>::inner_backward(T *d_message) {
    kernel_.gate_backward(gate_args(d_gated_.data()));
    std::fill_n(d_message, n_edges_ * plan_.width, T(0));
    for (size_t k = 0; k < plan_.inner.size(); ++k) {
        const InnerGroup &group = plan_.inner[k];
        dense(n_edges_ * group.dim, group.n_out, group.width, mapped(group), group.n_out,
              group.matrix_t, product_.data(), group.width);
        for (const Path &path : plan_.inner_paths) {
            if (path.group == static_cast<int64_t>(k)) {
                const Coupling<T> &c = plan_.couplings[path.coupling];
                kernel_.product_backward[c.l_in][c.l_out](product_args(path, d_message));
            }
        }
        dense(n_edges_, group.width, plan_.radial_width, weights(group), group.width,
              group.radial_t, d_radial_.data(), plan_.radial_width, true);
    }
}

template <typename T> void Worker<T>::geometry_backward(T *d_vec) {
    const int n_edges = static_cast<int>(n_edges_), stride = block_.stride();
    const int n_harmonics = static_cast<int>(n_harmonics_);
    T *d_harmonics = d_rows_.resize((n_harmonics + 1) * stride);
    T *d_length = d_harmonics + n_harmonics * stride;
    geometry_kernel_.sum_lanes(d_harmonics_.data(), n_edges, n_harmonics, stride, d_harmonics);
    std::fill_n(d_length, stride, T(0));
    edges::RadialArgs<T> table = table_args(block_.geometry().slope, d_radial_.data());
    table.d_length = d_length;
    radial_kernel_.gradient(table);
    block_.backward(d_harmonics, d_length, d_vec);
}

template <typename T>
void Worker<T>::backward(int64_t begin, int64_t end, const T *by_result, T *d_target, T *d_vec,
                         T *d_message) {
    std::fill_n(d_target, (end - begin) * plan_.width, T(0));
    if (grouping_.first[begin] == grouping_.first[end]) {
        return;
    }
    form_weights(begin, end);
    std::fill_n(d_radial_.resize(n_edges_ * plan_.radial_width), n_edges_ * plan_.radial_width,
                T(0));
    result_backward(by_result);
    attend_backward();
    inner_backward(d_message);
    geometry_backward(d_vec);
    for (int64_t node = 0; node < n_nodes_; ++node) {
        T *to = d_target + node * plan_.width;
        for (int32_t e = first_[node]; e < first_[node + 1]; ++e) {
            kernel_.add(to, d_message + e * plan_.width, plan_.width, to);
        }
    }
}

template class Worker<float>;
template class Worker<double>;

} // namespace egraff::graph
