# SPDX-License-Identifier: GPL-2.0-or-later
"""Structures on which the contract is tested: made-up, small, and nothing special about them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from egraff.graph import Graph, collate, graph_of_atoms
from egraff.models.base import ForceField


def molecule() -> Atoms:
    """Return six atoms of three elements without any symmetry, all within reach of each other."""
    return Atoms(
        "OCHHCH",
        positions=[
            [0.00, 0.10, -0.05],
            [1.23, 0.05, 0.11],
            [1.80, 0.93, -0.20],
            [1.71, -0.95, 0.32],
            [0.31, 1.45, 2.10],
            [-0.55, 2.21, 1.71],
        ],
    )


def crystal() -> Atoms:
    """Return a triclinic cell that is thinner than the cutoff, so that atoms see their images."""
    return Atoms(
        "COHC",
        cell=[[3.4, 0.0, 0.0], [0.7, 3.1, 0.0], [-0.4, 0.5, 4.6]],
        positions=[[0.1, 0.2, 0.3], [1.5, 0.4, 0.2], [1.2, 2.1, 1.9], [0.4, 1.4, 3.2]],
        pbc=True,
    )


def graph_of(model: ForceField, structures: Atoms | Sequence[Atoms]) -> Graph:
    """Make the graph of one structure, or of several side by side."""
    if isinstance(structures, Atoms):
        structures = [structures]
    return collate(
        [
            graph_of_atoms(
                atoms,
                elements=model.elements,
                r_max=model.r_max,
                pair_cutoffs=model.pair_cutoffs,
            )
            for atoms in structures
        ]
    )


def rotation(seed: int) -> np.ndarray:
    """Return a random proper rotation ``[3, 3]``, to be applied to row vectors from the right."""
    matrix, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return matrix * np.linalg.det(matrix)


def transformed(atoms: Atoms, matrix: np.ndarray) -> Atoms:
    """Return the structure with positions and cell multiplied by ``matrix`` from the right."""
    result = atoms.copy()
    result.set_cell(atoms.cell.array @ matrix)
    result.positions = atoms.positions @ matrix
    return result
