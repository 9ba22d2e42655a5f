# SPDX-License-Identifier: GPL-2.0-or-later
"""Models with other elements: what remains is what it was."""

from __future__ import annotations

import pytest
import torch
from ase import Atoms

from egraff.forces import predict
from egraff.graph import build_graph
from egraff.models import ARCHITECTURES, build
from egraff.training.transfer import most_like, with_elements

# ways in which weights belong to elements that the tiny models do not have
VARIANTS = [(name, {}) for name in ARCHITECTURES] + [
    ("allegro", {"radial_basis": "spline"}),
    ("mace", {"heads": ["a", "b"], "head": "b"}),
    ("mace", {"zbl": True, "distance_transform": "agnesi"}),
    ("mace", {"species_product": False}),
    ("nequip", {"group": "so3", "parity": False, "first_self_connection": True}),
    ("nequip", {"avg_num_neighbours": [2.0, 3.0, 4.0]}),
    ("nequip", {"pair_cutoffs": {"H": 2.5, "O": {"H": 3.0}}}),
]


def energies(model, atoms):
    graph = build_graph(
        atoms.get_chemical_symbols(),
        atoms.positions,
        atoms.cell.array,
        atoms.pbc,
        elements=model.elements,
        r_max=model.r_max,
        pair_cutoffs=model.pair_cutoffs,
    )
    found = predict(model.eval(), graph)
    return torch.cat([found.atomic_energy[:, None], found.forces], dim=1)


@pytest.fixture(params=VARIANTS, ids=lambda v: "-".join([v[0], *v[1]]))
def model(request):
    name, changes = request.param
    options = {**ARCHITECTURES[name].Config.tiny, **changes}
    unknown = set(options) - set(ARCHITECTURES[name].Config.model_fields)
    assert not unknown
    shift = [-1.0, -2.0, -3.0]
    return build(
        name,
        seed=3,
        elements=["H", "C", "O"],
        r_max=4.0,
        dtype="float64",
        energy_shift=shift,
        energy_scale=[1.0, 1.5, 2.0],
        **options,
    )


WATER = Atoms("OH2OH", positions=[[0, 0, 0], [0.9, 0.2, 0], [-0.3, 0.9, 0], [1, 1, 2], [2, 0, 1.5]])


def test_dropped_and_added_elements_leave_the_others_as_they_were(model):
    expected = energies(model, WATER)
    fewer = with_elements(model, ["O", "H"], energy_shift=[-3.0, -1.0])
    # sums over elements in another order: rounding of float64, on energies of some eV
    torch.testing.assert_close(energies(fewer, WATER), expected, rtol=1e-12, atol=1e-12)
    more = with_elements(model, ["H", "S", "C", "O"], energy_shift=[-1.0, -9.0, -2.0, -3.0])
    torch.testing.assert_close(energies(more, WATER), expected, rtol=1e-12, atol=1e-12)


def test_a_new_element_starts_as_the_one_that_is_most_like_it(model):
    # there the element itself decides, so that S is not to start as O
    if getattr(model.config, "zbl", False) or model.config.pair_cutoffs:
        pytest.skip("nuclear charges, radii and cutoffs are the element's own")
    more = with_elements(model, ["H", "C", "O", "S"], energy_shift=[-1.0, -2.0, -3.0, -3.0])
    expected = energies(model, WATER)
    sulphur = WATER.copy()
    sulphur.symbols[sulphur.symbols == "O"] = "S"
    torch.testing.assert_close(energies(more, sulphur), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("new", "known", "like"),
    [
        ("Na", ["H", "Li", "Mg", "K"], "Li"),  # of the group, nearest in number (8 against 8)
        ("S", ["C", "N", "O", "P"], "O"),
        ("Si", ["Al", "P", "H"], "Al"),  # none of its group
        ("He", ["Be", "Ne"], "Ne"),
        ("Hf", ["Zr", "Ta"], "Zr"),
        ("Ce", ["La", "Ba"], "La"),
        ("Tl", ["In", "Pb"], "In"),
        ("Cl", ["Mn", "Br"], "Br"),
    ],
)
def test_most_like(new, known, like):
    assert most_like(new, known) == like
