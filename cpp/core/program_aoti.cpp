// SPDX-License-Identifier: GPL-2.0-or-later
//
// AOTInductor: the file holds machine code for the energies and for their gradient, compiled for
// one kind of processor.
#include "core/error.h"
#include "core/program.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <sys/utsname.h>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>
#include <torch/version.h>

#include <algorithm>

namespace egraff {

namespace {

using torch::inductor::AOTIModelPackageLoader;

const char *const EXPORT_HERE =
    "export it on this machine: egraff export best.ckpt -o model.egraff.pt2 --format aoti";

// Instruction sets from the smallest to the largest.
const std::vector<std::string> INSTRUCTION_SETS = {"baseline", "AVX2", "AVX512"};

// The largest of them that the processor has; compilers name these x86-64-v3 and x86-64-v4.
std::string own_instruction_set() {
#if defined(__x86_64__)
    const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi2");
    if (v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl")) {
        return "AVX512";
    }
    if (v3) {
        return "AVX2";
    }
#endif
    return "baseline";
}

std::string own_machine() {
    utsname name{};
    return uname(&name) == 0 ? name.machine : "unknown";
}

// An instruction that the processor lacks would end the process without a word.
void check_target(const Target &target, const std::string &path) {
    const std::string machine = own_machine(), own = own_instruction_set();
    if (target.machine != machine) {
        throw Error("expected machine code for " + machine + ", got some for " + target.machine,
                    {path, "target"}, EXPORT_HERE);
    }
    const auto level = [](const std::string &name) {
        return std::find(INSTRUCTION_SETS.begin(), INSTRUCTION_SETS.end(), name) -
               INSTRUCTION_SETS.begin();
    };
    if (level(target.instruction_set) > level(own)) {
        throw Error("expected machine code for at most the instruction set " + own +
                        " of this processor, got some for " + target.instruction_set,
                    {path, "target"},
                    "export it with --instruction-set " + own + ", or on this machine");
    }
}

at::Device check_device(const Target &target, const std::string &wanted, const std::string &path) {
    const at::Device device = choose_device(wanted == "auto" ? target.device : wanted, path);
    if (at::Device(target.device).type() != device.type()) {
        throw Error("expected device " + target.device +
                        ", for which the model was compiled, got " + wanted,
                    {path, "target"}, "use device " + target.device + ", or export it again");
    }
    return device;
}

class AotiProgram : public Program {
  public:
    AotiProgram(const std::string &path, const Metadata &metadata, at::Device device)
        : path_(path), outputs_(metadata.outputs), device_(device) {
        // each thread that evaluates a block of its own needs a runner, or would wait for one
        const bool in_blocks = metadata.exchange_widths.empty() && device.is_cpu();
        const size_t n_runners = in_blocks ? std::max(at::get_num_threads(), 1) : 1;
        try {
            loader_ = std::make_unique<AOTIModelPackageLoader>(
                path, "model", /*run_single_threaded=*/false, n_runners, device.index());
        } catch (const std::exception &error) {
            throw Error("expected a compiled program that torch " TORCH_VERSION " can load, got: " +
                            first_line(error),
                        {path}, EXPORT_HERE);
        }
    }

    at::Device device() const override { return device_; }

    ProgramOutputs run(const ProgramInputs &inputs) const override {
        c10::NoGradGuard the_program_has_the_gradient;
        // d(sum over owned nodes) / d(atomic energy); its size tells the number of local nodes
        at::Tensor seed = at::zeros({inputs.n_local}, at::device(device_).dtype(at::kDouble));
        seed.narrow(0, 0, inputs.n_owned).fill_(1.0);
        std::vector<at::Tensor> values;
        try {
            values = loader_->run({inputs.species, inputs.edge_index, inputs.edge_vec, seed});
        } catch (const std::exception &error) {
            // our operators' messages end with a line that tells what to do
            const std::string text = error.what(), mark = "\n  fix: ";
            const size_t fix = text.find(mark);
            throw Error(
                "expected the compiled program to run, got: " + first_line(error), {path_},
                fix == std::string::npos
                    ? EXPORT_HERE
                    : text.substr(fix + mark.size(), text.find('\n', fix + 1) - fix - mark.size()));
        }
        if (values.size() != outputs_.size() + 1) {
            throw Error("expected " + std::to_string(outputs_.size() + 1) +
                            " tensors, the outputs and the gradient, got " +
                            std::to_string(values.size()),
                        {path_, "outputs"}, "export it again");
        }
        ProgramOutputs result;
        for (size_t k = 0; k < outputs_.size(); ++k) {
            result.named[outputs_[k]] = values[k];
        }
        result.edge_gradient = values.back();
        return result;
    }

  private:
    static std::string first_line(const std::exception &error) {
        const std::string text = error.what();
        return text.substr(0, text.find('\n'));
    }

    std::string path_;
    std::vector<std::string> outputs_;
    at::Device device_;
    std::unique_ptr<AOTIModelPackageLoader> loader_;
};

} // namespace

std::unique_ptr<Program> load_aoti(const Archive &archive, const Metadata &metadata,
                                   const std::string &device) {
    const std::string &path = archive.path();
    check_target(*metadata.target, path);
    return std::make_unique<AotiProgram>(path, metadata,
                                         check_device(*metadata.target, device, path));
}

} // namespace egraff
