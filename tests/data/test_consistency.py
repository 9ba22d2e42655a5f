# SPDX-License-Identifier: GPL-2.0-or-later
"""Labels of a harmonic oscillator, for which the trapezoidal rule is exact."""

import dataclasses

import numpy as np
import pytest
from ase import Atoms

from egraff.data import energy_force_slope, frame_from_atoms

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
