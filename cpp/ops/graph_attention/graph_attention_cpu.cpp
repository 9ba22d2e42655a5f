// SPDX-License-Identifier: GPL-2.0-or-later
//
// The operator goes through the centres a few at a time. All that lies between the rows of atoms
// and the sums over edges stays in the processor's cache and is then forgotten; the backward makes
// it again. Between the two nothing is stored.
//
// The values' linear maps come after the sums over a centre's edges, which they commute with: that
// leaves one map for a centre and head where the plain form has one for every edge.
#include "ops/graph_attention/graph_attention_cpu.h"

#include "ops/graph_attention/graph_attention_block.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <memory>

namespace egraff::graph {

using simd::LANES;

namespace {

// Edges in a block: enough to use a matrix again that has come into the cache, few enough that the
// numbers of all of them (some 20 kB each) fit the second one.
constexpr int64_t BLOCK_EDGES = 60;
// Edges whose derivatives by messages are stored until they are added to those of the neighbours,
// in the order of the edges, which is the same for any number of threads.
constexpr int64_t STORED_EDGES = 2048;

// What both directions begin with: the plan, the centres cut into blocks, and a worker for each
// thread.
template <typename T> class Call {
  public:
    explicit Call(const Inputs &in)
        : plan(in), grouping(edges::group_by_centre(edge_list(in))),
          blocks(edges::cut(grouping, BLOCK_EDGES)), in_(in), workers_(at::get_num_threads()) {}

    int64_t n_blocks() const { return static_cast<int64_t>(blocks.size()) - 1; }
    int64_t first_edge(int64_t block) const { return grouping.first[blocks[block]]; }

    // Calls `use` with a thread's worker and each block from..to.
    template <typename Use> void run(int64_t from, int64_t to, const Use &use) {
        at::parallel_for(from, to, 1, [&](int64_t first, int64_t last) {
            auto &worker = workers_[at::get_thread_num()];
            if (!worker) {
                worker = std::make_unique<Worker<T>>(in_, plan, grouping);
            }
            for (int64_t k = first; k < last; ++k) {
                use(*worker, k);
            }
        });
    }

    const Plan<T> plan;
    const Grouping grouping;
    const std::vector<int64_t> blocks; // the first centre of each, and their end

  private:
    const Inputs &in_;
    std::vector<std::unique_ptr<Worker<T>>> workers_;
};

// Adds rows of edges to those of their neighbours, in the order of the edges.
template <typename T>
void add_to_neighbours(const Inputs &in, int64_t width, int64_t begin, int64_t end, const T *rows,
                       T *d_source) {
    const int64_t *neighbour = in.edge_index.const_data_ptr<int64_t>() + in.edge_index.size(1);
    const auto add = simd::kernels<Kernels<T>>().add;
    at::parallel_for(0, width / LANES<T>, 1, [&](int64_t from, int64_t to) {
        const int64_t first = from * LANES<T>, n = (to - from) * LANES<T>;
        for (int64_t e = begin; e < end; ++e) {
            T *sum = d_source + neighbour[e] * width + first;
            add(sum, rows + (e - begin) * width + first, n, sum);
        }
    });
}

} // namespace

template <typename T> std::array<at::Tensor, 1> Cpu::forward(const Inputs &in) {
    Call<T> call(in);
    const auto &blocks = call.blocks;
    const int64_t width = call.plan.width_out;
    at::Tensor result = at::empty({in.n_local(), width}, in.source.options());
    T *const rows = result.mutable_data_ptr<T>();
    call.run(0, call.n_blocks(), [&](Worker<T> &worker, int64_t k) {
        worker.forward(blocks[k], blocks[k + 1], rows + blocks[k] * width);
    });
    return {result};
}

template <typename T>
std::array<at::Tensor, 3> Cpu::backward(const std::array<at::Tensor, 1> &gradients,
                                        const Inputs &in, const std::array<bool, 3> &) {
    Call<T> call(in);
    const auto &blocks = call.blocks;
    const int64_t width = call.plan.width, width_out = call.plan.width_out;
    at::Tensor d_source = at::zeros(in.source.sizes(), in.source.options());
    at::Tensor d_target = at::empty(in.target.sizes(), in.target.options());
    at::Tensor d_vec = at::empty(in.edge_vec.sizes(), in.edge_vec.options());
    T *const by_source = d_source.mutable_data_ptr<T>();
    T *const by_target = d_target.mutable_data_ptr<T>();
    T *const by_vec = d_vec.mutable_data_ptr<T>();
    const T *const by_result = gradients[0].const_data_ptr<T>();
    const int64_t n_blocks = call.n_blocks();
    simd::Buffer<T> messages;
    for (int64_t from = 0, to = 0; from < n_blocks; from = to) {
        for (to = from + 1;
             to < n_blocks && call.first_edge(to + 1) - call.first_edge(from) <= STORED_EDGES;) {
            ++to;
        }
        const int64_t begin = call.first_edge(from), end = call.first_edge(to);
        T *const rows = messages.resize((end - begin) * width);
        call.run(from, to, [&](Worker<T> &worker, int64_t k) {
            const int64_t node = blocks[k], edge = call.first_edge(k);
            worker.backward(node, blocks[k + 1], by_result + node * width_out,
                            by_target + node * width, by_vec + 3 * edge,
                            rows + (edge - begin) * width);
        });
        add_to_neighbours(in, width, begin, end, rows, by_source);
    }
    return {d_source, d_target, d_vec};
}

template std::array<at::Tensor, 1> Cpu::forward<float>(const Inputs &);
template std::array<at::Tensor, 1> Cpu::forward<double>(const Inputs &);
template std::array<at::Tensor, 3> Cpu::backward<float>(const std::array<at::Tensor, 1> &,
                                                        const Inputs &,
                                                        const std::array<bool, 3> &);
template std::array<at::Tensor, 3> Cpu::backward<double>(const std::array<at::Tensor, 1> &,
                                                         const Inputs &,
                                                         const std::array<bool, 3> &);

} // namespace egraff::graph
