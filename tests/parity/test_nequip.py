# SPDX-License-Identifier: GPL-2.0-or-later
"""NequIP gives the numbers of nequip 0.19.1 with the same weights."""

from __future__ import annotations

import pytest

from egraff.errors import InputError
from egraff.interop.nequip import convert_config, convert_state
from tests.parity.comparison import assert_parity, converted, fixtures, read


@pytest.mark.parametrize("path", fixtures("nequip"))
def test_parity(path):
    reference = read(path)
    config = {**reference.case["config"], "model_dtype": reference.case["dtype"]}
    options, state = convert_state(config, reference.weights)
    assert_parity(converted("nequip", options, state), reference)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("readout_mlp_nonlinearity", "mish"),
        ("convnet_nonlinearity_type", "norm"),
        ("pair_potential", {"_target_": "nequip.nn.pair_potential.ZBL"}),
        ("a_new_option", 1),
    ],
)
def test_what_egraff_lacks_is_refused_by_name(name, value):
    config = {"type_names": ["H", "O"], "r_max": 4.0, name: value}
    with pytest.raises(InputError) as caught:
        convert_config(config)
    assert caught.value.field == name
    assert f"egraff's NequIP has no {name} = {value!r}" in str(caught.value)


def test_neighbours_of_each_element_in_the_order_of_the_elements():
    config = {"type_names": ["H", "O"], "r_max": 4.0, "avg_num_neighbors": {"O": 4.0, "H": 3.0}}
    assert convert_config(config)["avg_num_neighbours"] == [3.0, 4.0]


def test_not_a_nequip_state():
    with pytest.raises(InputError, match=r"expected a weight \.\.\.type_embed"):
        convert_state({"type_names": ["H"], "r_max": 4.0}, {})


def test_options_of_another_model():
    reference = read(fixtures("nequip")[0].values[0])
    config = {**reference.case["config"], "radial_mlp_depth": 3}
    with pytest.raises(InputError, match=r"expected layers\.0\..* of shape \[6, 6\], got \[6, 8\]"):
        convert_state(config, reference.weights)
