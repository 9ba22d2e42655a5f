# SPDX-License-Identifier: GPL-2.0-or-later
"""MACE: the contract, for the options that change its structure, and what is special to it."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from ase import Atoms

from egraff.errors import InputError
from egraff.forces import predict
from egraff.models import build
from tests.models.configs import small_config
from tests.models.contract import ModelContract
from tests.models.structures import crystal, graph_of


class TestMACE(ModelContract):
    architecture = "mace"
    overfit_rate = 0.05
    configs: ClassVar = {
        "residual first, pseudotensors": {
            "hidden_irreps": "2x0e + 2x0o + 2x1o + 2x1e",
            "l_max": 1,
            "correlation": [3, 2],
            "interaction_first": "real_agnostic_residual",
            "interaction": "real_agnostic",
        },
        "density, agnesi, zbl, pair cutoffs": {
            "interaction_first": "real_agnostic_density",
            "interaction": "real_agnostic_density_residual",
            "distance_transform": "agnesi",
            "zbl": True,
            "pair_cutoffs": {"H": 2.5, "O": {"H": 3.0, "C": 3.5}},
            "apply_cutoff": False,
        },
        "one body more, scalars, soft, gaussian": {
            "hidden_irreps": "3x0e",
            "l_max": 3,
            "correlation": [4, 1],
            "radial_basis": "gaussian",
            "distance_transform": "soft",
            "heads": ["a", "b"],
            "head": "b",
            "species_product": False,
            "last_readout_only": True,
        },
    }


def heads() -> dict:
    return {
        **small_config("mace"),
        "dtype": "float64",
        "heads": ["dft", "ccsd"],
        "head_energy_shift": {"dft": [-1.0, -2.0, -3.0], "ccsd": [-10.0, -20.0, -30.0]},
        "head_energy_scale": {"dft": [1.0, 1.0, 1.0], "ccsd": [2.0, 2.0, 2.0]},
    }


def test_heads_share_features_and_differ_in_readouts_and_references():
    first, other = (build("mace", seed=1, **heads(), head=head) for head in ("dft", "ccsd"))
    assert all(
        torch.equal(a, b)
        for a, b in zip(first.layers.parameters(), other.layers.parameters(), strict=True)
    )
    assert other.config.energy_shift == [-10.0, -20.0, -30.0]
    graph = graph_of(first, crystal())
    assert not torch.allclose(predict(first, graph).forces, predict(other, graph).forces)
    alone = predict(other, graph_of(other, Atoms("O")))
    assert alone.energy.item() == -30.0


def test_the_first_head_is_used_unless_another_is_named():
    assert build("mace", **heads()).config.active_head() == "dft"


def test_isolated_atom_as_in_the_original():
    options = {**small_config("mace"), "interaction_first": "real_agnostic_residual"}
    with_network = build("mace", seed=1, **options, isolated_atom="network")
    energy = predict(with_network, graph_of(with_network, Atoms("O"))).energy.item()
    assert abs(energy - small_config("mace")["energy_shift"][2]) > 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_irreps": "4x1o + 4x0e"}, "expected even scalars first, as in 64x0e + 64x1o"),
        ({"hidden_irreps": "4x0e + 2x1o"}, "expected the same number of channels"),
        ({"hidden_irreps": "4x0e + 4x1o + 4x1o"}, "expected each irrep once"),
        ({"hidden_irreps": "4 scalars"}, "expected irreps such as 16x0e+8x1o, got '4 scalars'"),
        ({"edge_irreps": "wide"}, "expected irreps such as 16x0e+8x1o, got 'wide'"),
        ({"correlation": [3]}, "one for each of 2 layers, got [3]"),
        ({"correlation": 0}, "expected one positive number, or one for each of 2 layers, got 0"),
        ({"head": "x"}, "head: expected one of default, got 'x'"),
        ({"radial_basis": "chebyshev"}, "need distances in (0, 1), as distance_transform = agnesi"),
        (
            {"heads": ["a", "b"], "head_energy_shift": {"a": [0.0, 0.0, 0.0]}},
            "head_energy_shift: expected 3 values for each of a, b",
        ),
        (
            {"head_energy_scale": {"default": [0.0]}},
            "head_energy_scale: expected 3 values for each of default",
        ),
        ({"interaction": "attention"}, "real_agnostic_density_residual"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(InputError) as caught:
        build("mace", **{**small_config("mace"), **options})
    assert message in str(caught.value)
