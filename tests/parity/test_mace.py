# SPDX-License-Identifier: GPL-2.0-or-later
"""MACE gives the numbers of mace-torch 0.3.16 with the same weights."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from e3nn import o3

from egraff.errors import InputError
from egraff.interop.mace import change_of_basis, convert_config, convert_state
from egraff.nn.polynomials import multiplicity, polynomial_basis
from tests.parity.comparison import (
    assert_parity,
    converted,
    fixtures,
    original,
    read,
    too_coarse,
)


@pytest.mark.parametrize("path", fixtures("mace"))
def test_parity(path):
    reference = original(path)
    options, state = convert_state(reference.case["config"], reference.weights)
    assert_parity(converted("mace", options, state), reference)


def test_the_originals_float32_is_too_coarse_for_close_atoms_with_zbl_alone():
    found = set()
    for fixture in fixtures("mace"):
        (path,) = fixture.values
        double = path.with_name(path.name.replace("_float32", "_float64"))
        pairs = zip(read(path).structures, read(double).structures, strict=True)
        found |= {(path.stem, key) for pair in pairs for key in too_coarse(*pair)}
    case = "unscaled_zbl_soft_gaussian_float32"
    assert found == {(case, "forces"), (case, "stress")}


def arguments() -> dict[str, Any]:
    return dict(read(fixtures("mace")[0].values[0]).case["config"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("class", "AtomicDipolesMACE"),
        ("interaction_cls", "RealAgnosticResidualNonLinearInteractionBlock"),
        ("interaction_cls_first", "RealAgnosticAttResidualInteractionBlock"),
        ("use_so3", True),
        ("embedding_specs", {"charge": {}}),
        ("readout_cls", "NonLinearBiasReadoutBlock"),
        ("MLP_irreps", "16x0e + 16x1o"),
        ("a_new_argument", 1),
    ],
)
def test_what_egraff_lacks_is_refused_by_name(name, value):
    with pytest.raises(InputError) as caught:
        convert_config({**arguments(), name: value}, "float64")
    assert caught.value.field == name
    assert f"egraff's MACE has no {name} = {value!r}" in str(caught.value)


def test_arguments_of_another_model():
    reference = read(fixtures("mace")[0].values[0])
    config = {**reference.case["config"], "num_interactions": 4}
    with pytest.raises(InputError, match=r"expected layers\.3\..* of shape \[9\], got \[27\]"):
        convert_state(config, reference.weights)


def test_coefficients_that_are_not_equivariant():
    coefficients = torch.zeros(4, 4, 1)
    coefficients[0, 1, 0] = 1.0
    with pytest.raises(InputError, match="expected equivariant coefficients of degree 2 for 0e"):
        change_of_basis(o3.Irreps("0e + 1o"), o3.Irrep("0e"), 2, coefficients)


def test_any_equivariant_coefficients_can_be_expressed():
    """Coefficients as a reduced basis has them: symmetric, fewer than egraff's own, mixed."""
    variables, irrep = o3.Irreps("0e + 1o + 2e"), o3.Irrep("1o")
    basis = polynomial_basis(variables, irrep, 2)
    mixing = torch.tensor([[0.3], [-1.2]], dtype=torch.float64)
    coefficients = torch.zeros(3, 9, 9, 1, dtype=torch.float64)
    for column, monomial in enumerate(basis.monomials):
        value = torch.from_numpy(basis.coefficients[:, :, column]).T @ mixing
        for i, j in set(itertools.permutations(monomial)):
            coefficients[:, i, j] = value / multiplicity(monomial)
    change = change_of_basis(variables, irrep, 2, coefficients)
    torch.testing.assert_close(change, mixing)
