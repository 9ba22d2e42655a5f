# SPDX-License-Identifier: GPL-2.0-or-later
"""From a simulation cell of any shape to the box that LAMMPS wants.

LAMMPS keeps its lattice vectors as the rows of a lower-triangular matrix with a positive diagonal::

    a = (lx, 0, 0)    b = (xy, ly, 0)    c = (xz, yz, lz)

Any right-handed cell gets there by a rotation, which then also turns positions and velocities. The
rotation is kept (``run.json``), so that results can be turned back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from egraff.errors import InputError

PADDING_ANG = 10.0
"""Room between the outermost atom and the wall of a non-periodic direction, in Angstrom.

The walls follow atoms that cross them (``boundary m``), so this never loses an atom; it only keeps
the box constant while nothing drifts.
"""

_ROUNDING = 1e-12
"""Tilts smaller than this fraction of the box are rounding errors of the rotation."""


@dataclass(frozen=True)
class Box:
    """A LAMMPS box.

    Attributes:
        origin: ``[3]`` lower corner in Angstrom.
        matrix: ``[3, 3]`` lower-triangular, rows are the box vectors in Angstrom.
        rotation: ``[3, 3]`` proper rotation; a row vector v becomes ``v @ rotation``.
        pbc: periodic or not, along each box vector.
    """

    origin: NDArray[np.float64]
    matrix: NDArray[np.float64]
    rotation: NDArray[np.float64]
    pbc: tuple[bool, bool, bool]

    @property
    def triclinic(self) -> bool:
        """Whether any tilt factor differs from zero."""
        return bool(np.any(self.matrix[[1, 2, 2], [0, 0, 1]]))

    @property
    def boundary(self) -> str:
        """The arguments of LAMMPS's ``boundary`` command."""
        return " ".join("p" if periodic else "m" for periodic in self.pbc)

    def data_lines(self) -> list[str]:
        """Return the box lines of a LAMMPS data file, with every digit of the float64 values."""
        upper = self.origin + np.diag(self.matrix)
        lines = [
            f"{float(low)!r} {float(high)!r} {axis}lo {axis}hi"
            for axis, low, high in zip("xyz", self.origin, upper, strict=True)
        ]
        if self.triclinic:
            xy, xz, yz = (float(self.matrix[k]) for k in ((1, 0), (2, 0), (2, 1)))
            lines.append(f"{xy!r} {xz!r} {yz!r} xy xz yz")
        return lines


def lammps_box(cell: ArrayLike, pbc: Sequence[bool], positions: NDArray[np.float64]) -> Box:
    """Find the LAMMPS box of a structure.

    Periodic directions keep their lattice (vectors may be exchanged for equivalent ones: negated
    when the cell is left-handed, shortened when a tilt exceeds half a box length). A direction
    that is not periodic gets a vector normal to the periodic ones, long enough for the atoms and
    :data:`PADDING_ANG` on either side, whatever the cell says there.

    Args:
        cell: ``[3, 3]`` rows are lattice vectors in Angstrom; rows of non-periodic directions are
            not used.
        pbc: ``[3]`` booleans.
        positions: ``[n_atoms, 3]`` in Angstrom, before the rotation.

    Raises:
        InputError: the periodic lattice vectors are zero or linearly dependent.
    """
    periodic = np.asarray(pbc, dtype=bool)
    vectors = _right_handed(_complete(np.array(cell, dtype=np.float64), periodic), periodic)
    matrix, rotation = _lower_triangular(vectors)
    matrix = _short_tilts(matrix)
    origin = np.zeros(3)
    turned = positions @ rotation
    for axis in np.flatnonzero(~periodic):
        low, high = turned[:, axis].min(), turned[:, axis].max()
        origin[axis] = low - PADDING_ANG
        matrix[axis, axis] = high - low + 2.0 * PADDING_ANG
    first, second, third = (bool(flag) for flag in periodic)
    return Box(origin, matrix, rotation, (first, second, third))


def _complete(cell: NDArray[np.float64], periodic: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Replace the vectors of non-periodic directions by unit vectors normal to all others."""
    lengths = np.linalg.norm(cell, axis=1)
    kept = cell[periodic] / np.where(lengths > 0, lengths, 1.0)[periodic, None]
    if kept.size and np.linalg.svd(kept, compute_uv=False)[-1] < 1e-6:
        raise InputError(
            f"expected independent lattice vectors along the periodic directions "
            f"(pbc {periodic.tolist()}), got {cell.tolist()}",
            field="cell",
            fix="give the structure its lattice, or set pbc to false where it has none",
        )
    full = cell.copy()
    if not periodic.any():
        return np.eye(3)
    if not periodic.all():
        # the rows of vt beyond the rank span what the periodic vectors leave free
        free = list(np.linalg.svd(kept)[2][len(kept) :])
        for axis in np.flatnonzero(~periodic):
            full[axis] = free.pop(0)
    return full


def _right_handed(vectors: NDArray[np.float64], periodic: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Negate one vector of a left-handed set: the lattice stays the same, nothing is mirrored."""
    if np.linalg.det(vectors) < 0:
        axis = 2 if periodic.all() else int(np.flatnonzero(~periodic)[0])
        vectors = vectors.copy()
        vectors[axis] *= -1.0
    return vectors


def _lower_triangular(
    vectors: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Factor ``vectors = matrix @ rotation.T`` with a positive lower-triangular matrix."""
    if not np.any(np.triu(vectors, 1)) and np.all(np.diag(vectors) > 0):
        return vectors.copy(), np.eye(3)  # already so: keep every digit of the positions
    orthogonal, upper = np.linalg.qr(vectors.T)
    signs = np.sign(np.diag(upper))
    matrix = np.tril((upper * signs[:, None]).T)
    matrix[np.abs(matrix) < _ROUNDING * np.abs(matrix).max()] = 0.0
    return matrix, orthogonal * signs


def _short_tilts(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Subtract whole lattice vectors until no tilt exceeds half a box length.

    LAMMPS runs such boxes without warnings and with the fewest ghost atoms. Tilts towards
    non-periodic directions are zero by construction and stay so.
    """
    matrix = matrix.copy()
    for row, column in ((1, 0), (2, 1), (2, 0)):
        matrix[row] -= np.rint(matrix[row, column] / matrix[column, column]) * matrix[column]
    return matrix
