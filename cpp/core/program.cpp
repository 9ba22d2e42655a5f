// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/program.h"

#include "core/error.h"

#include <ATen/ATen.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include <sstream>

namespace egraff {

const at::Tensor &output(const ProgramOutputs &outputs, const std::string &name, int64_t n_local,
                         const std::string &path) {
    const auto found = outputs.named.find(name);
    if (found == outputs.named.end()) {
        throw Error("expected the model to return " + name + ", which it does not",
                    {path, "outputs"}, "ask only for the outputs that the file lists");
    }
    const at::Tensor &value = found->second;
    if (value.dim() < 1 || value.dim() > 2 || value.size(0) != n_local) {
        std::ostringstream got;
        got << value.sizes();
        throw Error("expected " + std::to_string(n_local) + " rows, one per local atom, got " +
                        got.str(),
                    {path, name}, "export it again from a model that keeps the contract");
    }
    return value;
}

at::Device choose_device(const std::string &name, const std::string &path) {
    if (name == "auto") {
        return at::hasCUDA() ? choose_device("cuda", path) : at::Device("cpu");
    }
    if (name == "cuda" && at::hasCUDA()) { // with its index, which tells one device from another
        return {at::kCUDA, at::detail::getCUDAHooks().getCurrentDevice()};
    }
    const bool known = name == "cpu" || name.rfind("cuda", 0) == 0;
    if (known) {
        try {
            const at::Device device(name);
            if (device.is_cpu() ||
                (at::hasCUDA() && device.index() < at::detail::getCUDAHooks().deviceCount())) {
                return device;
            }
        } catch (const c10::Error &) { // for example "cuda:x"
        }
    }
    throw Error("expected device cpu, cuda, cuda:N or auto" +
                    std::string(at::hasCUDA() ? "" : " (this torch sees no GPU)") + ", got " + name,
                {path}, "use device cpu, or a torch built for your GPU");
}

} // namespace egraff
