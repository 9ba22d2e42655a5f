# SPDX-License-Identifier: GPL-2.0-or-later
"""All that the parts of an analysis ask about a run, each read or computed once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from egraff.analysis.logs.run_log import log_times_ps, read_run_log
from egraff.analysis.logs.thermo_log import ThermoLog
from egraff.analysis.model_checks import ModelChecks
from egraff.analysis.parameters import Parameters
from egraff.analysis.reference import Reference
from egraff.analysis.runs import Run
from egraff.analysis.survival import Survival, of_frames, of_log
from egraff.analysis.trajectory.formats import trajectory_universe
from egraff.analysis.trajectory.reader import open_universe
from egraff.errors import InputError
from egraff.statistics import equilibration_start

_FEWEST_ROWS = 10
#: Times that differ by less are the same, ps.
_SAME_TIME = 1e-9
_UNIVERSES = {unwrap: ("universe", unwrap) for unwrap in (False, True)}
#: Of columns of which each must be stationary: the names that LAMMPS gives them, in lower case.
_STATIONARY = (("pe", "poteng"), ("temp",), ("press",), ("vol", "volume"))


class AnalysisContext:
    """A run, what it is compared with, and what several parts need to know of it.

    Means are over *production*: from the time at which the run is stationary to the time at which
    it came apart, if it did.

    Args:
        run: the run.
        parameters: of the analysis; the defaults when None.
        reference: compare with it; None to compute only what needs no reference.
        labels: frames of this run labelled by another method.
        load_calculator: from a model file to an ASE calculator, for the replay; None for none.
        checks: scans and symmetry of the run's model, shared by all runs; None for none.
        trajectory: whether to look at the dump at all, which may be large.
    """

    def __init__(
        self,
        run: Run,
        parameters: Parameters | None = None,
        *,
        reference: Reference | None = None,
        labels: Reference | None = None,
        load_calculator: Callable[[Path], Calculator] | None = None,
        checks: ModelChecks | None = None,
        trajectory: bool = True,
    ) -> None:
        self.run = run
        self.parameters = parameters or Parameters()
        self.reference = reference
        self.labels = labels
        self.load_calculator = load_calculator
        self.checks = checks
        self.has_trajectory = trajectory and run.dump.is_file()
        self._known: dict[Any, Any] = {}

    def once(self, key: Any, compute: Callable[[], Any]) -> Any:
        """Result of ``compute``, computed the first time only: some parts build on others."""
        if key not in self._known:
            self._known[key] = compute()
        return self._known[key]

    # ---- the log ------------------------------------------------------------------------------

    @cached_property
    def log(self) -> ThermoLog:
        """The run's part of the log, in metal units; InputError without one."""
        return read_run_log(self.run.log, self.run.conditions)

    @cached_property
    def log_times_ps(self) -> np.ndarray:
        """Time of each row of the log since the run began; empty without rows."""
        if not sum(len(part.rows) for part in self.log.runs):
            return np.empty(0)
        return log_times_ps(self.log, self.run.conditions)

    def column(self, *spellings: str) -> np.ndarray | None:
        """Column of the log under the first of these names that it has, whatever their case."""
        names = {name.lower() for name in self.log.column_names()}
        found = next((name for name in spellings if name.lower() in names), None)
        return None if found is None else self.log.column(found)

    # ---- the trajectory -----------------------------------------------------------------------

    def universe(self, *, unwrap: bool = False):
        """The run's trajectory at its first frame, as an MDAnalysis universe that parts share."""
        universe = self.once(_UNIVERSES[unwrap], lambda: self._open(unwrap))
        universe.trajectory[0]
        return universe

    def trajectory_problems(self) -> list[str]:
        """What was left out of the trajectory when parts read it, each once."""
        opened = [self._known[key] for key in _UNIVERSES.values() if key in self._known]
        told = [problem.message for universe in opened for problem in universe.trajectory.problems]
        return list(dict.fromkeys(told))

    def _open(self, unwrap: bool):
        run = self.run
        if run.of_other_program:
            return trajectory_universe(run, unwrap=unwrap)
        return open_universe(
            run.dump,
            elements=run.type_elements,
            timestep_fs=run.conditions.timestep_fs,
            units=run.conditions.units,
            first_step=run.conditions.first_step,
            start_ps=run.conditions.start_ps,
            unwrap=unwrap,
            save_index=True,
        )

    def first_frame(self) -> Atoms:
        """The first frame of the trajectory."""
        universe = self.universe()
        ts = universe.trajectory.ts
        return Atoms(
            universe.atoms.elements,
            positions=ts.data["positions"],
            cell=ts.data["cell"],
            pbc=ts.data["pbc"],
        )

    # ---- which part of the run counts ---------------------------------------------------------

    @cached_property
    def log_survival(self) -> Survival:
        """What the log says of the run's end."""
        return of_log(self.run, self.log, self.log_times_ps, self.parameters.criteria)

    @cached_property
    def frame_survival(self) -> Survival:
        """What the trajectory says of the run's end."""
        return of_frames(self.run, self.universe(), self.parameters.criteria)

    @cached_property
    def healthy_until_ps(self) -> float:
        """Time of the first violation in log or trajectory, or of a stop; infinite without one."""
        first = self.run.stop[0] if self.run.stop else np.inf
        for there, name in (
            (self.run.log.is_file(), "log_survival"),
            (self.has_trajectory, "frame_survival"),
        ):
            if not there:
                continue
            try:
                violations = getattr(self, name).violations
            except InputError:  # the part on stability tells of it
                continue
            first = min([first, *(violation.time_ps for violation in violations)])
        return first

    @cached_property
    def equilibrated_from_ps(self) -> float:
        """Time from which the run is stationary: one for all its metrics.

        That of the last of potential energy, temperature, pressure and volume to become so, before
        the run came apart; 0 when the log cannot tell.
        """
        if not self.run.log.is_file() or not len(self.log_times_ps):
            return 0.0
        starts = [0.0]
        healthy = self.log_times_ps < self.healthy_until_ps - _SAME_TIME
        for spellings in _STATIONARY:
            values = self.column(*spellings)
            if values is None:
                continue
            used = healthy & np.isfinite(values)
            if used.sum() >= _FEWEST_ROWS:
                start = equilibration_start(values[used])
                starts.append(float(self.log_times_ps[used][start]))
        return max(starts)

    def production(self, times_ps: np.ndarray) -> slice:
        """Which of these times belong to production."""
        first = np.searchsorted(times_ps, self.equilibrated_from_ps - _SAME_TIME)
        stop = np.searchsorted(times_ps, self.healthy_until_ps - _SAME_TIME)
        return slice(int(first), max(int(first), int(stop)))

    def production_frames(self, times_ps: np.ndarray, *, fewest: int) -> slice:
        """Which frames belong to production.

        Raises:
            InputError: fewer than ``fewest`` frames do.
        """
        frames = self.production(times_ps)
        if (n_frames := frames.stop - frames.start) < fewest:
            until = (
                f" and before {self.healthy_until_ps:g} ps, when the run came apart"
                if np.isfinite(self.healthy_until_ps)
                else ""
            )
            raise InputError(
                f"expected at least {fewest} frames after equilibration{until}, got {n_frames}",
                where=self.run.dump,
                fix="run longer, or dump more often",
            )
        return frames
