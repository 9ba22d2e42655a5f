// SPDX-License-Identifier: GPL-2.0-or-later
//
// Polynomials of an atom's features, for LANES channels at a time; see symmetric_contraction.cpp.
#pragma once

#include "ops/simd/instruction_set.h"

#include <cstdint>

namespace egraff::contraction {

// One monomial: the product of an earlier one and a variable. Variables are the first monomials.
struct Product {
    int32_t left;
    int32_t right;
};

// One term of a polynomial.
template <typename T> struct Term {
    int32_t monomial;
    int32_t component;
    T coefficient;
};

// Polynomials with a weight in common: the components of one irrep.
struct Path {
    int32_t first_term;
    int32_t last_term;
    int32_t first_component; // of all components of the result
    int32_t n_components;
};

template <typename T> struct ContractionArgs {
    int n_variables;
    int n_monomials;         // variables included
    const Product *products; // from n_variables on
    int n_paths;
    const Path *paths;
    const Term<T> *terms;
    const T *weights; // of this atom's element: [path], weights_stride apart, LANES each
    int64_t weights_stride;
    T *monomials;   // [n_monomials][LANES], the variables filled in
    T *result;      // [component][LANES]: in forward added to, in backward its gradient
    T *d_monomials; // [n_monomials][LANES], zero; the first rows become the derivative
};

template <typename T> struct Kernels {
    void (*forward)(const ContractionArgs<T> &);
    void (*backward)(const ContractionArgs<T> &);

    template <simd::InstructionSet> static Kernels make();
};

} // namespace egraff::contraction
