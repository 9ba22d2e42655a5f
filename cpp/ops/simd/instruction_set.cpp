// SPDX-License-Identifier: GPL-2.0-or-later
#include "ops/simd/kernels.h"

#include <ATen/Version.h>

#include <string>

namespace egraff::simd {

InstructionSet instruction_set() {
    const std::string capability = at::get_cpu_capability();
    return capability == "AVX512" ? InstructionSet::AVX512
           : capability == "AVX2" ? InstructionSet::AVX2
                                  : InstructionSet::BASELINE;
}

} // namespace egraff::simd
