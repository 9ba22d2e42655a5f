# SPDX-License-Identifier: GPL-2.0-or-later
"""Equivariant polynomials: how many there are, that they are equivariant, and their scale."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from e3nn import o3

from egraff.nn.polynomials import multiplicity, polynomial_basis
from egraff.nn.symmetric_contraction import SymmetricContraction

VARIABLES = ["0e + 1o", "0e + 1o + 2e", "0e + 0o + 1o + 1e", "0e + 1o + 2e + 3o"]


@pytest.fixture(autouse=True)
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def count_by_characters(irreps: o3.Irreps, irrep: o3.Irrep, degree: int) -> int:
    """Return how often an irrep occurs in the symmetric power, from characters of O(3)."""
    angles = (np.arange(2000) + 0.5) * np.pi / 2000
    measure = (1.0 - np.cos(angles)) / np.pi * (np.pi / 2000)

    def character(power: int, parity: int, of=irreps):
        return sum(
            block.mul
            * (block.ir.p**power if parity < 0 else 1)
            * np.cos(np.arange(-block.ir.l, block.ir.l + 1)[:, None] * power * angles).sum(0)
            for block in of
        )

    total = 0.0
    for parity in (1, -1):
        one, two, three = (character(power, parity) for power in (1, 2, 3))
        symmetric = {1: one, 2: (one**2 + two) / 2, 3: (one**3 + 3 * one * two + 2 * three) / 6}
        own = character(1, parity, o3.Irreps([(1, irrep)]))
        total += (symmetric[degree] * own * measure).sum() / 2
    return round(float(total))


@pytest.mark.parametrize("variables", VARIABLES)
@pytest.mark.parametrize("irrep", ["0e", "0o", "1o", "1e", "2e"])
@pytest.mark.parametrize("degree", [1, 2, 3])
def test_complete_and_equivariant(variables, irrep, degree):
    variables, irrep = o3.Irreps(variables), o3.Irrep(irrep)
    basis = polynomial_basis(variables, irrep, degree)
    assert len(basis) == count_by_characters(variables, irrep, degree)

    torch.manual_seed(degree)
    turn = -o3.rand_matrix()
    x = variables.randn(-1)
    turned = variables.D_from_matrix(turn) @ x
    before = torch.from_numpy(evaluate(basis, x)) @ irrep.D_from_matrix(turn).T
    np.testing.assert_allclose(evaluate(basis, turned), before.numpy(), rtol=0, atol=1e-11)


def evaluate(basis, x: torch.Tensor) -> np.ndarray:
    values = x.numpy()
    monomials = np.array([np.prod(values[list(monomial)]) for monomial in basis.monomials])
    return basis.coefficients @ monomials


@pytest.mark.parametrize("degree", [2, 3])
def test_orthogonal_with_the_norm_of_coupled_coefficients(degree):
    variables, irrep = o3.Irreps("0e + 1o + 2e"), o3.Irrep("1o")
    basis = polynomial_basis(variables, irrep, degree)
    metric = np.array([1.0 / multiplicity(monomial) for monomial in basis.monomials])
    overlaps = np.einsum("kom,lom,m->kl", basis.coefficients, basis.coefficients, metric)
    np.testing.assert_allclose(overlaps, 3.0 * np.eye(len(basis)), atol=1e-12)


def test_the_square_of_a_vector_is_its_squared_length():
    basis = polynomial_basis(o3.Irreps("1o"), o3.Irrep("0e"), 2)
    vector = torch.tensor([0.3, -1.2, 0.5])
    length = float((vector**2).sum())
    np.testing.assert_allclose(abs(evaluate(basis, vector)), [[length / np.sqrt(3.0)]], rtol=1e-12)


def test_multiplicity():
    assert [multiplicity(m) for m in [(0,), (0, 0), (0, 1), (0, 0, 1), (0, 1, 2)]] == [
        1,
        1,
        2,
        3,
        6,
    ]


def test_contraction_is_the_sum_of_weighted_polynomials():
    torch.manual_seed(0)
    channels, irreps_out = 3, o3.Irreps("3x0e + 3x1o")
    variables = o3.Irreps("0e + 1o + 2e")
    irreps_in = o3.Irreps([(channels, block.ir) for block in variables])
    contraction = SymmetricContraction(irreps_in, irreps_out, 3, 2)
    x = irreps_in.randn(4, -1)
    species = torch.tensor([0, 1, 1, 0])

    parts = [
        x[:, part].reshape(4, channels, block.ir.dim)
        for block, part in zip(irreps_in, irreps_in.slices(), strict=True)
    ]
    per_channel = torch.cat(parts, dim=2)
    expected = []
    for block, irrep in zip(contraction.blocks, ["0e", "1o"], strict=True):
        irrep = o3.Irrep(irrep)
        total = torch.zeros(4, channels, irrep.dim)
        for degree in block.degrees:
            basis = polynomial_basis(variables, irrep, degree.index + 1)
            for atom in range(4):
                for channel in range(channels):
                    values = torch.from_numpy(evaluate(basis, per_channel[atom, channel]))
                    weights = degree.weight[:, species[atom], channel].detach()
                    total[atom, channel] += weights @ values
        expected.append(total.reshape(4, -1))
    torch.testing.assert_close(contraction(x, species), torch.cat(expected, dim=1))
    assert contraction(x[:0], species[:0]).shape == (0, irreps_out.dim)
