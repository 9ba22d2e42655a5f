# SPDX-License-Identifier: GPL-2.0-or-later
"""Which atoms a stick joins in the rotatable view: those of molecules, never ions."""

from __future__ import annotations

from collections import deque

import numpy as np
from ase import Atoms

from egraff.analysis.bonds import BOND_FACTOR, radii_of
from egraff.neighbours import find_edges

#: Only these form molecules; what a metal has near it are ions, however near they are.
_NON_METALS = frozenset(
    ("H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Ge", "As", "Se", "Br", "Te", "I")
)


def sticks(atoms: Atoms) -> list[list[int]]:
    """Covalent bonds of the molecules in a structure.

    Two non-metals nearer than `BOND_FACTOR` times the sum of their covalent radii are bonded.
    Where such bonds go on without end, as in silica or diamond, there is no molecule and no stick.
    A bond that crosses a face of the cell is left out: it would cross the whole picture.

    Args:
        atoms: with finite positions, Angstrom.

    Returns:
        Pairs of indices, each bond once, the smaller index first.
    """
    elements = np.array(atoms.get_chemical_symbols())
    molecular = np.array([symbol in _NON_METALS for symbol in elements])
    if not molecular.any():
        return []
    radii = radii_of(elements)
    cell, pbc = np.array(atoms.cell), np.array(atoms.pbc)
    edges = find_edges(
        atoms.positions, cell, pbc, r_max=2.0 * BOND_FACTOR * float(radii[molecular].max())
    )
    first, second = edges.index
    near = np.linalg.norm(edges.vector, axis=1) < BOND_FACTOR * (radii[first] + radii[second])
    bonded = near & molecular[first] & molecular[second]
    first, second = first[bonded], second[bonded]
    across = edges.vector[bonded] - (atoms.positions[second] - atoms.positions[first])
    images = np.zeros_like(across, dtype=int)
    if pbc.any():
        # a direction that is not periodic may have no lattice vector
        full = np.where(pbc[:, None], cell, np.eye(3) * 1e9)
        images = np.round(across @ np.linalg.inv(full)).astype(int)
    endless = _endless(len(elements), first, second, images)
    drawn = (first < second) & ~images.any(axis=1) & ~endless[first]
    return sorted(np.stack([first[drawn], second[drawn]], axis=1).tolist())


def _endless(n_atoms: int, first: np.ndarray, second: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Whether each atom belongs to a network that reaches an image of itself, `[n_atoms]`."""
    neighbours: list[list[tuple[int, np.ndarray]]] = [[] for _ in range(n_atoms)]
    for i, j, image in zip(first.tolist(), second.tolist(), images, strict=True):
        neighbours[i].append((j, image))
    place: dict[int, np.ndarray] = {}
    endless = np.zeros(n_atoms, dtype=bool)
    for start in range(n_atoms):
        if start in place:
            continue
        place[start] = np.zeros(3, dtype=int)
        members, queue = [start], deque([start])
        while queue:
            i = queue.popleft()
            for j, image in neighbours[i]:
                if j not in place:
                    place[j] = place[i] + image
                    members.append(j)
                    queue.append(j)
                elif np.any(place[j] != place[i] + image):
                    endless[start] = True
        endless[members] = endless[start]
    return endless
