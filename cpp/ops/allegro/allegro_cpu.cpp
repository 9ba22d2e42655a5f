// SPDX-License-Identifier: GPL-2.0-or-later
//
// The energy of a centre depends on its own edges alone. So a few centres at a time are taken from
// edge vectors to energies and from there back to derivatives, while all that lies between stays in
// the processor's cache and is then forgotten.
#include "ops/allegro/allegro_cpu.h"

#include "ops/edges/dense_kernels.h"
#include "ops/edges/edge_block.h"
#include "ops/edges/radial_kernels.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

namespace egraff::allegro {

using edges::EdgeBlock;
using edges::EdgeSource;
using edges::Grouping;
using edges::RadialArgs;
using edges::RadialColumns;
using edges::TABLE_ROWS;
using simd::LANES;

namespace {

// Edges in a block: enough to use a matrix again that has come into the first cache, few enough
// that the numbers of all of them (some 10 kB each) fit the second one.
constexpr int64_t BLOCK_EDGES = 96;

edges::EdgeList edge_list(const Inputs &in) {
    return {"egraff::allegro_energy", in.edge_index, in.species, in.n_local, in.pair_scale.size(0)};
}

template <typename T> EdgeSource<T> edge_source(const Inputs &in, const Plan<T> &plan) {
    return edges::edge_source<T>(edge_list(in), in.edge_vec, in.pair_scale, in.pair_table,
                                 in.tables, 1, edges::make_grid(in.grid_start, 0.0),
                                 static_cast<int>(in.l_max), plan.norm);
}

// Numbers of scratch that a node with this many edges needs.
int64_t product_scratch(int64_t n_edges, int64_t dim_in, int64_t n_matrix, int64_t n_harmonics,
                        int64_t lanes) {
    return (2 * n_edges * dim_in + 2 * n_matrix + n_harmonics) * lanes;
}

// One block of centres; one object for each thread, used again for each block.
template <typename T> class Worker {
  public:
    Worker(const Inputs &in, const Plan<T> &plan, const Grouping &grouping)
        : in_(in), plan_(plan), grouping_(grouping), block_(edge_source(in, plan)) {}

    // Energies of the centres begin..end, and derivatives by their edges unless d_vec is null.
    void run(int64_t begin, int64_t end, T *energy, T *d_vec);

  private:
    void reserve(int64_t begin, int64_t end);
    T *values(int64_t buffer) { return values_.data() + plan_.buffers[buffer].first * n_edges_; }
    T *gradient(int64_t buffer) {
        return gradients_.data() + plan_.buffers[buffer].first * n_edges_;
    }
    RadialArgs<T> radial_args(bool derivative);
    ProductArgs<T> product_args(const Step &step, int64_t index);
    void forward();
    void backward(T *d_vec);

    const Inputs &in_;
    const Plan<T> &plan_;
    const Grouping &grouping_;
    const Kernels<T> &kernel_ = simd::kernels<Kernels<T>>();
    const edges::DenseKernels<T> &dense_kernel_ = simd::kernels<edges::DenseKernels<T>>();
    const edges::RadialKernels<T> &radial_kernel_ = simd::kernels<edges::RadialKernels<T>>();
    const edges::GeometryKernels<T> &geometry_kernel_ = simd::kernels<edges::GeometryKernels<T>>();
    EdgeBlock<T> block_;
    simd::Buffer<T> values_, gradients_, environments_, scratch_, lanes_, sums_;
    std::vector<RadialColumns<T>> columns_;
    std::vector<int32_t> first_; // of the edges of each node, from the block's first edge
    int64_t n_edges_ = 0, n_nodes_ = 0;
};

template <typename T> void Worker<T>::reserve(int64_t begin, int64_t end) {
    n_nodes_ = end - begin;
    n_edges_ = grouping_.first[end] - grouping_.first[begin];
    grouping_.offsets(begin, end, first_);
    int64_t most_edges = 0, most_scratch = 0;
    for (int64_t k = 0; k < n_nodes_; ++k) {
        most_edges = std::max<int64_t>(most_edges, first_[k + 1] - first_[k]);
    }
    const int64_t n_harmonics = static_cast<int64_t>(plan_.zeros.size());
    for (const Product &product : plan_.products) {
        const auto n_matrix = static_cast<int64_t>(product.by_output.size());
        most_scratch = std::max(most_scratch, product_scratch(most_edges, product.dim_in, n_matrix,
                                                              n_harmonics, LANES<T>));
    }
    values_.resize(plan_.width * n_edges_);
    gradients_.resize(plan_.width * n_edges_);
    environments_.resize(static_cast<int64_t>(plan_.products.size()) * n_nodes_ * n_harmonics *
                         plan_.channels);
    scratch_.resize(most_scratch);
    lanes_.resize(n_edges_ * n_harmonics * LANES<T>);
}

template <typename T> RadialArgs<T> Worker<T>::radial_args(bool derivative) {
    columns_.clear();
    for (size_t k = 0; k < plan_.buffers.size(); ++k) {
        const Buffer &buffer = plan_.buffers[k];
        if (buffer.first_chunk >= 0) {
            T *rows = derivative ? gradient(k) : values(k);
            columns_.push_back({rows, buffer.width, buffer.first_chunk * TABLE_ROWS * LANES<T>});
        }
    }
    const auto &geometry = block_.geometry();
    RadialArgs<T> args{};
    args.n_edges = static_cast<int>(n_edges_);
    args.stride = block_.stride();
    args.table = in_.tables.const_data_ptr<T>();
    args.knot = block_.knot();
    args.knot_size = in_.tables.stride(1);
    args.basis = derivative ? geometry.slope : geometry.basis;
    args.n_columns = static_cast<int>(columns_.size());
    args.columns = columns_.data();
    return args;
}

template <typename T> ProductArgs<T> Worker<T>::product_args(const Step &step, int64_t index) {
    const Product &product = plan_.products[step.b];
    const int64_t n_harmonics = static_cast<int64_t>(plan_.zeros.size());
    ProductArgs<T> args{};
    args.n_nodes = static_cast<int>(n_nodes_);
    args.first = first_.data();
    args.stride = block_.stride();
    args.channels = static_cast<int>(plan_.channels);
    args.n_harmonics = static_cast<int>(n_harmonics);
    args.harmonics = block_.harmonics(0);
    args.harmonics_group = plan_.order_of_harmonic.data();
    args.weight_group = product.individual ? args.harmonics_group : plan_.zeros.data();
    args.weights = values(step.a);
    args.weights_row = plan_.buffers[step.a].width;
    args.n_terms = static_cast<int>(product.n_terms);
    args.terms = product.terms.data();
    args.term_weights = in_.term_weights.const_data_ptr<T>() + product.first_term * plan_.channels;
    args.n_matrix = static_cast<int>(product.by_output.size());
    args.by_output = product.by_output.data();
    args.by_input = product.by_input.data();
    args.dim_in = static_cast<int>(product.dim_in);
    args.dim_out = static_cast<int>(product.dim_out);
    args.in_is_weights = step.c == 1;
    args.in = values(step.source);
    args.in_row = plan_.buffers[step.source].width;
    args.out = values(step.dest);
    args.out_row = plan_.buffers[step.dest].width;
    args.environment = environments_.data() + index * n_nodes_ * n_harmonics * plan_.channels;
    args.scratch = scratch_.data();
    args.d_out = gradient(step.dest);
    args.d_in = gradient(step.source);
    args.add_d_in = step.add_gradient;
    args.d_weights = gradient(step.a);
    args.d_harmonics = lanes_.data();
    return args;
}

template <typename T> void Worker<T>::forward() {
    radial_kernel_.values(radial_args(false));
    for (const Step &step : plan_.steps) {
        const int64_t from = plan_.buffers[step.source].width, to = plan_.buffers[step.dest].width;
        if (step.kind == DENSE) {
            dense_kernel_.dense({static_cast<int>(n_edges_), static_cast<int>(step.c),
                                 static_cast<int>(to), values(step.source), from,
                                 in_.matrices.const_data_ptr<T>() + step.a, values(step.dest), to,
                                 step.add});
        } else if (step.kind == ACTIVATE) {
            kernel_.activate({static_cast<Activation>(step.a), n_edges_ * from, values(step.source),
                              values(step.dest)});
        } else {
            kernel_.product_forward(product_args(step, step.b));
        }
    }
}

template <typename T> void Worker<T>::backward(T *d_vec) {
    const int n_edges = static_cast<int>(n_edges_), stride = block_.stride();
    const int n_harmonics = static_cast<int>(plan_.zeros.size());
    std::fill_n(lanes_.data(), n_edges_ * n_harmonics * LANES<T>, T(0));
    const int64_t last = static_cast<int64_t>(plan_.buffers.size()) - 1;
    const int64_t width = plan_.buffers[last].width;
    std::fill_n(gradient(last), n_edges_ * width, T(0));
    for (int64_t e = 0; e < n_edges_; ++e) {
        gradient(last)[e * width] = T(1);
    }
    for (auto step = plan_.steps.rbegin(); step != plan_.steps.rend(); ++step) {
        const int64_t from = plan_.buffers[step->source].width;
        const int64_t to = plan_.buffers[step->dest].width;
        T *d_source = gradient(step->source);
        if (step->kind == DENSE) {
            if (!step->add_gradient && step->c < from) { // the matrix does not read all columns
                std::fill_n(d_source, n_edges_ * from, T(0));
            }
            dense_kernel_.dense(
                {n_edges, static_cast<int>(to), static_cast<int>(step->c), gradient(step->dest), to,
                 in_.matrices.const_data_ptr<T>() + step->b, d_source, from, step->add_gradient});
        } else if (step->kind == ACTIVATE) { // the values of the source are the slopes now
            kernel_.multiply(values(step->source), n_edges_ * from, gradient(step->dest), d_source);
        } else {
            kernel_.product_backward(product_args(*step, step->b));
        }
    }
    T *d_harmonics = sums_.resize((n_harmonics + 1) * stride);
    T *d_length = d_harmonics + n_harmonics * stride;
    geometry_kernel_.sum_lanes(lanes_.data(), n_edges, n_harmonics, stride, d_harmonics);
    std::fill_n(d_length, stride, T(0));
    RadialArgs<T> table = radial_args(true);
    table.d_length = d_length;
    radial_kernel_.gradient(table);
    block_.backward(d_harmonics, d_length, d_vec);
}

template <typename T> void Worker<T>::run(int64_t begin, int64_t end, T *energy, T *d_vec) {
    const int64_t first_edge = grouping_.first[begin];
    if (first_edge == grouping_.first[end]) {
        return;
    }
    reserve(begin, end);
    block_.fill(first_edge, first_edge + n_edges_, 0);
    forward();
    const int64_t last = static_cast<int64_t>(plan_.buffers.size()) - 1;
    const int64_t width = plan_.buffers[last].width;
    for (int64_t node = 0; node < n_nodes_; ++node) {
        T sum = T(0);
        for (int32_t e = first_[node]; e < first_[node + 1]; ++e) {
            sum += values(last)[e * width];
        }
        energy[begin + node] = sum;
    }
    if (d_vec != nullptr) {
        backward(d_vec + 3 * first_edge);
    }
}

template <typename T>
std::tuple<at::Tensor, at::Tensor> evaluate(const Inputs &in, bool wants_gradient) {
    const Plan<T> plan(in);
    const Grouping grouping = edges::group_by_centre(edge_list(in));
    const std::vector<int64_t> blocks = edges::cut(grouping, BLOCK_EDGES);
    at::Tensor energy = at::zeros({in.n_local}, in.edge_vec.options()), gradient;
    if (wants_gradient) {
        gradient = at::empty(in.edge_vec.sizes(), in.edge_vec.options());
    }
    T *const sums = energy.mutable_data_ptr<T>();
    T *const d_vec = wants_gradient ? gradient.mutable_data_ptr<T>() : nullptr;
    const int64_t n_blocks = static_cast<int64_t>(blocks.size()) - 1;
    at::parallel_for(0, n_blocks, 1, [&](int64_t from, int64_t to) {
        Worker<T> worker(in, plan, grouping);
        for (int64_t k = from; k < to; ++k) {
            worker.run(blocks[k], blocks[k + 1], sums, d_vec);
        }
    });
    return {energy, gradient};
}

} // namespace

std::tuple<at::Tensor, at::Tensor> evaluate_cpu(const Inputs &inputs, bool wants_gradient) {
    TORCH_CHECK_VALUE(inputs.edge_vec.scalar_type() == at::kFloat ||
                          inputs.edge_vec.scalar_type() == at::kDouble,
                      "egraff::allegro_energy: edge_vec: expected float32 or float64 [n_edges, 3], "
                      "got ",
                      inputs.edge_vec.scalar_type(), " ", inputs.edge_vec.sizes());
    return inputs.edge_vec.scalar_type() == at::kFloat ? evaluate<float>(inputs, wants_gradient)
                                                       : evaluate<double>(inputs, wants_gradient);
}

} // namespace egraff::allegro
