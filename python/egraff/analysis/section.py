# SPDX-License-Identifier: GPL-2.0-or-later
"""What the parts of the analysis of one run have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from egraff.analysis.logfile import ThermoLog
from egraff.analysis.metric import Metric
from egraff.analysis.reader import open_universe
from egraff.analysis.run_log import log_times_ps, read_run_log
from egraff.analysis.runs import LogConditions, Run
from egraff.analysis.statistics import equilibration_start
from egraff.analysis.trajectory_file import trajectory_universe
from egraff.errors import InputError

_FEWEST_ROWS = 10


@dataclass
class Section:
    """Outcome of one part: metrics, arrays for figures, and what went wrong."""

    metrics: list[Metric] = field(default_factory=list)
    curves: dict[str, np.ndarray] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def evenly_spaced(n: int, most: int) -> list[int]:
    """Indices of at most ``most`` of ``n`` items, evenly spaced, first and last included."""
    if n <= most:
        return list(range(n))
    return np.unique(np.linspace(0, n - 1, most).round().astype(int)).tolist()


def log_of(run: Run) -> ThermoLog:
    """The run's part of the log, in metal units.

    Raises:
        InputError: see `read_run_log`.
    """
    return read_run_log(run.log, run.conditions)


def universe_of(run: Run, *, unwrap: bool = False):
    """The run's trajectory as an MDAnalysis universe; the index of a dump is kept beside it."""
    if run.record.get("trajectory"):
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


def equilibrated_from(run: Run) -> float:
    """Time from which the run is stationary, ps: one for all its metrics.

    That of the last of potential energy, temperature, pressure and volume to become so; 0 when the
    log cannot tell.
    """
    if not run.log.is_file():
        return 0.0
    status = run.log.stat()
    return _stationary_from(run.log, run.conditions, (status.st_mtime_ns, status.st_size))


@lru_cache(maxsize=4)  # every part of an analysis asks, and a long log takes seconds
def _stationary_from(path: Path, conditions: LogConditions, _changed: tuple[int, int]) -> float:
    log = read_run_log(path, conditions)
    names = {name.lower() for name in log.column_names()}
    if "step" not in names:
        return 0.0
    time = log_times_ps(log, conditions)
    starts = [0.0]
    for spellings in (("pe", "poteng"), ("temp",), ("press",), ("vol", "volume")):
        column = next((name for name in spellings if name in names), None)
        values = log.column(column) if column is not None else np.empty(0)
        finite = np.isfinite(values)
        if finite.sum() >= _FEWEST_ROWS:
            starts.append(float(time[finite][equilibration_start(values[finite])]))
    return max(starts)


def production_frames(run: Run, times_ps: np.ndarray, *, fewest: int) -> int:
    """First frame after equilibration.

    Raises:
        InputError: fewer than ``fewest`` frames are left.
    """
    first = int(np.searchsorted(times_ps, equilibrated_from(run) - 1e-9))
    if len(times_ps) - first < fewest:
        raise InputError(
            f"expected at least {fewest} frames after equilibration, got {len(times_ps) - first}",
            where=run.dump,
            fix="run longer, or dump more often",
        )
    return first
