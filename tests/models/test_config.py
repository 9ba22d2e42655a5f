# SPDX-License-Identifier: GPL-2.0-or-later
"""What a wrong option says, and what the options of every model mean."""

from __future__ import annotations

import pytest
import torch

from egraff.errors import InputError
from egraff.models import ARCHITECTURES, build, preset
from tests.models.configs import small_config


@pytest.mark.parametrize(
    ("options", "field", "message"),
    [
        ({"elements": ["H", "Xq"]}, "elements", "not chemical symbols: Xq"),
        ({"elements": ["H", "H"]}, "elements", "each element once, got ['H', 'H']"),
        ({"r_max": -1.0}, "r_max", "greater than 0"),
        ({"dtype": "float16"}, "dtype", "'float32' or 'float64'"),
        ({"energy_shift": [0.0, 1.0]}, "config", "energy_shift: expected 1 or 3 values, got 2"),
        ({"energy_scale": [1.0] * 4}, "config", "energy_scale: expected 1 or 3 values, got 4"),
        ({"pair_cutoffs": {"N": 3.0}}, "config", "pair_cutoffs: unknown elements N"),
        ({"pair_cutoffs": {"H": {"N": 3.0}}}, "config", "pair_cutoffs: unknown elements N"),
        ({"pair_cutoffs": {"H": 9.0}}, "config", "expected values in (0, r_max = 4.0]"),
        ({"lmax": 2}, "lmax", "Extra inputs are not permitted"),
        ({"n_features": [4]}, "config", "expected one number or l_max + 1 = 2 numbers, got 1"),
        ({"n_layers": 0}, "n_layers", "greater than or equal to 1"),
        (
            {"avg_num_neighbours": [4.0, 9.0]},
            "config",
            "avg_num_neighbours: expected one number or one for each of 3 elements, got 2",
        ),
    ],
)
def test_wrong_options_say_what_is_wrong(options, field, message):
    with pytest.raises(InputError) as caught:
        build("nequip", **{**small_config("nequip"), **options})
    assert caught.value.where == "model nequip"
    assert caught.value.field == field
    assert message in str(caught.value)
    assert "options of nequip: elements, r_max" in caught.value.fix


def test_unknown_architecture():
    with pytest.raises(InputError, match=r"expected one of .*nequip, .*got 'schnet'"):
        build("schnet", elements=["H"], r_max=4.0)


def test_unknown_preset():
    with pytest.raises(InputError, match=r"expected one of small, .*got 'huge'") as caught:
        preset("nequip", "huge")
    assert caught.value.field == "preset"


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_preset_is_a_valid_configuration(name):
    config = ARCHITECTURES[name].Config
    # what the benchmark called BOTNet is a MACE
    assert "egraffbench" in config.presets or name == "botnet"
    for options in [config.tiny, *config.presets.values()]:
        config(**{"elements": ["H", "O"], "r_max": 5.0, **options})


def test_seed_fixes_the_weights_and_leaves_torch_alone():
    before = torch.get_rng_state()
    one, two, other = (build("nequip", seed=s, **small_config("nequip")) for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one.embedding.weight, two.embedding.weight)
    assert not torch.equal(one.embedding.weight, other.embedding.weight)
    assert torch.get_default_dtype() == torch.float32


def test_one_number_for_all_elements():
    model = build("nequip", **{**small_config("nequip"), "energy_scale": 2, "energy_shift": -1.5})
    assert model.config.energy_scale == [2.0, 2.0, 2.0]
    assert model.config.energy_shift == [-1.5, -1.5, -1.5]


def test_pair_cutoffs_by_centre_then_neighbour():
    options = {**small_config("nequip"), "pair_cutoffs": {"H": 2.0, "O": {"H": 3.0}}}
    assert build("nequip", **options).pair_cutoffs == [
        [2.0, 2.0, 2.0],
        [4.0, 4.0, 4.0],
        [3.0, 4.0, 4.0],
    ]


def test_the_benchmarks_botnet_is_a_preset_of_mace():
    options = preset("mace", "mace-c1-n5")
    assert (options["correlation"], options["n_layers"]) == (1, 5)
