# SPDX-License-Identifier: GPL-2.0-or-later
"""The equivariant transformer gives the numbers of torchmd-net 3.1.0 (``torchmd_net/``)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from ase.data import chemical_symbols

from egraff.errors import InputError
from egraff.interop.torchmd_net import convert_state
from tests.parity.comparison import Reference, assert_parity, converted, fixtures, read


def elements_of(reference: Reference) -> list[str]:
    return [chemical_symbols[number] for number in reference.case["elements"]]


@pytest.mark.parametrize("path", fixtures("torchmd_net"))
def test_same_numbers(path: Path):
    reference = read(path)
    config, state = convert_state(
        reference.case["config"], reference.weights, elements=elements_of(reference)
    )
    # the original has no stress: it was differenced there, hence fewer digits
    assert_parity(converted("torchmd_net", config, state), reference, stress=1e-8)


@pytest.fixture
def reference() -> Reference:
    return read(fixtures("torchmd_net")[0].values[0])


def test_names_of_older_checkpoints(reference):
    older = {
        "model." + name.replace("update_net.layers.", "update_net."): value
        for name, value in reference.weights.items()
    }
    elements = elements_of(reference)
    _, state = convert_state(reference.case["config"], older, elements=elements)
    _, expected = convert_state(reference.case["config"], reference.weights, elements=elements)
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], expected[name]) for name in state)


def test_mean_is_refused_unless_dropped(reference):
    weights = {**reference.weights, "mean": torch.tensor(-3.5)}
    elements = elements_of(reference)
    with pytest.raises(InputError) as caught:
        convert_state(reference.case["config"], weights, elements=elements)
    assert str(caught.value) == (
        "torchmd-net model: mean: expected atomic energies only, got a constant of -3.5 per "
        "structure\n  fix: convert with drop_mean=True: energies lose the constant, forces stay"
    )
    convert_state(reference.case["config"], weights, elements=elements, drop_mean=True)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("model", "tensornet", "equivariant-transformer"),
        ("output_model", "DipoleMoment", "Scalar or EquivariantScalar"),
        ("prior_model", "ZBL", "None or Atomref"),
        ("reduce_op", "mean", "add or sum"),
        ("precision", 16, "32 or 64"),
    ],
)
def test_options_without_counterpart_are_refused(reference, field, value, expected):
    config = {**reference.case["config"], field: value}
    with pytest.raises(InputError) as caught:
        convert_state(config, reference.weights, elements=["H"])
    assert str(caught.value) == (
        f"{field}: egraff's TorchMD-Net has no {field} = {value!r}; expected {expected}\n"
        "  fix: this model cannot be converted"
    )


def test_elements_beyond_the_embedding_are_refused(reference):
    with pytest.raises(InputError) as caught:
        convert_state(reference.case["config"], reference.weights, elements=["H", "Na"])
    assert str(caught.value) == (
        "torchmd-net model: elements: expected atomic numbers below 10, got Na\n"
        "  fix: name only elements that the model has weights for"
    )


def test_weights_without_counterpart_are_refused(reference):
    name = "representation_model.attention_layers.1.gate.weight"
    weights = {**reference.weights, name: torch.ones(1)}
    with pytest.raises(InputError, match=f"egraff's TorchMD-Net has no weight {name}"):
        convert_state(reference.case["config"], weights, elements=["H"])
