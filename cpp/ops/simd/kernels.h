// SPDX-License-Identifier: GPL-2.0-or-later
//
// How operators get at their kernels. A table of kernels is a struct of pointers to functions that
// its kernel source fills for the instruction set that it is compiled for:
//
//   template <typename T> struct Kernels {
//       void (*forward)(const ForwardArgs<T> &);
//       template <simd::InstructionSet> static Kernels make();
//   };
#pragma once

#include "ops/simd/instruction_set.h"

namespace egraff::simd {

// The best set for this processor; torch's environment variable ATEN_CPU_CAPABILITY lowers it.
InstructionSet instruction_set();

template <typename Table> Table make_kernels() {
#ifdef EGRAFF_X86_KERNELS
    switch (instruction_set()) {
    case InstructionSet::AVX512:
        return Table::template make<InstructionSet::AVX512>();
    case InstructionSet::AVX2:
        return Table::template make<InstructionSet::AVX2>();
    case InstructionSet::BASELINE:
        break;
    }
#endif
    return Table::template make<InstructionSet::BASELINE>();
}

// The kernels for this processor.
template <typename Table> const Table &kernels() {
    static const Table table = make_kernels<Table>();
    return table;
}

} // namespace egraff::simd
