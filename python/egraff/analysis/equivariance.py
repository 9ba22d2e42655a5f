# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors of a model's energies and forces under rotation, translation and permutation."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from scipy.spatial.transform import Rotation

from egraff.analysis.metric import Metric


def _evaluate(atoms: Atoms, calculator: Calculator) -> tuple[float, np.ndarray]:
    atoms.calc = calculator
    return atoms.get_potential_energy(), atoms.get_forces()


def equivariance_errors(
    atoms: Atoms,
    calculator: Calculator,
    *,
    n_trials: int = 8,
    seed: int = 0,
    provenance: str,
) -> list[Metric]:
    """Largest errors over random rotations, translations and permutations of one structure.

    A rotation turns positions and cell; forces must turn with it. A translation must change
    nothing; a permutation must permute the forces.

    Args:
        atoms: the structure.
        calculator: any ASE calculator.
        n_trials: random operations of each kind.
        seed: of the operations.
        provenance: for the metrics.

    Returns:
        ``rotation_error``, ``translation_error`` and ``permutation_error`` in meV/Angstrom (the
        largest force component), and ``invariance_error`` in meV/atom (the largest energy
        difference of all operations).
    """
    random = np.random.default_rng(seed)
    energy, forces = _evaluate(atoms.copy(), calculator)
    worst = {"rotation": 0.0, "translation": 0.0, "permutation": 0.0}
    worst_energy = 0.0
    for _ in range(n_trials):
        matrix = Rotation.random(None, random).as_matrix()
        rotated = atoms.copy()
        rotated.set_cell(np.array(atoms.cell) @ matrix.T)
        rotated.positions = atoms.positions @ matrix.T
        moved = atoms.copy()
        moved.positions += random.uniform(-5.0, 5.0, 3)
        order = random.permutation(len(atoms))
        cases = (
            ("rotation", rotated, forces @ matrix.T),
            ("translation", moved, forces),
            ("permutation", atoms.copy()[order], forces[order]),
        )
        for kind, case, expected in cases:
            value, found = _evaluate(case, calculator)
            worst[kind] = max(worst[kind], float(np.abs(found - expected).max()))
            worst_energy = max(worst_energy, abs(value - energy))
    definitions = {
        "rotation": "largest component of |F(R x) - R F(x)| over random rotations",
        "translation": "largest component of |F(x + t) - F(x)| over random translations",
        "permutation": "largest component of |F(P x) - P F(x)| over random permutations",
    }
    return [
        *(
            Metric(
                name=f"{kind}_error",
                value=value * 1e3,
                unit="meV/A",
                definition=f"{definitions[kind]}, {n_trials} trials",
                provenance=provenance,
            )
            for kind, value in worst.items()
        ),
        Metric(
            name="invariance_error",
            value=worst_energy * 1e3 / len(atoms),
            unit="meV/atom",
            definition=f"largest energy difference over all operations, {n_trials} trials each",
            provenance=provenance,
        ),
    ]
