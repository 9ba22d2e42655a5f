# SPDX-License-Identifier: GPL-2.0-or-later
"""Edges against ASE's neighbour list, which was written independently."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.neighborlist import neighbor_list

from egraff.errors import InputError
from egraff.neighbours import find_edges


def triclinic() -> Atoms:
    atoms = bulk("Cu", "fcc", a=3.6) * (2, 1, 2)
    atoms.set_cell(atoms.cell.array + [[0, 0, 0.4], [0.3, 0, 0], [0, -0.8, 0]], scale_atoms=True)
    atoms.rattle(0.1, seed=1)
    return atoms


def slab() -> Atoms:
    atoms = bulk("Cu", "fcc", a=3.6, cubic=True) * (2, 2, 1)
    atoms.pbc = [True, True, False]
    return atoms


SYSTEMS = {
    "thinner than the cutoff": bulk("Si", "diamond", a=5.43),
    "triclinic": triclinic(),
    "slab": slab(),
    "molecule": molecule("CH3CH2OH"),
    "single atom in a small cell": Atoms("Cu", cell=[3.0, 3.1, 3.2], pbc=True),
}


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("r_max", [1.5, 4.0, 6.3])
def test_same_edges_as_ase(name, r_max):
    atoms = SYSTEMS[name]
    edges = find_edges(atoms.positions, atoms.cell.array, atoms.pbc, r_max=r_max)
    i, j, vector = neighbor_list("ijD", atoms, r_max)
    ours = np.column_stack([edges.index.T, edges.vector.round(9)])
    theirs = np.column_stack([i, j, vector.round(9)])
    assert len(edges) == len(i)
    np.testing.assert_allclose(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)], atol=1e-8)


def test_centres_ascend_and_every_edge_has_its_reverse():
    atoms = triclinic()
    edges = find_edges(atoms.positions, atoms.cell.array, atoms.pbc, r_max=4.0)
    assert (np.diff(edges.index[0]) >= 0).all()
    forward = np.column_stack([edges.index.T, edges.vector.round(8) + 0.0])
    backward = np.column_stack([edges.index[::-1].T, -edges.vector.round(8) + 0.0])
    assert {tuple(row) for row in forward} == {tuple(row) for row in backward}


def test_positions_need_not_be_wrapped():
    atoms = triclinic()
    moved = atoms.positions + np.array([[1, -2, 3]]) @ atoms.cell.array
    first = find_edges(atoms.positions, atoms.cell.array, True, r_max=4.0)
    second = find_edges(moved, atoms.cell.array, True, r_max=4.0)
    assert len(first) == len(second)


def test_slab_may_come_without_a_third_lattice_vector():
    atoms = slab()
    cell = atoms.cell.array.copy()
    cell[2] = 0
    with_vector = find_edges(atoms.positions, atoms.cell.array, atoms.pbc, r_max=4.0)
    without = find_edges(atoms.positions, cell, atoms.pbc, r_max=4.0)
    assert len(with_vector) == len(without)


def test_pair_cutoffs_belong_to_the_centre():
    positions = [[0, 0, 0], [2.0, 0, 0]]
    species = np.array([0, 1])
    cutoffs = [[5.0, 1.0], [5.0, 5.0]]  # species 0 does not see species 1 beyond 1 Angstrom
    edges = find_edges(positions, None, False, r_max=5.0, species=species, pair_cutoffs=cutoffs)
    np.testing.assert_array_equal(edges.index, [[1], [0]])


def test_no_atoms_no_edges():
    edges = find_edges(np.zeros((0, 3)), None, False, r_max=3.0)
    assert edges.index.shape == (2, 0)
    assert edges.vector.shape == (0, 3)


def test_refuses_non_finite_positions():
    with pytest.raises(InputError, match=r"positions: expected finite numbers, got .* for atom 1"):
        find_edges([[0, 0, 0], [np.nan, 0, 0]], None, False, r_max=3.0)


def test_refuses_periodicity_without_a_cell():
    with pytest.raises(InputError, match=r"cell: expected three independent lattice vectors"):
        find_edges([[0, 0, 0]], np.zeros((3, 3)), True, r_max=3.0)


def test_refuses_pair_cutoffs_without_species():
    with pytest.raises(InputError, match=r"species: expected the species of every atom"):
        find_edges([[0, 0, 0], [1, 0, 0]], None, False, r_max=3.0, pair_cutoffs=[[2.0]])


@pytest.mark.parametrize(
    ("size", "pbc"),
    [
        ((2000.0, 2000.0, 1.0), False),
        ((3000.0, 3000.0, 6.0), True),
        ((3000.0, 3000.0, 6.0), (True, True, False)),
        ((5.0, 5.0, 1e6), True),
        ((1e7, 10.0, 10.0), False),
        ((1e12, 1e9, 10.0), False),
    ],
)
def test_wide_sheets_long_wires_and_atoms_that_flew_off(size, pbc):
    # vesin's own grid of these has no cell in the thin direction, and divides by it
    positions = np.random.default_rng(0).uniform(0.2, 0.8, (40, 3)) * size
    positions[1] = positions[0] + [0.0, 1.25, 0.0]
    edges = find_edges(positions, np.diag(size), np.broadcast_to(pbc, 3), r_max=3.0)
    vectors = edges.vector[(edges.index[0] == 0) & (edges.index[1] == 1)]
    assert np.any(np.all(np.abs(vectors - [0.0, 1.25, 0.0]) < 1e-3, axis=1))
    assert np.linalg.norm(edges.vector, axis=1).max() < 3.0


def test_pairs_of_a_wide_sheet_are_those_of_ase():
    sheet = bulk("Cu", "fcc", a=3.6, cubic=True)
    sheet.pbc = False
    far = sheet.copy()
    far.positions += [1500.0, 1200.0, 0.0]
    middle = sheet.copy()
    middle.positions += [600.0, 30.0, 0.0]
    atoms = sheet + middle + far + Atoms("Cu", positions=[[4000.0, 4000.0, 0.0]])
    edges = find_edges(atoms.positions, None, False, r_max=2.7)
    assert len(edges) == 3 * len(neighbor_list("i", sheet, 2.7))


def test_a_box_that_is_no_number_is_refused():
    with pytest.raises(InputError, match="cell: expected three independent lattice vectors"):
        find_edges(np.zeros((1, 3)), np.full((3, 3), np.nan), True, r_max=1.0)
