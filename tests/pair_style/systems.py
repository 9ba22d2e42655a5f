# SPDX-License-Identifier: GPL-2.0-or-later
"""Configurations that a pair style must get right, and most of which break one somewhere."""

from __future__ import annotations

import numpy as np
from ase import Atoms

R_MAX = 4.0
ELEMENTS = ["O", "H"]  # by atom type; the toy model's own order is the other one


def _scatter(n_atoms: int, cell, seed: int, *, low=0.0, high=1.0, pbc=True) -> Atoms:
    """Atoms at random fractional coordinates, no two closer than 0.7 Angstrom."""
    rng = np.random.default_rng(seed)
    cell = np.array(cell, dtype=float)
    cell = np.diag(cell) if cell.ndim == 1 else cell
    positions: list[np.ndarray] = []
    while len(positions) < n_atoms:
        trial = rng.uniform(low, high, 3) @ cell
        images = [np.zeros(3), *(s * v for v in cell for s in (1, -1))]
        if all(np.linalg.norm(trial + i - p) > 0.7 for p in positions for i in images):
            positions.append(trial)
    symbols = ["O", "H", "H"] * n_atoms
    return Atoms(symbols[:n_atoms], positions=positions, cell=cell, pbc=pbc)


def _isolated() -> Atoms:
    """One atom out of reach of three others; no edges at all for it."""
    cluster = [[2, 2, 2], [2.9, 2, 2.3], [2, 3.1, 1.7], [12, 12.5, 12]]
    return Atoms("OHHO", positions=cluster, cell=[20, 21, 22], pbc=True)


SLAB = _scatter(30, [9.5, 10.0, 24.0], 4, low=[0, 0, 0.1], high=[1, 1, 0.3], pbc=[1, 1, 0])
TRICLINIC = _scatter(40, [[9.5, 0, 0], [2.1, 10.0, 0], [-1.7, 3.3, 10.5]], 2)

SYSTEMS: dict[str, Atoms] = {
    "orthogonal": _scatter(40, [9.5, 10.0, 10.5], 1),
    "triclinic": TRICLINIC,
    "general triclinic": TRICLINIC,
    "non-periodic": _scatter(24, [9.0, 9.0, 9.0], 3, low=0.05, high=0.95, pbc=False),
    "slab": SLAB,
    "slab that shrinks": SLAB,
    "below twice the cutoff": _scatter(16, [6.1, 6.5, 7.0], 5),
    "below the cutoff": _scatter(4, [3.0, 3.2, 3.4], 6),
    "one atom in a small cell": Atoms("O", positions=[[1, 1, 1]], cell=[2.2, 2.3, 2.4], pbc=True),
    "isolated atom": _isolated(),
    "empty ranks": _scatter(12, [8.0, 8.0, 40.0], 7, high=[1, 1, 0.15]),
}

# of directions that are not periodic: f (fixed) where nothing else is said
BOUNDARIES = {"non-periodic": "s s s", "slab that shrinks": "p p m"}
