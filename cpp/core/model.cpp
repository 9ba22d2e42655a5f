// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/model.h"

#include "core/blocks.h"
#include "core/check_frame.h"
#include "core/error.h"
#include "core/program.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/version.h>

#include <algorithm>
#include <cmath>
#include <sstream>

namespace egraff {

namespace {

// "2.13.0+cpu" -> {2, 13}; {0, 0} if it is not a version
std::pair<int, int> release(const std::string &version) {
    int major = 0, minor = 0;
    char dot = 0;
    std::istringstream(version) >> major >> dot >> minor;
    return dot == '.' ? std::pair(major, minor) : std::pair(0, 0);
}

// Edges that a model without message passing sees at once on a CPU: few enough that what it makes
// of them stays in the cache, enough that calling its operators does not count.
constexpr int64_t BLOCK_EDGES = 1024;

} // namespace

Model::Model(const std::string &path, const std::string &device, bool verify) : path_(path) {
    const Archive archive(path);
    metadata_ = read_metadata(archive);
    const auto ours = std::pair(TORCH_VERSION_MAJOR, TORCH_VERSION_MINOR);
    if (release(metadata_.torch_version) > ours) {
        throw Error("expected a file written by torch " TORCH_VERSION
                    " or older, got one of torch " +
                        metadata_.torch_version,
                    {path_, "torch_version"},
                    "install that torch and build egraff again, or export the model with torch " +
                        std::to_string(ours.first) + "." + std::to_string(ours.second));
    }
    program_ = metadata_.format == "aoti" ? load_aoti(archive, metadata_, device)
                                          : load_torchscript(archive, metadata_, device);
    if (metadata_.fused && !program_->device().is_cpu()) {
        throw Error(
            "expected a file without fused operators, which run on the CPU only, for device " +
                program_->device().str() + ", got one with them",
            {path_, "fused"}, "use device cpu, or export the model with --no-fuse");
    }
    if (verify) {
        verify_check_frame(*this);
    }
}

Model::~Model() = default;

std::string Model::device() const { return program_->device().str(); }

void Model::check_graph(const Graph &graph) const {
    const auto refuse = [this](const std::string &problem) {
        throw Error(problem, {path_}, "this is a mistake in the calling program");
    };
    const at::Device own = program_->device();
    const at::Device place = graph.species.defined() ? graph.species.device() : own;
    const auto is = [place](const at::Tensor &x, at::ScalarType type, at::IntArrayRef shape) {
        return x.defined() && x.scalar_type() == type && x.sizes() == shape && x.is_contiguous() &&
               x.device() == place;
    };
    if (!graph.species.defined() || graph.species.dim() != 1 ||
        !is(graph.species, at::kLong, {graph.species.size(0)}) ||
        (!place.is_cpu() && place != own)) {
        refuse("species: expected a contiguous int64 [n_nodes] tensor on cpu or " + own.str());
    }
    if (!graph.edge_vec.defined() || graph.edge_vec.dim() != 2 ||
        !is(graph.edge_vec, at::kDouble, {graph.edge_vec.size(0), 3})) {
        refuse("edge_vec: expected a contiguous float64 [n_edges, 3] tensor on " + place.str());
    }
    if (!is(graph.edge_index, at::kLong, {2, graph.edge_vec.size(0)})) {
        refuse("edge_index: expected a contiguous int64 [2, n_edges] tensor on " + place.str() +
               ", n_edges = " + std::to_string(graph.edge_vec.size(0)) + " as in edge_vec");
    }
    if (graph.n_owned < 0 || graph.n_owned > graph.n_local ||
        graph.n_local > graph.species.size(0)) {
        refuse("n_local: expected 0 <= n_local <= " + std::to_string(graph.species.size(0)) +
               " (n_nodes), got " + std::to_string(graph.n_local));
    }
}

Evaluation Model::evaluate(const Graph &graph, const std::vector<std::string> &extras) const {
    check_graph(graph);
    const bool local = metadata_.exchange_widths.empty();
    try {
        return local && !metadata_.blocks_inside && program_->device().is_cpu() &&
                       graph.edge_vec.size(0) > BLOCK_EDGES
                   ? evaluate_in_blocks(graph, extras)
                   : evaluate_at_once(graph, extras);
    } catch (const std::exception &failure) {
        if (is_out_of_memory(failure)) {
            throw out_of_memory(graph.species.size(0), graph.edge_vec.size(0), path_);
        }
        throw;
    }
}

Evaluation Model::evaluate_in_blocks(const Graph &graph,
                                     const std::vector<std::string> &extras) const {
    const auto blocks = cut(graph, BLOCK_EDGES);
    std::vector<Evaluation> parts(blocks.size());
    // threads share the blocks; within one, the model runs on one thread
    at::parallel_for(0, int64_t(blocks.size()), 1, [&](int64_t first, int64_t last) {
        for (int64_t k = first; k < last; ++k) {
            parts[k] = evaluate_at_once(extract(graph, blocks[k]), extras);
        }
    });
    const auto join = [&parts](const auto &tensor_of) {
        std::vector<at::Tensor> tensors;
        for (const Evaluation &part : parts) {
            tensors.push_back(tensor_of(part));
        }
        return at::cat(tensors);
    };
    Evaluation result;
    result.energy = 0.0;
    for (const Evaluation &part : parts) {
        result.energy += part.energy;
    }
    result.atomic_energy = join([](const Evaluation &part) { return part.atomic_energy; });
    result.edge_gradient = join([](const Evaluation &part) { return part.edge_gradient; });
    for (const std::string &name : extras) {
        result.extras[name] = join([&](const Evaluation &part) { return part.extras.at(name); });
    }
    return result;
}

Evaluation Model::evaluate_at_once(const Graph &graph,
                                   const std::vector<std::string> &extras) const {
    const at::Device device = program_->device();
    const auto dtype = metadata_.float64 ? at::kDouble : at::kFloat;
    const ProgramOutputs outputs =
        program_->run({graph.species.to(device), graph.edge_index.to(device),
                       graph.edge_vec.to(device, dtype), graph.n_local, graph.n_owned});
    const auto float64 = [](const at::Tensor &x, at::Device place = at::kCPU) {
        return x.detach().to(place, at::kDouble).contiguous();
    };
    const at::Tensor &energies = output(outputs, "atomic_energy", graph.n_local, path_);
    if (energies.dim() != 1 || energies.scalar_type() != at::kDouble) {
        std::ostringstream got;
        got << c10::toString(energies.scalar_type()) << " " << energies.sizes();
        throw Error("expected Double [" + std::to_string(graph.n_local) + "], got " + got.str(),
                    {path_, "atomic_energy"},
                    "export it again from a model that keeps the contract");
    }
    Evaluation result;
    result.atomic_energy = float64(energies);
    result.energy = result.atomic_energy.narrow(0, 0, graph.n_owned).sum().item<double>();
    result.edge_gradient = float64(outputs.edge_gradient, graph.edge_vec.device());
    for (const std::string &name : extras) {
        result.extras[name] = float64(output(outputs, name, graph.n_local, path_));
    }
    return result;
}

} // namespace egraff
