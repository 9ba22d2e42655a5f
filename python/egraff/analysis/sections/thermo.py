# SPDX-License-Identifier: GPL-2.0-or-later
"""Temperature, pressure, energy conservation and speed, from the log and the run's record."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from egraff.analysis.context import AnalysisContext
from egraff.analysis.metric import Metric, not_enough_data
from egraff.analysis.section import Section
from egraff.analysis.series import mean_metric
from egraff.analysis.thermo import conserved_drift, nve_drift, production_mean
from egraff.statistics import equilibration_start
from egraff.units import AMU_PER_ANG3_IN_G_PER_CM3

_FEWEST_ROWS = 10
#: Cells of single-precision trajectories differ by rounding.
_SAME_VOLUME = 1e-5


def thermo(context: AnalysisContext) -> Section:
    """Temperature, pressure and energy conservation from the log."""
    run = context.run
    if run.of_other_program:
        return Section()  # whose log is not read
    section = Section(problems=[*context.log.problems, *context.log.errors])
    time = context.log_times_ps
    if not len(time):
        section.problems.append("LAMMPS printed no thermo output")
        return section
    columns = {name: context.column(*spellings) for name, spellings in _COLUMNS.items()}
    columns = {name: values for name, values in columns.items() if values is not None}
    section.curves = {"thermo/time_ps": time}
    section.curves |= {f"thermo/{name}": values for name, values in columns.items()}
    rows = context.production(time)
    section.metrics.append(_start(context))
    duration_ps = float(np.ptp(time[rows])) if rows.stop > rows.start else None

    def mean(name: str, column: str, unit: str) -> None:
        where = f"{run.log.name}: {_COLUMNS[column][1]}"
        values = columns[column]
        section.metrics.append(
            production_mean(
                name, values, unit, name, provenance=where, rows=rows, duration_ps=duration_ps
            )
        )

    if "temp" in columns:
        mean("temperature", "temp", "K")
        if run.temperature_K and run.ensemble in ("nvt", "npt"):
            section.metrics.append(_off_target(section.metrics[-1], run.temperature_K))
    if "press" in columns and run.periodic:
        mean("pressure", "press", "bar")
        where = f"{run.log.name}: Press"
        fluctuation = _fluctuation(columns["press"][rows], duration_ps, provenance=where)
        if fluctuation is not None:
            section.metrics.append(fluctuation)
    if run.ensemble == "npt" and "vol" in columns:
        mean("volume", "vol", "A^3")
    healthy = slice(0, rows.stop)
    if "econserve" in columns and run.ensemble != "nve":
        section.metrics.append(
            conserved_drift(
                time[healthy],
                columns["econserve"][healthy],
                run.n_atoms,
                provenance=f"{run.log.name}: Econserve, {rows.stop} rows",
            )
        )
    if run.ensemble == "nve" and {"etotal", "ke"} <= columns.keys():
        section.metrics += nve_drift(
            time[healthy],
            columns["etotal"][healthy],
            columns["ke"][healthy],
            run.n_atoms,
            provenance=f"{run.log.name}: TotEng, KinEng, {rows.stop} rows",
        )
    return section


#: Thermo keywords, and what LAMMPS prints for each.
_COLUMNS = {
    "temp": ("temp", "Temp"),
    "pe": ("pe", "PotEng"),
    "ke": ("ke", "KinEng"),
    "etotal": ("etotal", "TotEng"),
    "press": ("press", "Press"),
    "econserve": ("econserve", "Econserve"),
    "vol": ("vol", "Volume"),
}


def _start(context: AnalysisContext) -> Metric:
    """Where all means of the run begin, for the reader to see."""
    until = context.healthy_until_ps
    return Metric(
        name="equilibrated_from",
        value=context.equilibrated_from_ps,
        unit="ps",
        definition="time from which potential energy, temperature, pressure and volume look as in "
        "their second half: all means begin here",
        provenance=context.run.log.name,
        note=f"they end at {until:g} ps, when the run came apart" if np.isfinite(until) else None,
    )


def _off_target(temperature: Metric, target_K: float) -> Metric:
    """How far a mean temperature is from the thermostat's, in per cent of the latter."""
    scale = 100.0 / target_K
    return replace(
        temperature,
        name="temperature_deviation",
        value=None if temperature.value is None else scale * temperature.value - 100.0,
        error=None if temperature.error is None else scale * temperature.error,
        unit="%",
        definition=f"mean temperature over the thermostat's {target_K:g} K, less 1",
    )


def _fluctuation(
    pressure: np.ndarray, duration_ps: float | None, *, provenance: str
) -> Metric | None:
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
        duration_ps=duration_ps,
    )
    value = float(np.sqrt(variance.value))
    # d sqrt(v) = dv / (2 sqrt(v))
    error = None if variance.error is None or value == 0.0 else variance.error / (2.0 * value)
    return replace(variance, value=value, error=error)


def density(context: AnalysisContext) -> Section:
    """Mass density of a periodic run: over the volumes of log or frames where the cell changes."""
    run, universe = context.run, context.universe()
    cell, pbc = universe.trajectory.ts.data["cell"], universe.trajectory.ts.data["pbc"]
    if not all(pbc):
        return Section()
    to_density = float(universe.atoms.masses.sum()) * AMU_PER_ANG3_IN_G_PER_CM3
    volumes = context.column("volume", "vol") if run.ensemble == "npt" else None
    if volumes is not None:
        where = f"{run.log.name}: Volume; masses of {run.dump.name}"
        rows = context.production(context.log_times_ps)
        return Section([_mean_density(to_density / volumes, where, rows)])
    if run.ensemble not in ("nve", "nvt", "npt"):
        volumes = np.array([abs(np.linalg.det(ts.data["cell"])) for ts in universe.trajectory])
        if np.ptp(volumes) > _SAME_VOLUME * volumes[0]:
            where = f"{run.dump.name}: cells and masses of {len(volumes)} frames"
            # no log tells of them
            rows = slice(equilibration_start(volumes), len(volumes))
            return Section([_mean_density(to_density / volumes, where, rows)])
    metric = Metric(
        name="density",
        value=to_density / abs(float(np.linalg.det(cell))),
        unit="g/cm^3",
        definition="mass over volume",
        provenance=f"{run.dump.name}: cell and masses of the first frame",
        note="one cell, no error",
    )
    return Section([metric])


def _mean_density(values: np.ndarray, provenance: str, rows: slice) -> Metric:
    return production_mean(
        "density", values, "g/cm^3", "mass over volume", provenance=provenance, rows=rows
    )


def speed(context: AnalysisContext) -> Section:
    """Simulated time per day of wall time, as the run recorded it."""
    section = Section()
    value = context.run.ns_per_day
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
