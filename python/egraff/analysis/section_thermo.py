# SPDX-License-Identifier: GPL-2.0-or-later
"""Temperature, pressure, energy conservation and speed, from the log and the run's record."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from egraff.analysis.metric import Metric, not_enough_data
from egraff.analysis.run_log import log_times_ps
from egraff.analysis.runs import Run
from egraff.analysis.section import Section, equilibrated_from, log_of, universe_of
from egraff.analysis.series import mean_metric
from egraff.analysis.statistics import equilibration_start
from egraff.analysis.thermo import nve_drift, production_mean

#: 1 amu/A^3 in g/cm^3 (CODATA 2022 atomic mass constant).
AMU_PER_ANG3_IN_G_PER_CM3 = 1.66053906892

_FEWEST_ROWS = 10
#: Cells of single-precision trajectories differ by rounding.
_SAME_VOLUME = 1e-5


def thermo(run: Run) -> Section:
    """Temperature, pressure and energy conservation from the log."""
    if run.record.get("trajectory"):
        return Section()  # of another program, whose log is not read
    log = log_of(run)
    section = Section(problems=[*log.problems, *log.errors])
    if not log.runs or not sum(len(part.rows) for part in log.runs):
        section.problems.append("LAMMPS printed no thermo output")
        return section
    time = log_times_ps(log, run.conditions)
    names = {name.lower() for name in log.column_names()}
    section.curves["thermo/time_ps"] = time
    for name in ("temp", "pe", "ke", "etotal", "press", "vol"):
        column = _COLUMNS[name]
        if column.lower() in names or name in names:
            section.curves[f"thermo/{name}"] = log.column(name if name in names else column)
    curves = section.curves
    where = f"{run.log.name}"
    start = _first_production_row(run, time)
    if "thermo/temp" in curves:
        section.metrics.append(
            production_mean(
                "temperature",
                curves["thermo/temp"],
                "K",
                "temperature",
                provenance=f"{where}: Temp",
                start=start,
            )
        )
    periodic = all(run.record.get("pbc", [True] * 3))
    if "thermo/press" in curves and periodic:
        section.metrics.append(
            production_mean(
                "pressure",
                curves["thermo/press"],
                "bar",
                "pressure",
                provenance=f"{where}: Press",
                start=start,
            )
        )
        fluctuation = _fluctuation(curves["thermo/press"][start:], provenance=f"{where}: Press")
        if fluctuation is not None:
            section.metrics.append(fluctuation)
    if run.record["ensemble"].lower() == "npt" and "thermo/vol" in curves:
        section.metrics.append(
            production_mean(
                "volume",
                curves["thermo/vol"],
                "A^3",
                "volume",
                provenance=f"{where}: Volume",
                start=start,
            )
        )
    if run.record["ensemble"].lower() == "nve" and {"thermo/etotal", "thermo/ke"} <= set(curves):
        section.metrics += nve_drift(
            time,
            curves["thermo/etotal"],
            curves["thermo/ke"],
            run.record["n_atoms"],
            provenance=f"{where}: TotEng, KinEng, {len(time)} rows",
        )
    return section


#: What LAMMPS prints for each thermo keyword.
_COLUMNS = {
    "temp": "Temp",
    "pe": "PotEng",
    "ke": "KinEng",
    "etotal": "TotEng",
    "press": "Press",
    "vol": "Volume",
}


def _first_production_row(run: Run, time_ps: np.ndarray) -> int:
    return int(np.searchsorted(time_ps, equilibrated_from(run) - 1e-9))


def _fluctuation(pressure: np.ndarray, *, provenance: str) -> Metric | None:
    """Standard deviation over time of pressures after equilibration, in bar."""
    production = pressure[np.isfinite(pressure)]
    if len(production) < _FEWEST_ROWS:
        return None
    variance = mean_metric(
        "pressure_fluctuation",
        (production - production.mean()) ** 2,
        "bar",
        "standard deviation of the instantaneous pressure after equilibration",
        provenance,
    )
    value = float(np.sqrt(variance.value))
    # d sqrt(v) = dv / (2 sqrt(v))
    error = None if variance.error is None or value == 0.0 else variance.error / (2.0 * value)
    return replace(variance, value=value, error=error)


def density(run: Run) -> Section:
    """Mass density of a periodic run: over the volumes of log or frames where the cell changes."""
    section = Section()
    universe = universe_of(run)
    cell, pbc = universe.trajectory.ts.data["cell"], universe.trajectory.ts.data["pbc"]
    if not all(pbc):
        return section
    mass = float(universe.atoms.masses.sum())
    if run.record["ensemble"].lower() == "npt":
        log = log_of(run)
        names = {name.lower(): name for name in log.column_names()}
        column = names.get("volume") or names.get("vol")
        if column is not None:
            values = mass * AMU_PER_ANG3_IN_G_PER_CM3 / log.column(column)
            section.metrics.append(
                production_mean(
                    "density",
                    values,
                    "g/cm^3",
                    "mass over volume",
                    provenance=f"{run.log.name}: {column}; masses of {run.dump.name}",
                    start=_first_production_row(run, log_times_ps(log, run.conditions)),
                )
            )
            return section
    if run.record["ensemble"].lower() not in ("nve", "nvt"):
        volumes = [abs(float(np.linalg.det(ts.data["cell"]))) for ts in universe.trajectory]
        if np.ptp(volumes) > _SAME_VOLUME * volumes[0]:
            values = mass * AMU_PER_ANG3_IN_G_PER_CM3 / np.array(volumes)
            section.metrics.append(
                production_mean(
                    "density",
                    values,
                    "g/cm^3",
                    "mass over volume",
                    provenance=f"{run.dump.name}: cells and masses of {len(volumes)} frames",
                    start=equilibration_start(values),  # no log tells of them
                )
            )
            return section
    volume = abs(float(np.linalg.det(cell)))
    section.metrics.append(
        Metric(
            name="density",
            value=mass * AMU_PER_ANG3_IN_G_PER_CM3 / volume,
            unit="g/cm^3",
            definition="mass over volume",
            provenance=f"{run.dump.name}: cell and masses of the first frame",
            note="one cell, no error",
        )
    )
    return section


def speed(run: Run) -> Section:
    """Simulated time per day of wall time, as the run recorded it."""
    section = Section()
    value = run.record.get("ns_per_day")
    text = {
        "name": "speed",
        "unit": "ns/day",
        "definition": "simulated time per day of wall time, of this one run",
        "provenance": "run.json: ns_per_day",
    }
    if value is None:
        section.metrics.append(not_enough_data(**text, note="the run did not record it"))
    else:
        note = "one run, on a machine that may have been shared: no error"
        section.metrics.append(Metric(value=value, note=note, **text))
    return section
