# SPDX-License-Identifier: GPL-2.0-or-later
"""MACE gives the numbers of mace-torch 0.3.16 with the same weights."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from e3nn import o3

from egraff.errors import InputError
from egraff.interop.mace import change_of_basis, convert_config, convert_state
from egraff.nn.polynomials import multiplicity, polynomial_basis
from tests.parity.comparison import assert_parity, converted, fixtures, read


@pytest.mark.parametrize("path", fixtures("mace"))
def test_parity(path):
    reference = read(path)
    options, state = convert_state(reference.case["config"], reference.weights)
    rounding = own_rounding(path) if options["dtype"] == "float32" else {}
    limits = {key: 3.0 * value for key, value in rounding.items() if 3.0 * value > 1e-5}
    assert_parity(converted("mace", options, state), reference, **limits)


def own_rounding(path: Path) -> dict[str, float]:
    """Return how far the original's float32 is from its float64, relative.

    Where large contributions cancel (nuclear repulsion of close atoms), that is more than 1e-5.
    """
    pair = zip(
        read(path).structures,
        read(path.with_name(path.name.replace("float32", "float64"))).structures,
        strict=True,
    )
    worst: dict[str, float] = {}
    for single, double in pair:
        for key in {"energies", "forces", "stress"} & set(single):
            error = np.abs(single[key] - double[key]).max() / np.abs(double[key]).max()
            worst[key] = max(worst.get(key, 0.0), float(error))
    return worst


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
    with pytest.raises(InputError, match=r"expected a weight readouts\.3.*found none among"):
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
