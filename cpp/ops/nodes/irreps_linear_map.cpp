// SPDX-License-Identifier: GPL-2.0-or-later
#include "ops/nodes/irreps_linear_map.h"

#include "ops/simd/kernels.h"

#include <algorithm>

namespace egraff::linear {

using simd::LANES;

namespace {

int64_t padded(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

} // namespace

std::vector<Block> read_blocks(const char *op, const at::Tensor &table, int64_t width_in,
                               int64_t width_out, int64_t n_weights, int64_t lanes) {
    TORCH_CHECK_VALUE(table.scalar_type() == at::kLong && table.dim() == 2 && table.size(1) == 9,
                      op, ": blocks: expected int64 [n_blocks, 9], got ", table.scalar_type(), " ",
                      table.sizes());
    const at::Tensor rows = table.contiguous();
    std::vector<Block> blocks;
    for (int64_t k = 0; k < rows.size(0); ++k) {
        const int64_t *r = rows.const_data_ptr<int64_t>() + 9 * k;
        const Block block{{r[0], r[1], r[2], r[3]}, {r[4], r[5], r[6], r[7]}, r[8]};
        const auto inside = [&block](const Side &side, int64_t width) {
            return side.start >= 0 && side.channels > 0 &&
                   side.start + side.channels * block.dim <= width;
        };
        TORCH_CHECK_VALUE(block.dim > 0 && inside(block.in, width_in) &&
                              inside(block.out, width_out) && block.out.weights >= 0 &&
                              block.out.weights +
                                      block.in.channels * padded(block.out.channels, lanes) <=
                                  n_weights,
                          op, ": blocks: expected columns below ", width_in, " of x and ",
                          width_out, " of the result and weights below ", n_weights, ", got ",
                          at::IntArrayRef(r, 9), " in row ", k, "\n  fix: export the model again");
        blocks.push_back(block);
    }
    return blocks;
}

template <typename T>
void Tile<T>::apply(const T *weights, const int64_t *node, int64_t n, const T *from, T *to) {
    if (n == 0) {
        return;
    }
    const auto row = [node](int64_t k) { return node ? node[k] : k; };
    for (int64_t k = 0; k < n; ++k) {
        std::fill_n(to + row(k) * width_out_, width_out_, T(0));
    }
    for (const Block &block : blocks_) {
        input_.clear();
        output_.clear();
        for (int64_t k = 0; k < n; ++k) {
            for (int64_t m = 0; m < block.dim; ++m) {
                input_.push_back(from + row(k) * width_in_ + block.in.column(m));
                output_.push_back(to + row(k) * width_out_ + block.out.column(m));
            }
        }
        LinearArgs<T> args{};
        args.n_valid = static_cast<int>(input_.size());
        args.n_rows = static_cast<int>(padded(args.n_valid, ROWS));
        input_.resize(args.n_rows, input_.front());
        args.input = input_.data();
        args.output = output_.data();
        args.in_step = block.in.step(block.dim);
        args.out_step = block.out.step(block.dim);
        args.n_in = static_cast<int>(block.in.channels);
        args.n_out = static_cast<int>(block.out.channels);
        args.weights = weights + block.out.weights;
        args.n_chunks = static_cast<int>(padded(block.out.channels, LANES<T>) / LANES<T>);
        simd::kernels<Kernels<T>>().block(args);
    }
}

template class Tile<float>;
template class Tile<double>;

} // namespace egraff::linear
