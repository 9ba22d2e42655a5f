# SPDX-License-Identifier: GPL-2.0-or-later
"""Distance transforms and nuclear repulsion against their formulas, worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from egraff.nn.pairs import AgnesiTransform, SoftTransform, ZBLRepulsion, element_radii
from egraff.nn.radial import ChebyshevBasis, GaussianBasis


@pytest.fixture(autouse=True)
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_radii():
    assert element_radii(["H", "C", "O"]).tolist() == pytest.approx([0.31, 0.76, 0.66])


def test_agnesi():
    transform = AgnesiTransform(["C", "O"])
    s = 1.5 / (0.5 * (0.76 + 0.66))
    expected = 1.0 / (1.0 + 1.0805 * s**0.9183 / (1.0 + s ** (0.9183 - 4.5791)))
    got = transform(torch.tensor([1.5]), torch.tensor([0]), torch.tensor([1]))
    assert got.item() == pytest.approx(expected, rel=1e-12)
    far = transform(torch.tensor([0.1, 6.0]), torch.tensor([0, 0]), torch.tensor([0, 0]))
    assert 0.0 < far[1] < far[0] < 1.0


def test_soft_holds_short_distances_and_leaves_long_ones():
    transform = SoftTransform(["C"])
    bond = 2 * 0.76
    r = torch.tensor([0.05, 0.5 * (0.75 + 4 / 3) * bond, 6.0])
    species = torch.zeros(3, dtype=torch.int64)
    short, middle, long = transform(r, species, species).tolist()
    assert short == pytest.approx(0.75 * bond, abs=0.01)
    assert middle == pytest.approx(0.5 * (0.75 * bond + r[1].item()))
    assert long == pytest.approx(6.0, abs=1e-6)


def test_repulsion_of_two_carbon_atoms():
    zbl = ZBLRepulsion(["C"], 6.0)
    r = 0.5
    edges = torch.tensor([[0, 1], [1, 0]])
    got = zbl(torch.tensor([r, r]), torch.zeros(2, dtype=torch.int64), edges, 2)
    a = 0.4543 * 0.529 / (2 * 6**0.3)
    screening = sum(
        weight * math.exp(-decay * r / a)
        for weight, decay in zip(
            (0.1818, 0.5099, 0.2802, 0.02817), (3.2, 0.9423, 0.4028, 0.2016), strict=True
        )
    )
    x = r / (2 * 0.76)
    envelope = 1 - 28 * x**6 + 48 * x**7 - 21 * x**8
    expected = 14.3996 * 36 / r * screening * envelope
    assert got.sum().item() == pytest.approx(expected, rel=1e-12)
    assert got[0] == got[1]


def test_repulsion_ends_at_the_bond_length_and_without_edges():
    zbl = ZBLRepulsion(["H", "C"], 6.0)
    edges = torch.tensor([[0, 1], [1, 0]])
    species = torch.tensor([0, 1])
    assert torch.count_nonzero(zbl(torch.full((2,), 1.08), species, edges, 2)) == 0
    assert torch.equal(zbl(torch.zeros(0), species, edges[:, :0], 2), torch.zeros(2))


def test_repulsion_of_a_float32_model_is_not_rounded():
    zbl = ZBLRepulsion(["C"], 6.0).float()
    r = torch.linspace(0.3, 1.5, 40, dtype=torch.float64)
    species = torch.zeros(40, dtype=torch.int64)
    edges = torch.stack([torch.arange(40), torch.arange(40)])
    single = zbl(r, species, edges, 40)
    double = zbl.double()(r, species, edges, 40)
    assert torch.equal(single, double)


def test_gaussian_basis():
    values = GaussianBasis(5, 4.0)(torch.tensor([1.0, 1.5]))
    expected = [[math.exp(-0.5 * (d - c) ** 2) for c in range(5)] for d in (1.0, 1.5)]
    torch.testing.assert_close(values, torch.tensor(expected))


def test_chebyshev_basis():
    angle = torch.tensor([0.3, 1.2])
    expected = torch.stack([torch.cos(n * angle) for n in range(1, 6)], dim=1)
    torch.testing.assert_close(ChebyshevBasis(5)(torch.cos(angle)), expected)
    assert ChebyshevBasis(5)(torch.zeros(0)).shape == (0, 5)
