# SPDX-License-Identifier: GPL-2.0-or-later
"""Equiformer gives the numbers of the authors' code (``equiformer/``), on molecules.

The original has no periodic boundaries, hence no stress. Its Bessel basis is not compared.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from ase.data import chemical_symbols

from egraff.errors import InputError
from egraff.interop.equiformer import convert_state
from tests.parity.comparison import Reference, assert_parity, converted, fixtures, read


@pytest.mark.parametrize("path", fixtures("equiformer"))
def test_parity(path: Path):
    reference = read(path)
    config, state = convert_state(
        reference.case["config"],
        reference.weights,
        elements=[chemical_symbols[number] for number in reference.case["elements"]],
    )
    assert_parity(converted("equiformer", config, state), reference)


@pytest.fixture
def reference() -> Reference:
    return read(fixtures("equiformer")[0].values[0])


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("basis_type", "bessel", "exp or gaussian"),
        ("rescale_degree", True, "False"),
        ("use_attn_head", True, "False"),
        ("norm_layer", "graph", "layer"),
    ],
)
def test_options_without_counterpart_are_refused(reference, field, value, expected):
    config = {**reference.case["config"], field: value}
    with pytest.raises(InputError) as caught:
        convert_state(config, reference.weights, elements=["H"])
    assert str(caught.value) == (
        f"{field}: egraff's Equiformer has no {field} = {value!r}; expected {expected}\n"
        "  fix: this model cannot be converted"
    )


def test_unknown_options_are_refused(reference):
    config = {**reference.case["config"], "a_new_option": 1}
    with pytest.raises(InputError, match="egraff's Equiformer has no a_new_option = 1"):
        convert_state(config, reference.weights, elements=["H"])


def test_elements_beyond_the_embedding_are_refused(reference):
    with pytest.raises(InputError) as caught:
        convert_state(reference.case["config"], reference.weights, elements=["H", "Gd"])
    assert str(caught.value) == (
        "Equiformer model: elements: expected atomic numbers below 64, got Gd\n"
        "  fix: name only elements that the model has weights for"
    )
