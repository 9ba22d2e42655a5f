# SPDX-License-Identifier: GPL-2.0-or-later
"""The order of LAMMPS's atoms: by cells as wide as the model sees, unless told otherwise."""

from __future__ import annotations

import numpy as np
import pytest

from tests.pair_style.conftest import SETUP, STYLE
from tests.pair_style.engine import must_run
from tests.pair_style.systems import R_MAX

SKIN = 1.0  # of SETUP
DUMP = "dump order all custom 1 order.dump x y z\ndump_modify order sort off format float %.16g\n"


def cells(path, width: float) -> np.ndarray:
    """Return the number of each atom's cell, in the order of the first frame."""
    lines = path.read_text().splitlines()
    low, high = np.array([line.split() for line in lines[5:8]], dtype=float).T[:2]
    rows = lines[9 : 9 + int(lines[3])]
    positions = np.array([row.split() for row in rows], dtype=float)
    n_cells = np.maximum(1, ((high - low) / width).astype(int))
    index = np.clip(((positions - low) / (high - low) * n_cells).astype(int), 0, n_cells - 1)
    return index[:, 0] + n_cells[0] * (index[:, 1] + n_cells[1] * index[:, 2])


@pytest.mark.parametrize(
    ("setting", "width"), [("", R_MAX + SKIN), ("atom_modify sort 1000 2.0\n", 2.0)]
)
def test_cells_by_which_atoms_are_sorted(here, setting, width):
    must_run(SETUP + "replicate 4 4 4\n" + setting + STYLE + DUMP + "run 0\n", here)
    order = cells(here / "order.dump", width)
    assert len(np.unique(order)) >= 8
    assert np.all(np.diff(order) >= 0)


def test_atoms_that_are_not_to_be_sorted(here):
    must_run(SETUP + "replicate 4 4 4\natom_modify sort 0 0.0\n" + STYLE + DUMP + "run 0\n", here)
    assert np.any(np.diff(cells(here / "order.dump", R_MAX + SKIN)) < 0)
