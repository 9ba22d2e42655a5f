# SPDX-License-Identifier: GPL-2.0-or-later
"""The part of a log that belongs to a run, in metal units and with a time for every row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from egraff.analysis.logs.thermo_log import ThermoLog, ThermoRun, read_log
from egraff.analysis.runs import LogConditions
from egraff.data.lammps.unit_styles import unit_style
from egraff.units import PS_PER_FS

#: Names that LAMMPS prints above energies and pressures, in lower case.
_ENERGIES = {"pe", "poteng", "ke", "kineng", "etotal", "toteng", "enthalpy", "e_pair", "econserve"}
_PRESSURES = {"press", *(f"p{pair}" for pair in ("xx", "yy", "zz", "xy", "xz", "yz"))}


def read_run_log(path: Path, conditions: LogConditions) -> ThermoLog:
    """Read the rows of one run, energies in eV, pressures in bar, times in ps.

    Args:
        path: the log.
        conditions: its units, and which part of it belongs to the run.

    Raises:
        LogError: as `read_log`.
        InputError: units that cannot be converted.
    """
    units = unit_style(conditions.units, where=path)
    factors = {
        **dict.fromkeys(_ENERGIES, units.energy),
        **dict.fromkeys(_PRESSURES, units.pressure),
        "time": units.time,
    }
    log = read_log(path)
    last = None if conditions.last_run is None else conditions.last_run + 1
    log.runs = [
        _converted(run, factors, conditions.first_step)
        for run in log.runs[conditions.first_run : last]
    ]
    return log


def _converted(run: ThermoRun, factors: dict[str, float], first_step: int | None) -> ThermoRun:
    names = [name.lower() for name in run.columns]
    rows = run.rows * np.array([factors.get(name, 1.0) for name in names])
    if first_step is not None and "step" in names:
        rows = rows[rows[:, names.index("step")] >= first_step]
    return replace(run, rows=rows)


def log_times_ps(log: ThermoLog, conditions: LogConditions) -> np.ndarray:
    """Time of each row of `read_run_log` since the run began, ps.

    Raises:
        LogError: the log has no column for it.
    """
    if conditions.timestep_fs is None:
        return log.column("time") - conditions.start_ps
    return log.column("step") * conditions.timestep_fs * PS_PER_FS - conditions.start_ps
