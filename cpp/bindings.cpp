// SPDX-License-Identifier: GPL-2.0-or-later
#include "ops/exchange.h"
#include <torch/csrc/utils/pybind.h>

PYBIND11_MODULE(_core, module) {
    py::module_::import("torch");
    module.def("backend_active", [] { return egraff::exchange_backend() != nullptr; });
}
