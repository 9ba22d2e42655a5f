# SPDX-License-Identifier: GPL-2.0-or-later
"""Sticks join the atoms of molecules, and no ions."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from egraff.report.sticks import sticks


def water_box(shift=0.0):
    """Two water molecules in a cell; the first lies across a face when shifted by half of it."""
    one, two = molecule("H2O"), molecule("H2O")
    two.positions += 5.0
    box = one + two
    box.positions += 1.0 + shift
    box.set_cell([10.0] * 3)
    box.pbc = True
    box.wrap()
    return box


def test_a_molecule_has_its_bonds():
    ethanol = molecule("CH3CH2OH")
    assert len(sticks(ethanol)) == 8
    assert all(i < j for i, j in sticks(ethanol))


@pytest.mark.parametrize(
    "crystal",
    [bulk("LiF", "rocksalt", a=4.03, cubic=True), bulk("Cu", cubic=True), bulk("C", cubic=True)],
    ids=["ions", "a metal", "a network without end"],
)
def test_a_crystal_has_none(crystal):
    assert sticks(crystal.repeat(2)) == []


def test_molecules_in_a_cell_have_theirs_and_none_crosses_it():
    assert sticks(water_box()) == [[0, 1], [0, 2], [3, 4], [3, 5]]
    crossing = water_box(shift=3.24)  # oxygen and hydrogens of the second on different sides
    distances = [
        np.linalg.norm(np.subtract(*crossing.positions[[i, j]])) for i, j in sticks(crossing)
    ]
    assert 0 < len(distances) < 4
    assert max(distances) < 1.1


def test_a_molecular_ion_among_metal_ions():
    sulfate = Atoms("S", positions=[[0, 0, 0]])
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
    sulfate += Atoms("O4", positions=1.49 * corners)
    salt = sulfate + Atoms("Li2", positions=[[2.0, 0, 0], [0, 2.0, 0]])  # 1.7 A from an oxygen
    salt.set_cell([8.0] * 3)
    salt.pbc = True
    assert sticks(salt) == [[0, 1], [0, 2], [0, 3], [0, 4]]
