# SPDX-License-Identifier: GPL-2.0-or-later
"""Which atoms see which: neighbour lists with all periodic images, by ``vesin``.

Every pair appears in both directions. An atom may see several images of one neighbour, and images
of itself: nothing here assumes that the box is larger than the cutoff.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from vesin import NeighborList

from egraff.errors import InputError


@dataclass(frozen=True)
class Edges:
    """Directed edges of one structure.

    Attributes:
        index: ``[2, n_edges]`` int64; row 0 the receiving centre i (ascending), row 1 the
            neighbour j.
        vector: ``[n_edges, 3]`` float64, r_j + shift . cell - r_i in Angstrom.
    """

    index: NDArray[np.int64]
    vector: NDArray[np.float64]

    def __len__(self) -> int:
        return self.index.shape[1]


def find_edges(
    positions: ArrayLike,
    cell: ArrayLike | None,
    pbc: ArrayLike,
    *,
    r_max: float,
    species: NDArray[np.int64] | None = None,
    pair_cutoffs: ArrayLike | None = None,
) -> Edges:
    """List all edges shorter than the cutoff.

    Args:
        positions: ``[n_atoms, 3]`` in Angstrom, wrapped or not.
        cell: ``[3, 3]`` rows are lattice vectors in Angstrom; None for none.
        pbc: ``[3]`` booleans.
        r_max: cutoff in Angstrom; edges satisfy |r| < r_max.
        species: ``[n_atoms]`` species indices, needed with ``pair_cutoffs``.
        pair_cutoffs: ``[n_species, n_species]`` in Angstrom, row = species of the centre; edges
            beyond their own pair's cutoff are dropped.

    Raises:
        InputError: non-finite positions, or a periodic direction without a cell.
    """
    points = np.ascontiguousarray(positions, dtype=np.float64).reshape(-1, 3)
    box = np.zeros((3, 3)) if cell is None else np.asarray(cell, dtype=np.float64)
    periodic = np.broadcast_to(np.asarray(pbc, dtype=bool), (3,))
    if not np.isfinite(points).all():
        bad = int(np.flatnonzero(~np.isfinite(points).all(axis=1))[0])
        raise InputError(
            f"expected finite numbers, got {points[bad]} for atom {bad}",
            field="positions",
            fix="remove the frame or repair the file that it came from",
        )
    if periodic.any() and abs(np.linalg.det(_completed(box, periodic))) < 1e-9:
        raise InputError(
            f"expected three independent lattice vectors with pbc {periodic.tolist()}, "
            f"got {box.tolist()}",
            field="cell",
            fix="give the structure a cell or set its pbc to false",
        )
    if len(points) == 0:
        return Edges(np.zeros((2, 0), dtype=np.int64), np.zeros((0, 3)))

    pairs = NeighborList(cutoff=r_max, full_list=True, sorted=True)
    first, second, vector, length = pairs.compute(
        points, _completed(box, periodic), periodic.copy(), quantities="ijDd"
    )
    keep = length < r_max
    if pair_cutoffs is not None:
        if species is None:
            raise InputError(
                "expected the species of every atom beside pair_cutoffs, got none",
                field="species",
                fix="pass species=",
            )
        limits = np.asarray(pair_cutoffs, dtype=np.float64)
        keep &= length < limits[species[first], species[second]]
    index = np.stack([first[keep], second[keep]]).astype(np.int64)
    return Edges(index, np.ascontiguousarray(vector[keep]))


def _completed(box: NDArray[np.float64], periodic: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Replace the lattice vectors of non-periodic directions by unit vectors normal to the rest.

    A slab or a wire may come with a zero vector along its open directions; the list itself only
    uses the periodic ones, but needs an invertible matrix.
    """
    if not periodic.any():
        return np.eye(3)
    full = box.copy()
    for axis in np.flatnonzero(~periodic):
        if np.linalg.norm(full[axis]) < 1e-9:
            others = [full[k] for k in range(3) if k != axis and np.linalg.norm(full[k]) > 1e-9]
            full[axis] = _orthogonal_to(others)
    return full


def _orthogonal_to(vectors: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return a unit vector orthogonal to at most two given ones."""
    if not vectors:
        return np.array([0.0, 0.0, 1.0])
    _, _, basis = np.linalg.svd(np.stack(vectors))
    return basis[-1]
