// SPDX-License-Identifier: GPL-2.0-or-later
//
// What a model file tells a machine to compute, in either format. Only the implementations know
// TorchScript and AOTInductor.
#pragma once

#include "core/archive.h"
#include "core/metadata.h"

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <map>
#include <memory>
#include <string>

namespace egraff {

// One call of a program. Tensors are on the program's device.
struct ProgramInputs {
    at::Tensor species;    // int64 [n_nodes]
    at::Tensor edge_index; // int64 [2, n_edges]
    at::Tensor edge_vec;   // the model's dtype, [n_edges, 3]
    int64_t n_local;
    int64_t n_owned; // the gradient is that of the energy of these, the first local nodes
};

struct ProgramOutputs {
    // atomic_energy, and any further output of the model
    std::map<std::string, at::Tensor> named;
    at::Tensor edge_gradient; // [n_edges, 3]
};

class Program {
  public:
    virtual ~Program() = default;

    // Collective if the model exchanges. May be called by several threads at a time.
    virtual ProgramOutputs run(const ProgramInputs &inputs) const = 0;

    virtual at::Device device() const = 0;
};

// Each throws egraff::Error if the file holds no program that can run here. `device` is what the
// user asked for: "cpu", "cuda", "cuda:1" or "auto".
std::unique_ptr<Program> load_torchscript(const Archive &archive, const Metadata &metadata,
                                          const std::string &device);
std::unique_ptr<Program> load_aoti(const Archive &archive, const Metadata &metadata,
                                   const std::string &device);

// The output of that name. Throws egraff::Error if there is none, or without a row for each local
// atom.
const at::Tensor &output(const ProgramOutputs &outputs, const std::string &name, int64_t n_local,
                         const std::string &path);

// The device of that name. Throws egraff::Error if there is none.
at::Device choose_device(const std::string &name, const std::string &path);

} // namespace egraff
