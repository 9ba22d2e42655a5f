# SPDX-License-Identifier: GPL-2.0-or-later
import itertools

import numpy as np
import pytest
from ase import Atoms
from ase.geometry import get_distances

from egraff.errors import InputError
from egraff.lammps.box import PADDING_ANG, lammps_box

rng = np.random.default_rng(3)
GENERAL = np.array([[5.0, 1.0, -0.5], [0.3, 6.0, 1.2], [-1.1, 0.4, 7.0]])


def some_positions(cell):
    return rng.random((12, 3)) @ cell * 1.4 - 1.0


@pytest.mark.parametrize("pbc", list(itertools.product([True, False], repeat=3)))
@pytest.mark.parametrize("handedness", [1.0, -1.0])
def test_box_keeps_every_distance(pbc, handedness):
    """The rotated structure in LAMMPS's box is the structure: all distances, images included."""
    cell = GENERAL * np.array([[1.0], [handedness], [1.0]])
    positions = some_positions(cell)
    box = lammps_box(cell, pbc, positions)

    before = get_distances(positions, cell=cell, pbc=pbc)[1]
    after = get_distances(positions @ box.rotation, cell=box.matrix, pbc=pbc)[1]
    np.testing.assert_allclose(after, before, atol=1e-12)
    np.testing.assert_allclose(box.rotation @ box.rotation.T, np.eye(3), atol=1e-14)
    assert np.linalg.det(box.rotation) == pytest.approx(1.0, abs=1e-14)


def test_matrix_is_what_lammps_wants():
    """Lower-triangular, positive diagonal, no tilt beyond half a box length."""
    skewed = np.array([[4.0, 0.0, 0.0], [9.0, 4.0, 0.0], [-7.0, 13.0, 4.0]])
    for cell in (skewed, GENERAL, -GENERAL):
        matrix = lammps_box(cell, [True] * 3, np.zeros((1, 3))).matrix
        assert not np.any(np.triu(matrix, 1))
        assert np.all(np.diag(matrix) > 0)
        for row, column in ((1, 0), (2, 0), (2, 1)):
            assert abs(matrix[row, column]) <= matrix[column, column] / 2 + 1e-12
        assert np.linalg.det(matrix) == pytest.approx(abs(np.linalg.det(cell)), rel=1e-12)


def test_cell_that_fits_already_keeps_every_digit():
    cell = np.array([[4.1, 0.0, 0.0], [1.3, 5.2, 0.0], [-0.7, 0.9, 6.3]])
    box = lammps_box(cell, [True] * 3, np.zeros((1, 3)))

    assert np.array_equal(box.matrix, cell)
    assert np.array_equal(box.rotation, np.eye(3))


def test_rotated_cube_is_orthogonal_again():
    """Rounding errors of the rotation must not make a box triclinic."""
    turned = np.linalg.qr(rng.normal(size=(3, 3)))[0] * 5.43

    assert not lammps_box(turned, [True] * 3, np.zeros((1, 3))).triclinic


def test_molecule_gets_a_padded_box_in_place():
    positions = np.array([[0.0, 1.0, 2.0], [3.0, 1.0, -1.0]])
    box = lammps_box(np.zeros((3, 3)), [False] * 3, positions)

    np.testing.assert_array_equal(box.origin, [-PADDING_ANG, 1 - PADDING_ANG, -1 - PADDING_ANG])
    np.testing.assert_array_equal(np.diag(box.matrix), [23.0, 20.0, 23.0])
    assert box.boundary == "m m m"


def test_slab_ignores_the_vacuum_of_its_cell():
    """The open direction is normal to the slab, even where the cell leans."""
    cell = [[4.0, 0.0, 0.0], [2.0, 3.0, 0.0], [1.0, 1.0, 40.0]]
    box = lammps_box(cell, [True, True, False], np.array([[0, 0, 5.0], [0, 0, 9.0]]))

    assert box.boundary == "p p m"
    np.testing.assert_allclose(
        box.matrix, [[4.0, 0, 0], [2.0, 3.0, 0], [0, 0, 4.0 + 2 * PADDING_ANG]], atol=1e-12
    )
    assert box.origin[2] == pytest.approx(5.0 - PADDING_ANG)


def test_data_lines_read_back_to_the_same_numbers():
    box = lammps_box(GENERAL, [True] * 3, np.zeros((1, 3)))
    lines = box.data_lines()

    assert float(lines[0].split()[1]) == box.matrix[0, 0]
    assert [float(word) for word in lines[3].split()[:3]] == [
        box.matrix[1, 0],
        box.matrix[2, 0],
        box.matrix[2, 1],
    ]
    assert lines[3].endswith("xy xz yz")


@pytest.mark.parametrize(
    ("cell", "pbc"),
    [
        (np.zeros((3, 3)), [True, True, True]),
        ([[4, 0, 0], [8, 0, 0], [0, 0, 4]], [True, True, False]),
        ([[4, 0, 0], [0, 4, 0], [0, 0, 0]], [False, False, True]),
    ],
)
def test_missing_lattice_vectors(cell, pbc):
    with pytest.raises(InputError, match="cell: expected independent lattice vectors along the"):
        lammps_box(cell, pbc, Atoms("H").positions)
