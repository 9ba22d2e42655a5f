# SPDX-License-Identifier: GPL-2.0-or-later
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.neighborlist import neighbor_list

from egraff.data import frame_from_atoms, nearest_neighbours, shortest_distance


def test_rock_salt_is_half_a_lattice_constant():
    frame = frame_from_atoms(bulk("NaCl", "rocksalt", a=5.64, cubic=True))
    distance, neighbour = nearest_neighbours(frame)
    np.testing.assert_allclose(distance, 2.82)
    assert (frame.numbers[neighbour] != frame.numbers).all()


def test_one_atom_sees_its_own_images():
    frame = frame_from_atoms(bulk("Cu", a=3.6))
    assert shortest_distance(frame) == pytest.approx(3.6 / np.sqrt(2))


def test_a_lone_atom_has_no_neighbour():
    assert shortest_distance(frame_from_atoms(Atoms("H"))) == np.inf


def test_a_molecule_does_not_see_images_across_its_box():
    atoms = Atoms("H2", [[0, 0, 0.1], [0, 0, 4.9]], cell=[5, 5, 5], pbc=False)
    assert shortest_distance(frame_from_atoms(atoms)) == pytest.approx(4.8)
    atoms.pbc = [False, False, True]
    assert shortest_distance(frame_from_atoms(atoms)) == pytest.approx(0.2)


def test_a_slab_without_a_third_lattice_vector():
    cell = [[3, 0, 0], [0, 3, 0], [0, 0, 0]]
    atoms = Atoms("Cu2", [[0.1, 0, 0], [2.9, 0, 0.5]], cell=cell, pbc=[True, True, False])
    assert shortest_distance(frame_from_atoms(atoms)) == pytest.approx(np.hypot(0.2, 0.5))


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_ase_in_skewed_cells(seed):
    rng = np.random.default_rng(seed)
    cell = 5.0 * np.eye(3) + rng.normal(size=(3, 3))
    atoms = Atoms("C6", cell=cell, pbc=True, scaled_positions=rng.uniform(-2, 3, (6, 3)))
    i, d = neighbor_list("id", atoms, 6.0)
    expected = [d[i == atom].min() for atom in range(len(atoms))]
    # a strongly skewed description of the same lattice
    skewed = make_supercell(atoms, [[1, 3, -2], [0, 1, 4], [0, 0, 1]], wrap=False)
    np.testing.assert_allclose(nearest_neighbours(frame_from_atoms(skewed))[0], expected)
