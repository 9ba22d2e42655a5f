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

FARTHEST_ANG = 1e12
"""Largest coordinate in Angstrom: float64 resolves 1e-4 there, and soon no distance at all."""


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
    box = checked_box(points, box, periodic)
    if len(points) == 0:
        return Edges(np.zeros((2, 0), dtype=np.int64), np.zeros((0, 3)))

    points, cutoff = safe_grid(points, box, periodic, r_max)
    pairs = NeighborList(cutoff=cutoff, full_list=True, sorted=True)
    first, second, vector, length = pairs.compute(points, box, periodic.copy(), quantities="ijDd")
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


def checked_box(
    points: NDArray[np.float64], box: NDArray[np.float64], periodic: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return an invertible box for a neighbour list, ``[3, 3]``; vesin dies of any other.

    Args:
        points: ``[n_atoms, 3]`` in Angstrom.
        box: ``[3, 3]`` in Angstrom; lattice vectors of open directions may be zero.
        periodic: ``[3]``.

    Raises:
        InputError: positions that are not finite or absurdly far, or a periodic direction without
            a cell.
    """
    if not np.isfinite(points).all():
        bad = int(np.flatnonzero(~np.isfinite(points).all(axis=1))[0])
        raise InputError(
            f"expected finite numbers, got {points[bad]} for atom {bad}",
            field="positions",
            fix="remove the frame or repair the file that it came from",
        )
    if (far := np.abs(points) > FARTHEST_ANG).any():
        bad = int(np.flatnonzero(far.any(axis=1))[0])
        raise InputError(
            f"expected coordinates within {FARTHEST_ANG:.0e} Angstrom, got {points[bad]} "
            f"for atom {bad}",
            field="positions",
            fix="remove the frame or repair the file that it came from",
        )
    full = completed_box(box, periodic)
    with np.errstate(over="ignore", invalid="ignore"):
        volume = abs(np.linalg.det(full))
    # written so that a box of NaN is refused too
    if periodic.any() and not 1e-9 <= volume < np.inf:
        raise InputError(
            f"expected three independent lattice vectors with pbc {periodic.tolist()}, "
            f"got {box.tolist()}",
            field="cell",
            fix="give the structure a cell or set its pbc to false",
        )
    return full


#: vesin searches at most 1e5 cells, and coarsens its grid by one factor in all directions when
#: there would be more; half of that keeps clear of the margins it adds.
_MOST_CELLS = 5e4


def safe_grid(
    points: NDArray[np.float64],
    box: NDArray[np.float64],
    periodic: NDArray[np.bool_],
    r_max: float,
) -> tuple[NDArray[np.float64], float]:
    """Return the positions and the cutoff to ask vesin for, so that all pairs within r_max come.

    A wide sheet, a long wire or a molecule of which an atom flew off has many cells along one
    direction and few along another. Coarsened by vesin (0.6.2), the few become none, and the
    process dies of a division by zero. Empty space along open directions is closed up and, where
    that does not help, a larger cutoff makes a grid that needs no coarsening; the caller drops
    the pairs beyond ``r_max``. Other structures are left as they are.

    Args:
        points: ``[n_atoms, 3]`` in Angstrom, finite.
        box: ``[3, 3]``, invertible.
        periodic: ``[3]``.
        r_max: in Angstrom.
    """
    if _grid_is_safe(points, box, periodic, r_max):
        return points, r_max
    points = _closed_up(points, box, periodic, 2.0 * r_max)
    cutoff = float(r_max)
    while not _grid_is_safe(points, box, periodic, cutoff):
        cutoff *= 1.2
    return points, cutoff


def _grid_is_safe(points, box, periodic, cutoff: float) -> bool:
    """Whether vesin's grid keeps two cells in every direction that has some, or needs no change."""
    inverse = np.linalg.inv(box)
    heights = 1.0 / np.linalg.norm(inverse, axis=0)
    growth = np.where(periodic, 1.0, np.maximum(np.ptp(points @ inverse, axis=0), 1.0))
    cells = np.maximum(np.floor(heights * growth / cutoff), 1.0)
    total = float(np.prod(cells))
    return total <= _MOST_CELLS or bool(np.all(cells * np.cbrt(_MOST_CELLS / total) >= 2.0))


def _closed_up(points, box, periodic, gap: float) -> NDArray[np.float64]:
    """Points moved along open directions so that no empty layer is thicker than ``gap``."""
    inverse = np.linalg.inv(box)
    moved = points.copy()
    for axis in np.flatnonzero(~periodic):
        height = 1.0 / np.linalg.norm(inverse[:, axis])
        along = points @ inverse[:, axis] * height
        order = np.argsort(along)
        excess = np.maximum(np.diff(along[order]) - gap, 0.0)
        shift = np.zeros(len(points))
        shift[order[1:]] = np.cumsum(excess)
        moved -= shift[:, None] * box[axis] / height
    return moved


def completed_box(box: NDArray[np.float64], periodic: NDArray[np.bool_]) -> NDArray[np.float64]:
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
