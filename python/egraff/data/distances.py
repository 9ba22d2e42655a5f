# SPDX-License-Identifier: GPL-2.0-or-later
"""Distance of each atom to its nearest neighbour, for judging structures (not for models)."""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np
from ase.geometry import complete_cell, minkowski_reduce
from scipy.spatial import cKDTree

from egraff.data.frames import Frame


@lru_cache(maxsize=64)
def _reduced_cell(cell: bytes, pbc: tuple[bool, bool, bool]) -> np.ndarray:
    lattice = complete_cell(np.frombuffer(cell).reshape(3, 3))
    return minkowski_reduce(lattice, pbc)[0]


def nearest_neighbours(frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Find each atom's nearest neighbour, periodic images (also its own) included.

    Args:
        frame: a structure with finite positions and a sound cell.

    Returns:
        distance: [n_atoms] in Angstrom; infinite for an atom that has no neighbour at all.
        neighbour: [n_atoms] index of the nearest atom (its own index when that is its image).
    """
    n_atoms = len(frame)
    positions = frame.positions
    images = positions
    if frame.pbc.any():
        pbc = tuple(bool(periodic) for periodic in frame.pbc)
        # In a Minkowski-reduced cell the nearest image of a wrapped atom is never further than one
        # cell away (Nguyen and Stehle, ACM Trans. Algorithms 5, 46 (2009)).
        lattice = _reduced_cell(np.ascontiguousarray(frame.cell).tobytes(), pbc)
        fractional = positions @ np.linalg.inv(lattice)
        fractional[:, frame.pbc] %= 1.0
        positions = fractional @ lattice
        steps = [(0, 1, -1) if periodic else (0,) for periodic in pbc]
        shifts = np.array(list(product(*steps)), dtype=np.float64) @ lattice
        images = (shifts[:, None, :] + positions[None, :, :]).reshape(-1, 3)
    if len(images) < 2:
        return np.full(n_atoms, np.inf), np.zeros(n_atoms, dtype=np.int64)
    distance, image = cKDTree(images).query(positions, k=2)
    # The nearest point is the atom itself, unless another one sits exactly on it; the first
    # n_atoms of the images are the atoms themselves.
    itself = image[:, 1] == np.arange(n_atoms)
    return distance[:, 1], np.where(itself, image[:, 0], image[:, 1]) % n_atoms


def shortest_distance(frame: Frame) -> float:
    """Return the shortest interatomic distance in Angstrom, infinite for a lone atom."""
    return float(nearest_neighbours(frame)[0].min(initial=np.inf))
