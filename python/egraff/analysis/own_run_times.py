# SPDX-License-Identifier: GPL-2.0-or-later
"""The time of every frame and row of a run: by steps of one length, or as dump and log state it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from egraff.analysis.logs.commands import Stage
from egraff.analysis.logs.part import Part
from egraff.analysis.logs.thermo_log import ThermoLog
from egraff.data.lammps.dump_file import DumpFile
from egraff.data.lammps.unit_styles import UnitStyle
from egraff.errors import InputError
from egraff.units import PS_PER_FS

_SAME_TIME_PS = 1e-6


def times_of(
    dump: DumpFile,
    log: ThermoLog | None,
    part: Part | None,
    units: UnitStyle,
    where: Path | None,
    interval_ps: float | None,
) -> dict[str, Any]:
    """Entries of ``run.json`` that tell the time of every frame and row.

    Args:
        dump: the run's frames.
        log: the log; None without one, as ``part`` and ``where`` then are.
        part: the run's part of it.
        units: of both.
        where: the log file, for messages.
        interval_ps: time between frames, for a dump without log and TIME.

    Raises:
        InputError: the time step changes or is not known, and dump and log do not state times.
    """
    stated = dump.times * units.time
    stated = stated if np.all(np.isfinite(stated)) else None
    steps = dump.steps
    if part is None or log is None or where is None:
        return _times_alone(dump, stated, interval_ps)
    run = log.runs[part.last]
    clock = _log_clock(log, part, units)
    constant = _timestep_ps(part.stage, units, clock)
    if clock is not None and stated is not None:
        mean = constant or float(np.ptp(stated) / max(np.ptp(steps), 1)) or units.default_timestep
        return {"timestep_fs": mean / PS_PER_FS, "times_stated": True, "start_ps": clock[0][1]}
    if constant is None:
        raise InputError(
            f"expected one time step, or times in log and dump, got {' '.join(run.columns)} and "
            f"{'TIME' if stated is not None else 'no TIME'}",
            where=where,
            field="timestep",
            fix="add time to thermo_style custom, and dump_modify ID time yes",
        )
    if stated is not None and np.abs(stated - steps * constant).max() > _SAME_TIME_PS:
        raise InputError(
            f"expected times of {constant:g} ps per step, got {stated[-1]:g} ps at step "
            f"{steps[-1]}",
            where=dump.path,
            field="TIME",
            fix="add time to thermo_style custom",
        )
    return {"timestep_fs": constant / PS_PER_FS, "start_ps": part.first_step * constant}


def _times_alone(
    dump: DumpFile, stated: np.ndarray | None, interval_ps: float | None
) -> dict[str, Any]:
    """Times of a dump without a log."""
    steps = dump.steps
    if stated is not None:
        mean = float(np.ptp(stated) / max(np.ptp(steps), 1)) or PS_PER_FS
        return {
            "timestep_fs": mean / PS_PER_FS,
            "times_stated": True,
            "start_ps": float(stated[0]),
            "first_step": int(steps[0]),
        }
    between = np.diff(steps)
    if interval_ps is None or (len(between) and np.ptp(between) > 0):
        raise InputError(
            "expected the time step, got none: there is no log, and the dump states no times",
            where=dump.path,
            fix="give --log, or --interval with the time between frames in ps where they are even",
        )
    timestep = interval_ps / float(between[0] if len(between) else 1)
    return {
        "timestep_fs": timestep / PS_PER_FS,
        "start_ps": float(steps[0]) * timestep,
        "first_step": int(steps[0]),
    }


def _log_clock(log: ThermoLog, part: Part, units: UnitStyle) -> np.ndarray | None:
    """Step and time in ps of every row, ``[n_rows, 2]``, where the log has them."""
    runs = log.runs[part.first : part.last + 1]
    if not all("Time" in run.columns for run in runs):
        return None
    pairs = [run.rows[:, [run.columns.index("Step"), run.columns.index("Time")]] for run in runs]
    return np.concatenate(pairs) * [1.0, units.time]


def _timestep_ps(stage: Stage, units: UnitStyle, clock: np.ndarray | None) -> float | None:
    """The one time step of a run; None where it changes or is not known."""
    if stage.variable_timestep:
        return None
    if stage.timestep is not None:
        return stage.timestep * units.time
    if clock is not None and np.ptp(clock[:, 0]) > 0:
        slope = np.diff(clock[[0, -1], 1]) / np.diff(clock[[0, -1], 0])
        return float(slope[0])
    return units.default_timestep * units.time if stage.units else None
