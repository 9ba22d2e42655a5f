# SPDX-License-Identifier: GPL-2.0-or-later
"""Are the forces the derivative of the energies? A test that needs no reference calculation.

Along a trajectory the energy changes by what the forces do: dE = -F . dx. Regressing the one on the
other gives a slope of 1 when both are in the same units and of the same potential.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from egraff.data.frames import Frame

# a slope is what one unit of energy in the file is worth, seen from the forces
_UNIT_MISTAKES = {
    "energies in Hartree, forces in eV/A": 1 / 27.211386,
    "energies in kcal/mol, forces in eV/A": 23.060548,
    "energies in kJ/mol, forces in eV/A": 96.485332,
    "energies in eV, forces in Hartree/Bohr": 51.422067,
    "energies in eV, forces in kcal/mol/A": 1 / 23.060548,
    "energies and forces in atomic units, positions in Angstrom": 1.8897261,
    "energies in eV, forces with the wrong sign": -1.0,
}


@dataclass(frozen=True, kw_only=True)
class EnergyForceSlope:
    """Result of `energy_force_slope`.

    Attributes:
        slope: energy change over the work done against the forces, dimensionless; 1 is right.
        correlation: Pearson correlation of the two.
        n_pairs: pairs of consecutive frames used.
    """

    slope: float
    correlation: float
    n_pairs: int

    def unit_mistake(self, *, tolerance: float = 0.03) -> str | None:
        """Name the unit or sign mistake that explains the slope, if there is one.

        Judged only on 10 pairs or more that correlate to 0.98: below that the frames are too far
        apart for the trapezoidal rule, which says nothing about the labels.
        """
        if self.n_pairs < 10 or abs(self.correlation) < 0.98:
            return None
        for mistake, slope in _UNIT_MISTAKES.items():
            if abs(self.slope / slope - 1.0) < tolerance:
                return mistake
        return None


def energy_force_slope(
    frames: Sequence[Frame], *, max_displacement: float = 0.5
) -> EnergyForceSlope | None:
    """Regress energy changes on the work of the forces over consecutive frames.

    For a pair of frames the work against the forces is -(F1 + F2)/2 . (x2 - x1), the trapezoidal
    rule, exact for a quadratic potential. Only pairs of the same atoms in the same cell, of which
    none moved further than ``max_displacement``, are used.

    Args:
        frames: frames in the order of time; labels must be finite.
        max_displacement: in Angstrom.

    Returns:
        The regression (least squares through the origin), or None with fewer than two usable
        pairs, as for a set of unrelated frames.
    """
    changes, works = [], []
    for first, second in pairwise(frames):
        if first.energy is None or first.forces is None:
            continue
        if second.energy is None or second.forces is None:
            continue
        if not np.array_equal(first.numbers, second.numbers):
            continue
        if not np.array_equal(first.cell, second.cell):
            continue
        step = second.positions - first.positions
        if np.linalg.norm(step, axis=1).max() > max_displacement:
            continue
        changes.append(second.energy - first.energy)
        works.append(-0.5 * float(np.sum((first.forces + second.forces) * step)))
    change, work = np.array(changes), np.array(works)
    if len(change) < 2 or not work.any() or not change.any():
        return None
    norm = np.sqrt((work @ work) * (change @ change))
    return EnergyForceSlope(
        slope=float(work @ change / (work @ work)),
        correlation=float(work @ change / norm),
        n_pairs=len(change),
    )
