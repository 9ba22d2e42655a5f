# SPDX-License-Identifier: GPL-2.0-or-later
"""Bases of equivariant polynomials: the generalised Clebsch-Gordan coefficients of ACE and MACE.

MACE (arXiv:2206.07697, eq. 10) contracts nu copies of the same features A with coefficients
C^{LM}_{eta, lm}. Because the copies are the same, only what is symmetric in them counts: the
contraction is a homogeneous polynomial of degree nu in A that transforms like the irrep L. All
such polynomials of degree nu follow from those of degree nu - 1, multiplied by A once more and
coupled with a Clebsch-Gordan coefficient; what is linearly dependent is left out. That works for
any degree, and never makes a tensor with nu indices.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch
from e3nn import o3
from numpy.typing import NDArray

# A polynomial is new if more than this much of it is outside the span of those before it, and it
# is not zero itself (an antisymmetric coupling of equal vectors). What occurs is either rounding
# (1e-15) or of order one.
_INDEPENDENT = 1e-6


@dataclass(frozen=True)
class PolynomialBasis:
    """All independent polynomials of one degree that transform like one irrep.

    Attributes:
        monomials: the factors of each monomial, in ascending order.
        coefficients: ``[n_polynomials, irrep.dim, n_monomials]``. The polynomials are orthogonal
            as symmetric tensors, with squared norm ``irrep.dim``, like coupled Clebsch-Gordan
            coefficients of unit component normalisation.
    """

    monomials: list[tuple[int, ...]]
    coefficients: NDArray[np.float64]

    def __len__(self) -> int:
        return self.coefficients.shape[0]


def polynomial_basis(irreps: o3.Irreps, irrep: o3.Irrep, degree: int) -> PolynomialBasis:
    """Return the equivariant polynomials of ``degree`` in one vector of ``irreps``.

    Args:
        irreps: how the variables transform; each block has multiplicity one.
        irrep: how the polynomials transform.
        degree: 1 or more.
    """
    found = _all_bases(str(irreps), degree, irrep.l).get(irrep)
    monomials = _monomials(irreps.dim, degree)
    if found is None:
        found = np.zeros((0, irrep.dim, len(monomials)))
    return PolynomialBasis(monomials, found)


@functools.cache
def _monomials(n_variables: int, degree: int) -> list[tuple[int, ...]]:
    return list(itertools.combinations_with_replacement(range(n_variables), degree))


def multiplicity(monomial: tuple[int, ...]) -> int:
    """Return how many entries of a symmetric tensor belong to a monomial."""
    repeats = math.prod(math.factorial(count) for count in Counter(monomial).values())
    return math.factorial(len(monomial)) // repeats


@functools.cache
def _all_bases(irreps_name: str, degree: int, l_max: int) -> dict[o3.Irrep, NDArray[np.float64]]:
    """Return the bases of all irreps up to ``l_max``."""
    irreps = o3.Irreps(irreps_name)
    if degree == 1:
        return _variables(irreps, l_max)
    # coupling with one more vector lowers l by at most the largest l of the vector
    lower = _all_bases(irreps_name, degree - 1, l_max + irreps.lmax)
    weights = np.array([1.0 / multiplicity(m) for m in _monomials(irreps.dim, degree)])
    spaces: dict[o3.Irrep, _Span] = {}
    for ir_left in sorted(lower):
        for (_, ir_right), part in zip(irreps, irreps.slices(), strict=True):
            for irrep in ir_left * ir_right:
                if irrep.l <= l_max:
                    products = _product(irreps, degree, lower[ir_left], ir_right, part, irrep)
                    span = spaces.setdefault(irrep, _Span(weights, irrep.dim))
                    for product in products:
                        span.add(product)
    return {irrep: np.stack(span.members) for irrep, span in spaces.items() if span.members}


def _variables(irreps: o3.Irreps, l_max: int) -> dict[o3.Irrep, NDArray[np.float64]]:
    """Return the bases of degree one: the variables themselves."""
    bases: dict[o3.Irrep, list[NDArray[np.float64]]] = {}
    for (_, irrep), part in zip(irreps, irreps.slices(), strict=True):
        if irrep.l <= l_max:
            bases.setdefault(irrep, []).append(np.eye(irreps.dim)[part])
    return {irrep: np.stack(members) for irrep, members in bases.items()}


def _product(
    irreps: o3.Irreps,
    degree: int,
    left: NDArray[np.float64],
    ir_right: o3.Irrep,
    part: slice,
    irrep: o3.Irrep,
) -> NDArray[np.float64]:
    """Couple polynomials of one degree less with one block of the variables.

    Args:
        irreps: the variables.
        degree: of the result.
        left: ``[n, ir_left.dim, n_monomials(degree - 1)]``.
        ir_right: irrep of the block.
        part: where the block is among the variables.
        irrep: what to couple to.

    Returns:
        ``[n, irrep.dim, n_monomials(degree)]``.
    """
    l_left = (left.shape[1] - 1) // 2
    # not in the default dtype: the result is kept for models of any dtype
    coupling = o3.wigner_3j(l_left, ir_right.l, irrep.l, dtype=torch.float64).numpy()
    terms = np.einsum("kam,aio->komi", left, coupling * math.sqrt(irrep.dim))
    index = {monomial: i for i, monomial in enumerate(_monomials(irreps.dim, degree))}
    target = np.array(
        [
            [index[tuple(sorted((*monomial, i)))] for i in range(part.start, part.stop)]
            for monomial in _monomials(irreps.dim, degree - 1)
        ]
    )
    result = np.zeros((len(left), irrep.dim, len(index)))
    np.add.at(result, (slice(None), slice(None), target), terms)
    return result


class _Span:
    """Grows an orthogonal basis by Gram-Schmidt, in the order in which members come.

    The order, and so the basis, is part of what a checkpoint means: no pivoting, no eigenvectors.
    """

    def __init__(self, weights: NDArray[np.float64], dim: int) -> None:
        self.root = np.sqrt(weights)
        self.dim = dim
        self.members: list[NDArray[np.float64]] = []
        self._orthonormal = np.zeros((0, dim * len(weights)))

    def add(self, polynomial: NDArray[np.float64]) -> None:
        """Add a polynomial ``[dim, n_monomials]`` unless it depends on those before it."""
        vector = (polynomial * self.root).ravel()
        size = np.linalg.norm(vector)
        if size < _INDEPENDENT:
            return
        vector = vector / size
        for _ in range(2):  # once more, for the rounding of the first time
            vector = vector - self._orthonormal.T @ (self._orthonormal @ vector)
            remainder = np.linalg.norm(vector)
            if remainder < _INDEPENDENT:
                return
            vector = vector / remainder
        self._orthonormal = np.vstack([self._orthonormal, vector])
        shaped = vector.reshape(self.dim, len(self.root)) / self.root
        self.members.append(shaped * math.sqrt(self.dim))
