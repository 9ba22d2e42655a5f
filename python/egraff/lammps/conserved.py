# SPDX-License-Identifier: GPL-2.0-or-later
"""The energy that a production should conserve, collected while it runs, and its drift judged."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from egraff.lammps.inputs_ensemble import Stage
from egraff.units import BOLTZMANN_EV_PER_K

TOLERATED_PER_PS = 0.01
"""Drift that is tolerated, over kT per atom and ps: a run of 100 ps then gains or loses kT."""

BLOCKS = 20
"""Means of so many successive parts are taken for independent; fewer lines are not judged."""

WANDER = 0.1
"""Change of the energy, over kT per atom, that is no drift yet.

What is conserved of finite steps oscillates, and wanders with the volume where a barostat acts.
"""

_CERTAIN = 2.0


@dataclass(frozen=True)
class Drift:
    """Drift of the conserved energy in one start of LAMMPS.

    Attributes:
        column: of the log: ``TotEng``, or ``Econserve`` where a thermostat or barostat acts.
        mev_per_atom_ps: slope of a least-squares line in meV/atom/ps.
        error: its standard error, from the scatter of :data:`BLOCKS` block means about the line.
        limit: what is tolerated at the mean temperature, in meV/atom/ps.
        verdict: ``conserved`` where the slope is within the limit by two errors; ``drifts`` where
            it is beyond by two errors and by what changes the energy by :data:`WANDER` kT in the
            time of the run; else ``unclear``.
    """

    column: str
    mev_per_atom_ps: float
    error: float
    limit: float
    verdict: Literal["conserved", "drifts", "unclear"]

    def __str__(self) -> str:
        measured = f"{self.mev_per_atom_ps:+.2g} +- {self.error:.1g} meV/atom/ps"
        tolerated = f"{self.limit:.2g} ({100 * TOLERATED_PER_PS:g} % of kT per ps)"
        words = {
            "conserved": f"conserved, drift {measured}, tolerated {tolerated}",
            "drifts": f"drifts by {measured}, tolerated {tolerated}: try a smaller --timestep-fs; "
            "if it stays, the model's energy is not smooth (egraff check)",
            "unclear": f"drift {measured}, tolerated {tolerated}: too short a run to tell",
        }
        return f"{self.column} {words[self.verdict]}"


class ConservedEnergy:
    """Listens to a run (:class:`~egraff.lammps.follow.Listener`) and judges its conserved energy.

    Args:
        column: the column of the log that should stay constant.
    """

    def __init__(self, column: str) -> None:
        self.column = column
        self._rows: dict[str, array[float]] = {
            name: array("d") for name in ("Time", "Temp", column)
        }

    def stage(self, stage: Stage) -> None:
        """Begin a stage."""

    def row(self, stage: Stage, values: dict[str, float]) -> None:
        """Keep a line of the production."""
        if stage == "production":
            for name, kept in self._rows.items():
                kept.append(values.get(name, np.nan))

    def drift(self, n_atoms: int) -> Drift | None:
        """Return the drift per atom, None where there is too little to judge.

        Args:
            n_atoms: number of atoms.
        """
        time, temperature, energy = (np.asarray(self._rows[name]) for name in self._rows)
        if len(time) < 2 * BLOCKS or not np.isfinite(energy).all():
            return None
        slope, error = _slope(time, energy * 1000.0 / n_atoms)
        thermal = BOLTZMANN_EV_PER_K * 1000.0 * float(temperature.mean())
        limit = TOLERATED_PER_PS * thermal
        wander = WANDER * thermal / (time[-1] - time[0])
        verdict: Literal["conserved", "drifts", "unclear"] = "unclear"
        if abs(slope) + _CERTAIN * error <= limit:
            verdict = "conserved"
        elif abs(slope) - max(_CERTAIN * error, wander) > limit:
            verdict = "drifts"
        return Drift(self.column, slope, error, limit, verdict)


def _slope(time: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the slope of a line through block means, and its standard error."""
    size = len(time) // BLOCKS
    blocks = np.stack([time[-size * BLOCKS :], values[-size * BLOCKS :]])
    x, y = blocks.reshape(2, BLOCKS, size).mean(axis=2)
    x, y = x - x.mean(), y - y.mean()
    slope = float(x @ y / (x @ x))
    scatter = float(np.sum((y - slope * x) ** 2)) / (BLOCKS - 2)
    return slope, float(np.sqrt(scatter / (x @ x)))
