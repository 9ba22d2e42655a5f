# SPDX-License-Identifier: GPL-2.0-or-later
"""Are forces and stress derivatives of the energies? A test that needs no reference calculation.

From one frame of a trajectory to the next the energy changes by what forces and stress do:

    dE = -F . dx + V stress : strain

Regressing the one on the other gives a slope of 1 when both are in the same units and of the same
potential. Forces are judged on steps in one cell; the stress on steps that strain the cell, after
the work of the forces has been taken off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from egraff.data.frames import Frame
from egraff.units import EV_PER_ANG3_IN_GPA

# a slope is what one unit of energy in the file is worth, seen from the forces
_FORCE_MISTAKES = {
    "energies in Hartree, forces in eV/A": 1 / 27.211386,
    "energies in kcal/mol, forces in eV/A": 23.060548,
    "energies in kJ/mol, forces in eV/A": 96.485332,
    "energies in eV, forces in Hartree/Bohr": 51.422067,
    "energies in eV, forces in kcal/mol/A": 1 / 23.060548,
    "energies and forces in atomic units, positions in Angstrom": 1.8897261,
    "energies in eV, forces with the wrong sign": -1.0,
}
_GPA, _KBAR = 1.0 / EV_PER_ANG3_IN_GPA, 0.1 / EV_PER_ANG3_IN_GPA
_STRESS_MISTAKES = {
    "a stress positive under compression (--stress-sign compression)": -1.0,
    "a stress in GPa (--stress-unit GPa)": _GPA,
    "a stress in GPa, positive under compression (--stress-unit GPa --stress-sign compression)": (
        -_GPA
    ),
    "a stress in kbar (--stress-unit kbar)": _KBAR,
    "a stress in kbar, positive under compression (--stress-unit kbar --stress-sign compression)": (
        -_KBAR
    ),
}
_FEWEST_PAIRS = 10
_CORRELATED = 0.98
_CLOSE = 0.5  # A; no atom moves further between frames that follow one another closely
_LEAST_STRAIN = 1e-5  # below it, the energy changes by the rounding of the file
_LARGEST_STRAIN = 0.05  # beyond it the trapezoidal rule over the stress is no good


@dataclass(frozen=True, kw_only=True)
class Slope:
    """Energy changes over the work that labels say, by regression through the origin.

    Attributes:
        slope: energy change over the work, dimensionless; 1 is right.
        correlation: Pearson correlation of the two.
        n_pairs: pairs of consecutive frames used.
    """

    slope: float
    correlation: float
    n_pairs: int

    @property
    def judged(self) -> bool:
        """Whether the frames are close enough to one another for the slope to mean something.

        Ten pairs that correlate to 0.98: below that the frames do not follow one another, and the
        trapezoidal rule says nothing about the labels.
        """
        return self.n_pairs >= _FEWEST_PAIRS and abs(self.correlation) >= _CORRELATED

    def unit_mistake(
        self, mistakes: Mapping[str, float] = _FORCE_MISTAKES, *, tolerance: float = 0.03
    ) -> str | None:
        """Name the unit or sign mistake that explains the slope, if there is one."""
        if not self.judged:
            return None
        for mistake, slope in mistakes.items():
            if abs(self.slope / slope - 1.0) < tolerance:
                return mistake
        return None

    def stress_mistake(self) -> str | None:
        """Name the unit or sign of the stress that explains the slope, if there is one.

        Within a quarter: vibrations on top of the strains bias the slope by up to a fifth before
        the correlation falls below what is judged (measured on copper), energies at a fixed set of
        plane waves by less, and units are at least a factor of ten apart.
        """
        return self.unit_mistake(_STRESS_MISTAKES, tolerance=0.25)


def energy_force_slope(
    frames: Sequence[Frame], *, max_displacement: float = _CLOSE
) -> Slope | None:
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
    for first, second in _labelled_pairs(frames):
        if not np.array_equal(first.cell, second.cell):
            continue
        step = second.positions - first.positions
        if np.linalg.norm(step, axis=1).max() > max_displacement:
            continue
        changes.append(second.energy - first.energy)
        works.append(_work_of_forces(first, second, step))
    return _regress(changes, works)


def energy_stress_slope(
    frames: Sequence[Frame], *, max_displacement: float = _CLOSE
) -> Slope | None:
    """Regress energy changes, less the work of the forces, on the work of the stress.

    For a pair of frames whose cells differ by a deformation x -> x (1 + D) the work is the mean of
    V stress : D at the two ends, the trapezoidal rule, and the forces work over what the atoms move
    relative to the deformed frame. Only pairs of the same atoms, periodic in all directions, with a
    strain from 1e-5 to 0.05 are used.

    Args:
        frames: frames in the order of time; labels must be finite.
        max_displacement: of an atom relative to the deformed frame, in Angstrom.

    Returns:
        The regression, or None with fewer than two usable pairs.
    """
    changes, works = [], []
    for first, second in _labelled_pairs(frames):
        if first.stress is None or second.stress is None:
            continue
        if not (first.pbc.all() and second.pbc.all()):
            continue
        deformation = np.linalg.inv(first.cell) @ second.cell
        # seen from either end: both agree to second order, and their mean to third
        strain = deformation - np.eye(3)
        strain_behind = np.eye(3) - np.linalg.inv(deformation)
        if not _LEAST_STRAIN < np.abs(strain).max() < _LARGEST_STRAIN:
            continue
        step = second.positions - first.positions @ deformation
        if np.linalg.norm(step, axis=1).max() > max_displacement:
            continue
        volumes = [abs(float(np.linalg.det(frame.cell))) for frame in (first, second)]
        changes.append(second.energy - first.energy - _work_of_forces(first, second, step))
        works.append(
            0.5 * volumes[0] * float(np.sum(first.stress * strain))
            + 0.5 * volumes[1] * float(np.sum(second.stress * strain_behind))
        )
    return _regress(changes, works)


def _labelled_pairs(frames: Sequence[Frame]):
    """Yield consecutive frames of the same atoms that both have energy and forces."""
    for first, second in pairwise(frames):
        labels = (first.energy, first.forces, second.energy, second.forces)
        if all(label is not None for label in labels) and np.array_equal(
            first.numbers, second.numbers
        ):
            yield first, second


def _work_of_forces(first: Frame, second: Frame, step: np.ndarray) -> float:
    return -0.5 * float(np.sum((first.forces + second.forces) * step))


def _regress(changes: Sequence[float], works: Sequence[float]) -> Slope | None:
    change, work = np.array(changes), np.array(works)
    if len(change) < 2 or not work.any() or not change.any():
        return None
    norm = np.sqrt((work @ work) * (change @ change))
    return Slope(
        slope=float(work @ change / (work @ work)),
        correlation=float(work @ change / norm),
        n_pairs=len(change),
    )
