# SPDX-License-Identifier: GPL-2.0-or-later
"""Smoothness of a model's energy along lines: dimers pulled apart, atoms pushed in a crystal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from egraff.analysis.metric import Metric
from egraff.errors import InputError


@dataclass(frozen=True)
class Scan:
    """Energy and force along a line.

    Attributes:
        x: position along the line, `[n_points]`, Angstrom, evenly spaced.
        energy: `[n_points]`, eV.
        force: component along the line of the force conjugate to x, `[n_points]`, eV/Angstrom.
        name: what was scanned.
    """

    x: np.ndarray
    energy: np.ndarray
    force: np.ndarray
    name: str


def dimer_scan(
    calculator: Calculator, a: str, b: str, distances: Sequence[float] | np.ndarray
) -> Scan:
    """Two atoms alone in space at each distance.

    Args:
        calculator: any ASE calculator.
        a: element of the first atom.
        b: element of the second.
        distances: evenly spaced, Angstrom.
    """
    energies, forces = [], []
    for distance in distances:
        atoms = Atoms([a, b], positions=[[0.0, 0.0, 0.0], [distance, 0.0, 0.0]])
        atoms.calc = calculator
        energies.append(atoms.get_potential_energy())
        forces.append(atoms.get_forces()[1, 0])
    return Scan(np.asarray(distances, float), np.array(energies), np.array(forces), f"{a}-{b}")


def line_scan(
    calculator: Calculator,
    atoms: Atoms,
    displacement: np.ndarray,
    *,
    length: float,
    n_points: int = 201,
) -> Scan:
    """Atoms displaced along a direction, from ``-length`` to ``length``.

    Args:
        calculator: any ASE calculator.
        atoms: the structure in the middle.
        displacement: direction, `[n_atoms, 3]`; scaled to unit norm.
        length: Angstrom.
        n_points: points along the line.

    Raises:
        InputError: the direction is zero or has another shape than the positions.
    """
    displacement = np.asarray(displacement, dtype=np.float64)
    norm = float(np.linalg.norm(displacement))
    if displacement.shape != (len(atoms), 3) or norm == 0.0:
        raise InputError(
            f"expected a direction [{len(atoms)}, 3] that is not zero, got shape "
            f"{displacement.shape} and norm {norm:g}",
            where="displacement",
        )
    direction = displacement / norm
    x = np.linspace(-length, length, n_points)
    energies, forces = [], []
    for step in x:
        moved = atoms.copy()
        moved.positions += step * direction
        moved.calc = calculator
        energies.append(moved.get_potential_energy())
        forces.append(float(np.sum(moved.get_forces() * direction)))
    return Scan(x, np.array(energies), np.array(forces), atoms.get_chemical_formula())


def scan_metrics(scan: Scan, *, provenance: str) -> list[Metric]:
    """How smooth and how consistent energy and force are along a scan.

    Returns:
        ``force_energy_mismatch``: largest |F + dE/dx|, dE/dx by fourth-order differences, over
        the root-mean-square force; ``force_jump``: largest change of F between neighbouring points
        over the median change that is not zero (a discontinuity stands out, whatever the spacing);
        ``force_flips``: how often F changes its sign; ``tortuosity``: total variation of E over
        max E - min E, which is 1 for a monotonic curve and 2 or less for a single well.

    Raises:
        InputError: fewer than 7 points, or points that are not evenly spaced.
    """
    x, energy, force = scan.x, scan.energy, scan.force
    if len(x) < 7:
        raise InputError(f"expected at least 7 points, got {len(x)}", where=scan.name)
    step = np.diff(x)
    if not np.allclose(step, step[0], rtol=1e-6):
        raise InputError(
            f"expected evenly spaced points, got spacings from {step.min():g} to {step.max():g}",
            where=scan.name,
        )
    slope = (energy[:-4] - 8 * energy[1:-3] + 8 * energy[3:-1] - energy[4:]) / (12 * step[0])
    scale = max(float(np.sqrt(np.mean(force**2))), 1e-12)
    mismatch = float(np.abs(force[2:-2] + slope).max()) / scale
    jumps = np.abs(np.diff(force))
    # beyond the cutoff of a model nothing changes, which says nothing about its changes
    moving = jumps[jumps > 1e-9 * scale]
    usual = float(np.median(moving)) if moving.size else 1.0
    signs = np.sign(force[np.abs(force) > 1e-9 * scale])
    variation, span = float(np.abs(np.diff(energy)).sum()), float(np.ptp(energy))

    def metric(name: str, value: float, definition: str) -> Metric:
        return Metric(
            name=f"{name}[{scan.name}]",
            value=value,
            unit="1",
            definition=definition,
            provenance=provenance,
        )

    return [
        metric(
            "force_energy_mismatch",
            mismatch,
            "largest |F + dE/dx| over the root-mean-square force",
        ),
        metric(
            "force_jump",
            float(jumps.max()) / usual,
            "largest change of the force between neighbouring points over the median change "
            "that is not zero",
        ),
        metric("force_flips", float(np.sum(np.diff(signs) != 0)), "sign changes of the force"),
        metric(
            "tortuosity",
            variation / span if span > 0.0 else 1.0,
            "total variation of the energy over its range",
        ),
    ]
