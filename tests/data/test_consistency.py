# SPDX-License-Identifier: GPL-2.0-or-later
"""Labels of a harmonic oscillator, for which the trapezoidal rule is exact."""

import dataclasses
import re

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.units import GPa

from egraff.data import energy_force_slope, energy_stress_slope, frame_from_atoms, validate_frames
from egraff.errors import InputError

SPRING = 2.0  # eV/A^2


def trajectory(n_frames=30, *, energy_unit=1.0, force_unit=1.0):
    """Two atoms on springs to the origin, with labels in the given units (values in eV, eV/A)."""
    rng = np.random.default_rng(3)
    frames = []
    positions = rng.normal(size=(2, 3))
    for _ in range(n_frames):
        positions = positions + 0.05 * rng.normal(size=(2, 3))
        frame = frame_from_atoms(Atoms("Ar2", positions))
        energy = 0.5 * SPRING * np.sum(positions**2) / energy_unit
        forces = -SPRING * positions / force_unit
        frames.append(dataclasses.replace(frame, energy=float(energy), forces=forces))
    return frames


def test_slope_is_one_for_consistent_labels():
    result = energy_force_slope(trajectory())
    assert result.slope == pytest.approx(1.0, abs=1e-12)
    assert result.correlation == pytest.approx(1.0, abs=1e-12)
    assert result.n_pairs == 29
    assert result.unit_mistake() is None


@pytest.mark.parametrize(
    ("units", "mistake"),
    [
        ({"energy_unit": 27.211386}, "energies in Hartree, forces in eV/A"),
        ({"energy_unit": 1 / 23.060548}, "energies in kcal/mol, forces in eV/A"),
        ({"energy_unit": 1 / 96.485332}, "energies in kJ/mol, forces in eV/A"),
        ({"force_unit": 51.422067}, "energies in eV, forces in Hartree/Bohr"),
        ({"force_unit": 1 / 23.060548}, "energies in eV, forces in kcal/mol/A"),
        ({"force_unit": -1.0}, "energies in eV, forces with the wrong sign"),
        (
            {"energy_unit": 27.211386, "force_unit": 51.422067},
            "energies and forces in atomic units, positions in Angstrom",
        ),
    ],
)
def test_names_the_unit_mistake(units, mistake):
    assert energy_force_slope(trajectory(**units)).unit_mistake() == mistake


def test_does_not_judge_few_pairs():
    assert energy_force_slope(trajectory(5, force_unit=-1.0)).unit_mistake() is None


def test_unrelated_frames_have_no_slope():
    frames = trajectory()
    far = [
        dataclasses.replace(frame, positions=frame.positions + 5.0 * number)
        for number, frame in enumerate(frames)
    ]
    assert energy_force_slope(far) is None
    assert energy_force_slope(frames[:1]) is None
    assert energy_force_slope([dataclasses.replace(f, forces=None) for f in frames]) is None


def test_pairs_of_other_atoms_or_cells_are_left_out():
    frames = trajectory(10)
    frames[4] = dataclasses.replace(frames[4], numbers=np.array([18, 10]))
    frames[8] = dataclasses.replace(frames[8], cell=np.eye(3))
    assert energy_force_slope(frames).n_pairs == 9 - 4


def strained(n_frames=25, *, factor=1.0, rattle=0.02, strain=0.01, virial=False):
    """Copper under random strains with the labels of EMT, the stress times ``factor``."""
    rng = np.random.default_rng(5)
    perfect = bulk("Cu", cubic=True, a=3.62)
    frames = []
    for number in range(n_frames):
        atoms = perfect.copy()
        deformation = np.eye(3) + strain * rng.normal(size=(3, 3))
        atoms.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
        atoms.positions += rattle * rng.normal(size=(4, 3))
        atoms.calc = EMT()
        frame = frame_from_atoms(atoms, source=("data.xyz", number))
        stress = atoms.get_stress(voigt=False) * (-atoms.get_volume() if virial else factor)
        frames.append(
            dataclasses.replace(
                frame,
                energy=atoms.get_potential_energy(),
                forces=atoms.get_forces(),
                stress=stress,
                stress_from="stress",
            )
        )
    return frames


@pytest.mark.parametrize("rattle", [0.0, 0.01])
def test_stress_is_the_derivative_of_the_energy(rattle):
    found = energy_stress_slope(strained(rattle=rattle))
    # the error of the trapezoidal rule over strains of 1 % and these vibrations: 0.034 and 0.047
    assert found.slope == pytest.approx(1.0, abs=0.07)
    assert found.judged
    assert found.n_pairs > 15
    assert found.stress_mistake() is None


@pytest.mark.parametrize(
    ("factor", "mistake"),
    [
        (-1.0, "positive under compression (--stress-sign compression)"),
        (1 / GPa, "a stress in GPa (--stress-unit GPa)"),
        (-10 / GPa, "a stress in kbar, positive under compression (--stress-unit kbar --stress-si"),
    ],
)
def test_names_unit_and_sign_of_the_stress(factor, mistake):
    assert mistake in energy_stress_slope(strained(factor=factor)).stress_mistake()


def test_a_stress_that_contradicts_the_energies_is_refused():
    assert validate_frames(strained()) == []
    text = "data.xyz: energy and stress: energies change -"
    with pytest.raises(InputError, match=re.escape(text) + r".* over \d+ strained frames.*com"):
        validate_frames(strained(factor=-1.0))
    # a virial that has the size of a stress
    small = [
        dataclasses.replace(frame, stress=frame.stress / 20)
        for frame in strained(virial=True, rattle=0.0)
    ]
    with pytest.raises(InputError, match=r"times as much as the stress says, over \d+ strained fr"):
        validate_frames(small)


def test_strains_that_are_none_or_too_large_are_not_judged():
    assert energy_stress_slope(strained(strain=0.0)) is None
    assert energy_stress_slope(strained(strain=0.5, n_frames=5)) is None
    molecules = [dataclasses.replace(f, pbc=np.zeros(3, bool)) for f in strained(n_frames=5)]
    assert energy_stress_slope(molecules) is None


def test_frames_that_do_not_follow_one_another_are_not_judged():
    far = energy_force_slope(trajectory(5))
    assert not far.judged
