# SPDX-License-Identifier: GPL-2.0-or-later
"""What the training set tells a model, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from egraff.data import frame_from_atoms
from egraff.errors import InputError
from egraff.training.config import check_config
from egraff.training.dataset import elements_of, frame_graph
from egraff.training.statistics import (
    ReferenceEnergies,
    energy_baseline,
    energy_scale,
    mean_neighbours,
    reference_energies,
)
from tests.training.toy import write


def atoms(symbols: str, energy: float, forces) -> Atoms:
    made = Atoms(symbols)
    made.positions[:, 0] = 1.5 * np.arange(len(made))
    made.calc = SinglePointCalculator(made, energy=energy, forces=np.array(forces, float))
    return made


IMAGES = (
    atoms("HO", -30.0, [[3, 0, 0], [-3, 0, 0]]),
    atoms("HHO", -44.0, [[0, 0, 0], [0, 4, 0], [0, -4, 0]]),
)


@pytest.fixture
def frames():
    return [frame_from_atoms(image, source=("f.xyz", k)) for k, image in enumerate(IMAGES)]


def config(**settings):
    return check_config({"data": "f.xyz", "model": "nequip", **settings})


def test_reference_energies_by_least_squares(frames):
    found = reference_energies(config(), frames, ["H", "O"])
    assert found.source == "least_squares"
    assert found.values == pytest.approx([-14.0, -16.0])
    assert found.notes == []


def test_reference_energies_of_isolated_atoms(frames, tmp_path):
    path = write(
        tmp_path / "atoms.xyz", [atoms("O", -15.5, [[0, 0, 0]]), atoms("H", -13.0, [[0, 0, 0]])]
    )
    found = reference_energies(config(isolated_atoms=path), frames, ["H", "O"])
    assert found == ReferenceEnergies([-13.0, -15.5], "isolated_atoms")
    both = config(isolated_atoms=path, reference_energies="least_squares")
    assert reference_energies(both, frames, ["H", "O"]).source == "least_squares"


def test_reference_energies_given_as_numbers(frames):
    given = config(reference_energies={"O": -2.0, "H": -1.0})
    found = reference_energies(given, frames, ["H", "O"])
    assert found == ReferenceEnergies([-1.0, -2.0], "given")
    with pytest.raises(InputError, match=r"expected an energy for each of H, O, got none for H"):
        reference_energies(config(reference_energies={"O": -2.0}), frames, ["H", "O"])


def test_energy_scale(frames):
    # squares 9 + 9 + 16 + 16 over 15 components
    overall = np.sqrt(50 / 15)
    assert energy_scale(config(), frames, ["H", "O"]) == pytest.approx([overall, overall])
    by_element = energy_scale(config(energy_scale="force_rms_per_species"), frames, ["H", "O"])
    assert by_element == pytest.approx([np.sqrt(25 / 9), np.sqrt(25 / 6)])
    assert energy_scale(config(energy_scale=3), frames, ["H", "O"]) == [3.0, 3.0]


def test_energy_scale_of_an_element_without_forces(frames):
    helium = frame_from_atoms(atoms("He", -2.0, [[0, 0, 0]]))
    scales = energy_scale(
        config(energy_scale="force_rms_per_species"), [*frames, helium], ["H", "He", "O"]
    )
    assert scales[1] == pytest.approx(np.sqrt(50 / 18))


def test_no_forces_at_all():
    still = [frame_from_atoms(atoms("H2", -30.0, np.zeros((2, 3))))]
    with pytest.raises(InputError, match=r"forces: all forces of the 1 training frames are zero"):
        energy_scale(config(), still, ["H"])


def test_mean_neighbours(frames):
    # a chain with spacing 1.5 A: 2 edges in HO, 4 in HHO within 2 A
    graphs = [frame_graph(frame, elements=["H", "O"], r_max=2.0) for frame in frames]
    assert mean_neighbours(graphs) == pytest.approx(6 / 5)
    alone = [frame_graph(frame, elements=["H", "O"], r_max=1.0) for frame in frames]
    assert mean_neighbours(alone) == 1.0


def test_energy_baseline_of_one_composition_is_the_mean_energy(frames):
    same = [frames[0], frame_from_atoms(atoms("OH", -34.0, np.ones((2, 3))))]
    baseline = energy_baseline(same, ["H", "O", "N"])
    assert set(baseline) == {"H", "O"}
    assert baseline["H"] + baseline["O"] == pytest.approx(-32.0)


def test_elements_by_atomic_number(frames):
    assert elements_of(frames) == ["H", "O"]
