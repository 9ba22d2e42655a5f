// SPDX-License-Identifier: GPL-2.0-or-later
//
// TorchScript: the file holds the model, and the gradient is made by autograd in each call.
#include "core/error.h"
#include "core/program.h"

#include <ATen/ATen.h>
#include <c10/core/AutogradState.h>
#include <caffe2/serialize/read_adapter_interface.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/runtime/graph_iterator.h>
#include <torch/script.h>
#include <torch/version.h>

#include <algorithm>

namespace egraff {

namespace {

// Backward on this thread only. A backward that runs on a thread of autograd's own would make MPI
// calls from there, which MPI does not allow by default.
class SingleThreadedBackward {
  public:
    SingleThreadedBackward() { state().set_multithreading_enabled(false); }
    ~SingleThreadedBackward() { state().set_multithreading_enabled(before_); }

  private:
    static c10::AutogradState &state() { return c10::AutogradState::get_tls_state(); }
    const bool before_ = state().get_multithreading_enabled();
};

// Lets torch read the file that was verified, even if another one has its name by now.
class SameFile : public caffe2::serialize::ReadAdapterInterface {
  public:
    explicit SameFile(const Archive &archive) : archive_(archive) {}

    size_t size() const override { return archive_.size(); }

    size_t read(uint64_t position, void *bytes, size_t n, const char *) const override {
        archive_.read(position, bytes, n);
        return n;
    }

  private:
    const Archive &archive_;
};

// The program as one graph. Where nobody writes into what an exchange is given or returns, it need
// not copy: torch's own analysis of aliases tells where, so that no program has to be believed.
std::shared_ptr<torch::jit::Graph> graph_of(const torch::jit::Module &module) {
    using torch::jit::Node;
    const auto exchange = c10::Symbol::fromQualString("egraff::ghost_exchange");
    const auto shared = c10::Symbol::fromQualString("egraff::ghost_exchange_shared");
    auto graph = module.get_method("forward").graph()->copy();
    torch::jit::Inline(*graph);
    std::vector<Node *> read_only;
    const torch::jit::AliasDb aliases(graph);
    torch::jit::DepthFirstGraphNodeIterator nodes(graph);
    while (Node *node = nodes.next()) {
        if (node->kind() == exchange && !aliases.hasWriters(node->input(0)) &&
            !aliases.hasWriters(node->output())) {
            read_only.push_back(node);
        }
    }
    for (Node *node : read_only) {
        node->replaceWithNewSymbol(shared);
        node->destroy();
    }
    return graph;
}

class TorchScriptProgram : public Program {
  public:
    TorchScriptProgram(const Archive &archive, const Metadata &metadata, at::Device device)
        : path_(archive.path()), device_(device) {
        try {
            module_ = torch::jit::load(std::make_shared<SameFile>(archive), device_,
                                       /*load_debug_files=*/false);
        } catch (const std::exception &error) { // torch throws many types, some with a backtrace
            const std::string text = error.what();
            const size_t begin = std::min(text.find_first_not_of("\n "), text.size());
            throw Error("expected a TorchScript program that torch " TORCH_VERSION
                        " can load, got: " +
                            text.substr(begin, text.find('\n', begin) - begin),
                        {path_}, "copy the file again, or export it again with this torch");
        }
        module_.eval();
        const at::ScalarType dtype = metadata.float64 ? at::kDouble : at::kFloat;
        for (const auto &parameter : module_.named_parameters()) {
            if (parameter.value.is_floating_point() && parameter.value.scalar_type() < dtype) {
                throw Error(
                    std::string("expected weights of type ") + metadata.dtype() + ", got " +
                        c10::toString(parameter.value.scalar_type()) + " in " + parameter.name,
                    {path_, "dtype"}, "export it again: egraff export best.ckpt -o " + path_);
            }
            // gradients are taken with respect to edges only; tracking weights would cost time
            parameter.value.requires_grad_(false);
        }
        forward_ =
            std::make_unique<torch::jit::GraphFunction>("forward", graph_of(module_), nullptr);
    }

    at::Device device() const override { return device_; }

    ProgramOutputs run(const ProgramInputs &inputs) const override {
        // The profiling executor would specialise the program to what the first calls look like,
        // and differently on different ranks.
        torch::jit::GraphOptimizerEnabledGuard plain_execution(false);
        at::AutoGradMode with_gradient(true);
        SingleThreadedBackward on_this_thread;

        at::Tensor edge_vec = inputs.edge_vec.detach().requires_grad_(true);
        const auto outputs = (*forward_)({module_._ivalue(), inputs.species, inputs.edge_index,
                                          edge_vec, inputs.n_local})
                                 .toGenericDict();
        ProgramOutputs result;
        for (const auto &item : outputs) {
            result.named[item.key().toStringRef()] = item.value().toTensor();
        }
        const at::Tensor &energies = output(result, "atomic_energy", inputs.n_local, path_);
        if (energies.requires_grad()) {
            const at::Tensor energy = energies.narrow(0, 0, inputs.n_owned).sum();
            result.edge_gradient = torch::autograd::grad({energy}, {edge_vec}, {}, std::nullopt,
                                                         false, /*allow_unused=*/true)[0];
        }
        if (!result.edge_gradient.defined()) { // energies that do not depend on positions at all
            result.edge_gradient = at::zeros_like(edge_vec);
        }
        return result;
    }

  private:
    std::string path_;
    torch::jit::Module module_; // the weights
    std::unique_ptr<torch::jit::GraphFunction> forward_;
    at::Device device_;
};

} // namespace

std::unique_ptr<Program> load_torchscript(const Archive &archive, const Metadata &metadata,
                                          const std::string &device) {
    const at::Device place = choose_device(device, archive.path());
    return std::make_unique<TorchScriptProgram>(archive, metadata, place);
}

} // namespace egraff
