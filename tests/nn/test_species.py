# SPDX-License-Identifier: GPL-2.0-or-later
"""Element-dependent blocks against e3nn and by hand."""

from __future__ import annotations

import math

import pytest
import torch
from e3nn import o3

from egraff.nn.species import EnergyScaleShift, SpeciesLinear


@pytest.mark.parametrize(
    ("irreps_in", "irreps_out"),
    [
        ("4x0e", "3x0e"),
        ("3x0e + 2x1o", "2x0e + 4x1o"),
        ("3x0e + 2x1o", "2x1o + 5x2e + 2x0e"),  # 2e cannot be reached and stays zero
    ],
)
@pytest.mark.parametrize("n_species", [1, 3])
def test_species_linear_is_the_product_with_the_one_hot_element(irreps_in, irreps_out, n_species):
    torch.manual_seed(0)
    irreps_in, irreps_out = o3.Irreps(irreps_in), o3.Irreps(irreps_out)
    linear = SpeciesLinear(irreps_in, irreps_out, n_species).double()
    product = o3.FullyConnectedTensorProduct(
        irreps_in, f"{n_species}x0e", irreps_out, irrep_normalization="component"
    ).double()

    # e3nn divides by sqrt(mul_in * n_species), for its one-hot input has unit norm, not unit
    # variance; ours divides by sqrt(mul_in)
    parts = {}
    for instruction, weight in zip(product.instructions, product.weight_views(), strict=True):
        parts[instruction.i_out] = weight
    with torch.no_grad():
        for k, block in enumerate(linear.blocks):
            if block.mul_in:
                block.weight.copy_(parts[k].permute(1, 0, 2) / math.sqrt(n_species))

    x = irreps_in.randn(7, -1).double()
    species = torch.randint(0, n_species, (7,))
    one_hot = torch.nn.functional.one_hot(species, n_species).double()
    torch.testing.assert_close(linear(x, species), product(x, one_hot), rtol=1e-12, atol=1e-12)
    assert linear(x[:0], species[:0]).shape == (0, irreps_out.dim)


def test_scale_and_shift_are_float64_whatever_comes_in():
    block = EnergyScaleShift([2.0, 3.0], [-1.0e4, -2.0e4])
    x = torch.tensor([0.5, 1.0e-3, 1.0], dtype=torch.float32)
    energy = block(x, torch.tensor([0, 1, 0]))
    assert energy.dtype == torch.float64
    expected = [-1.0e4 + 1.0, -2.0e4 + 3.0 * x[1].item(), -1.0e4 + 2.0]
    assert energy.tolist() == pytest.approx(expected, abs=1e-10)


def test_scale_and_shift_learn_only_on_request():
    fixed = EnergyScaleShift([1.0], [0.0])
    assert not any(weight.requires_grad for weight in fixed.parameters())
    free = EnergyScaleShift([1.0], [0.0], scale_trainable=True, shift_trainable=True)
    assert all(weight.requires_grad for weight in free.parameters())
