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
    check_neighbours,
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


def alone(symbol, energy, number=9):
    return frame_from_atoms(atoms(symbol, energy, [[0, 0, 0]]), source=("f.xyz", number))


def test_isolated_atoms_among_the_frames_give_reference_energies(frames):
    both = [alone("H", -13.0, 2), alone("O", -15.5, 3)]
    found = reference_energies(config(), frames, ["H", "O"], both)
    assert (found.values, found.source) == ([-13.0, -15.5], "isolated_atoms")
    assert found.notes == [
        "isolated atoms in the data give E0, and are not trained or validated on: H (frame 2), "
        "O (frame 3)"
    ]
    asked = config(reference_energies="isolated_atoms")
    assert reference_energies(asked, frames, ["H", "O"], both).values == [-13.0, -15.5]


def test_an_element_without_isolated_atom_is_fitted_beside_the_others(frames):
    found = reference_energies(config(), frames, ["H", "O"], [alone("H", -13.0)])
    # O from (-30 + 13)/2 per atom and (-44 + 26)/3 per atom: (n, E) weighted by 1/n^2
    oxygen = (17.0 / 4 + 18.0 / 9) / (1.0 / 4 + 1.0 / 9)
    assert found.values == pytest.approx([-13.0, -oxygen])
    assert found.source == "isolated_atoms_and_least_squares"
    assert (
        "E0 of H is that of the isolated atoms; O has none, and its E0 is fitted"
        in (found.notes[1])
    )
    with pytest.raises(InputError, match=r"no isolated atom of O; there are atoms of H\n"):
        reference_energies(
            config(reference_energies="isolated_atoms"), frames, ["H", "O"], [alone("H", -13.0)]
        )
    with pytest.raises(InputError, match=r"no isolated atom of H, O; there are atoms of no elem"):
        reference_energies(config(reference_energies="isolated_atoms"), frames, ["H", "O"])


def test_isolated_atoms_that_are_not_used_are_mentioned(frames):
    nitrogen = reference_energies(config(), frames, ["H", "O"], [alone("N", -54.0, 6)])
    assert nitrogen.source == "least_squares"
    assert nitrogen.values == pytest.approx([-14.0, -16.0])
    fitted = reference_energies(
        config(reference_energies="least_squares"), frames, ["H", "O"], [alone("H", -13.0, 6)]
    )
    assert fitted.values == pytest.approx([-14.0, -16.0])
    for found in (nitrogen, fitted):
        assert found.notes[0].startswith("isolated atoms in the data are left out")


def test_isolated_atoms_that_contradict_something(frames, tmp_path):
    path = write(tmp_path / "atoms.xyz", [atoms("H", -12.0, [[0, 0, 0]])])
    with pytest.raises(InputError, match=r"f.xyz: frame 9, energy: .* -12 eV in frame 0 of .*atom"):
        reference_energies(
            config(isolated_atoms=path), frames, ["H", "O"], [alone("H", -13.0), alone("O", -15.0)]
        )
    given = config(reference_energies={"H": -12.0, "O": -15.0})
    with pytest.raises(InputError, match=r"isolated atom H \(frame 9\), -13 eV, for H, got -12 eV"):
        reference_energies(given, frames, ["H", "O"], [alone("H", -13.0)])


def test_reference_energies_that_one_composition_leaves_open(frames):
    found = reference_energies(config(), frames[:1], ["H", "O"])
    assert found.values == pytest.approx([-15.0, -15.0])
    (note,) = found.notes
    assert "do not determine E0 of H, O: each gets the mean energy per atom" in note
    assert "other compositions, of fragments and of single atoms are shifted by an unknown" in note
    known = reference_energies(config(), frames[:1], ["H", "O"], [alone("H", -13.0)])
    assert known.values == pytest.approx([-13.0, -17.0])
    assert not any("do not determine" in note for note in known.notes)


def test_reference_energies_that_compositions_hardly_determine():
    rng = np.random.default_rng(1)
    made = []
    for number in range(12):
        chain = "H" * 20 + "O" * (10 + number % 2)
        image = atoms(chain, -20 * 14.0 - 16.0 * (len(chain) - 20), np.ones((len(chain), 3)))
        # 0.5 eV per atom of scatter, over compositions that differ by one atom in thirty
        image.calc.results["energy"] += 0.5 * len(chain) * rng.normal()
        made.append(frame_from_atoms(image, source=("f.xyz", number)))
    (note,) = reference_energies(config(), made, ["H", "O"]).notes
    assert "hardly determine E0 of H (" in note
    assert "+-" in note


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


def test_a_cutoff_within_which_nothing_has_a_neighbour(frames):
    def check(r_max):
        graphs = [frame_graph(frame, elements=["H", "O"], r_max=r_max) for frame in frames]
        return check_neighbours(graphs, frames, r_max=r_max)

    with pytest.raises(
        InputError,
        match=r"r_max: expected a cutoff within which atoms have neighbours, got 1 A; the shortest "
        r"distance in the 2 training frames is 1.5 A\n  fix: give a larger --r-max",
    ):
        check(1.0)
    assert check(2.0) == []


def test_atoms_without_neighbours_are_counted(frames):
    far = atoms("HHO", -44.0, np.zeros((3, 3)))
    far.positions[2, 0] = 9.0
    loose = [frames[0], frame_from_atoms(far)]
    graphs = [frame_graph(frame, elements=["H", "O"], r_max=2.0) for frame in loose]
    (note,) = check_neighbours(graphs, loose, r_max=2.0)
    assert note.startswith("1 of 5 atoms of the training frames (20 %) have no neighbour within")


def test_energy_baseline_of_one_composition_is_the_mean_energy(frames):
    same = [frames[0], frame_from_atoms(atoms("OH", -34.0, np.ones((2, 3))))]
    baseline = energy_baseline(same, ["H", "O", "N"])
    assert set(baseline) == {"H", "O"}
    assert baseline["H"] + baseline["O"] == pytest.approx(-32.0)


def test_elements_by_atomic_number(frames):
    assert elements_of(frames) == ["H", "O"]
