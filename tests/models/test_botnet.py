# SPDX-License-Identifier: GPL-2.0-or-later
"""BOTNet: the contract, its options, and that its body order is what the paper says."""

from __future__ import annotations

import itertools
from typing import ClassVar

import pytest
from ase import Atoms

from egraff.errors import InputError
from egraff.forces import predict
from egraff.models import build
from egraff.models.botnet import BOTNet
from tests.models.configs import small_config
from tests.models.contract import ModelContract
from tests.models.structures import graph_of, molecule


class TestBOTNet(ModelContract):
    architecture = "botnet"
    configs: ClassVar = {
        "element dependent, pair cutoffs": {
            "interaction_first": "element_dependent",
            "interaction": "element_dependent_residual",
            "pair_cutoffs": {"H": 2.5, "O": {"H": 3.0, "C": 3.5}},
            "gate": "tanh",
        },
        "linear, both parities, residual first": {
            "n_layers": 2,
            "hidden_irreps": "2x0o + 3x0e + 2x1o + 2x1e + 1x2e",
            "interaction_first": "agnostic_residual",
            "interaction": "agnostic",
            "readout": "linear",
            "last_readout_only": True,
        },
    }


@pytest.mark.parametrize("n_layers", [1, 2])
def test_body_order(n_layers):
    """With linear readouts, terms of more than n_layers + 1 bodies vanish, and others do not."""
    options = {**small_config("botnet"), "n_layers": n_layers, "readout": "linear"}
    model = build("botnet", seed=3, **{**options, "dtype": "float64"})
    assert abs(many_body_energy(model, molecule()[: n_layers + 1])) > 1e-5
    assert abs(many_body_energy(model, molecule()[: n_layers + 2])) < 1e-11


def many_body_energy(model: BOTNet, atoms: Atoms) -> float:
    """Return the part of the energy that needs all atoms, in eV, by inclusion and exclusion."""
    total = 0.0
    for size in range(1, len(atoms) + 1):
        for members in itertools.combinations(range(len(atoms)), size):
            energy = predict(model, graph_of(model, atoms[list(members)])).energy.item()
            total += (-1) ** (len(atoms) - size) * energy
    return total


def test_isolated_atom_as_in_the_original():
    options = {**small_config("botnet"), "interaction_first": "agnostic_residual"}
    model = build("botnet", seed=1, **options, isolated_atom="network")
    energy = predict(model, graph_of(model, Atoms("O"))).energy.item()
    assert abs(energy - small_config("botnet")["energy_shift"][2]) > 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_irreps": "4x1o"}, "expected even scalars among the irreps, got 4x1o"),
        ({"hidden_irreps": "4x0e + 2x0e"}, "expected each irrep once, got 4x0e+2x0e"),
        ({"hidden_irreps": "four"}, "expected irreps such as 16x0e+8x1o, got 'four'"),
        ({"interaction": "attention"}, "element_dependent_residual"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(InputError) as caught:
        build("botnet", **{**small_config("botnet"), **options})
    assert message in str(caught.value)
