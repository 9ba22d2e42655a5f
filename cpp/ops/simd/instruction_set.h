// SPDX-License-Identifier: GPL-2.0-or-later
//
// Kernels, the inner loops of operators, are compiled once for every instruction set from the same
// source; see CMakeLists.txt. Their headers have plain structs and pointers only, because an inline
// function of the standard library that was compiled for AVX-512 could be the copy that the linker
// keeps for all. For the same reason all functions of a kernel source are its own, in an anonymous
// namespace, but for the one that makes its table.
#pragma once

namespace egraff::simd {

enum class InstructionSet { BASELINE, AVX2, AVX512 };

#ifdef EGRAFF_INSTRUCTION_SET
// what this kernel source is being compiled for
constexpr InstructionSet SET = InstructionSet::EGRAFF_INSTRUCTION_SET;
#endif

// channels that are processed together: one cache line, one AVX-512 register
template <typename T> inline constexpr int LANES = 64 / sizeof(T);

} // namespace egraff::simd
