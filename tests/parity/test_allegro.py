# SPDX-License-Identifier: GPL-2.0-or-later
"""Allegro gives the numbers of nequip-allegro 0.8.3 with the same weights."""

from __future__ import annotations

import pytest

from egraff.errors import InputError
from egraff.interop.allegro import convert_config, convert_state
from tests.parity.comparison import assert_parity, converted, fixtures, read

BESSEL = {"_target_": "allegro.nn.TwoBodyBesselScalarEmbed"}


@pytest.mark.parametrize("path", fixtures("allegro"))
def test_parity(path):
    reference = read(path)
    options, state = convert_state(reference.case["config"], reference.weights)
    assert_parity(converted("allegro", options, state), reference)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (
            "readout_mlp_nonlinearity",
            "softplus",
            "; expected silu or mish or gelu or ssp or tanh or None or null",
        ),
        ("pair_potential", {"_target_": "nequip.nn.pair_potential.ZBL"}, "; expected None"),
        ("a_new_option", 1, ""),
    ],
)
def test_what_egraff_lacks_is_refused_by_name(name, value, expected):
    config = {"type_names": ["H", "O"], "r_max": 4.0, "radial_chemical_embed": BESSEL, name: value}
    with pytest.raises(InputError) as caught:
        convert_config(config)
    assert str(caught.value) == (
        f"{name}: egraff's Allegro has no {name} = {value!r}{expected}\n"
        "  fix: this model cannot be converted"
    )


@pytest.mark.parametrize(
    ("embedding", "name"),
    [
        ({"_target_": "elsewhere.Embedding"}, "radial_chemical_embed = 'Embedding'"),
        ({**BESSEL, "extra": 2}, "radial_chemical_embed.extra = 2"),
    ],
)
def test_unknown_embedding_is_refused(embedding, name):
    with pytest.raises(InputError, match=f"egraff's Allegro has no {name}"):
        convert_config({"type_names": ["H"], "r_max": 4.0, "radial_chemical_embed": embedding})


def test_neighbours_of_each_element_in_the_order_of_the_elements():
    config = {
        "type_names": ["H", "O"],
        "r_max": 4.0,
        "radial_chemical_embed": BESSEL,
        "avg_num_neighbors": {"O": 4.0, "H": 3.0},
    }
    assert convert_config(config)["avg_num_neighbours"] == [3.0, 4.0]


def test_not_an_allegro_state():
    config = {"type_names": ["H"], "r_max": 4.0, "radial_chemical_embed": BESSEL}
    with pytest.raises(InputError, match=r"expected a weight \.\.\.allegro\.first_layer.*none"):
        convert_state(config, {})


def test_options_of_another_model():
    reference = read(fixtures("allegro")[0].values[0])
    config = {**reference.case["config"], "allegro_mlp_hidden_layers_depth": 3}
    with pytest.raises(
        InputError, match=r"expected layers\.0\..* of shape \[6, 6\], got \[6, 12\]"
    ):
        convert_state(config, reference.weights)
