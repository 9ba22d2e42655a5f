# SPDX-License-Identifier: GPL-2.0-or-later
"""BOTNet gives the numbers of its authors' code with the same weights."""

from __future__ import annotations

from typing import Any

import pytest

from egraff.errors import InputError
from egraff.interop.botnet import convert_config, convert_state
from tests.parity.comparison import assert_parity, converted, fixtures, read


@pytest.mark.parametrize("path", fixtures("botnet"))
def test_parity(path):
    reference = read(path)
    options, state = convert_state(reference.case["config"], reference.weights)
    assert_parity(converted("botnet", options, state), reference)


def arguments() -> dict[str, Any]:
    return dict(read(fixtures("botnet")[0].values[0]).case["config"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("class", "AceModel"),
        ("interaction_cls", "NequIPInteractionBlock"),
        ("interaction_cls_first", "SimpleInteractionBlock"),
        ("MLP_irreps", "16x0e + 16x1o"),
        ("a_new_argument", 1),
    ],
)
def test_what_egraff_lacks_is_refused_by_name(name, value):
    with pytest.raises(InputError) as caught:
        convert_config({**arguments(), name: value}, "float64")
    assert caught.value.field == name
    assert f"egraff's BOTNet has no {name} = {value!r}" in str(caught.value)


def test_arguments_of_another_model():
    reference = read(fixtures("botnet")[0].values[0])
    config = {**reference.case["config"], "num_interactions": 7}
    with pytest.raises(InputError, match=r"expected a weight interactions\.4\.linear_up\.weight"):
        convert_state(config, reference.weights)
