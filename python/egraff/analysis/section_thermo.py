# SPDX-License-Identifier: GPL-2.0-or-later
"""Temperature, pressure, energy conservation and speed, from the log and the run's record."""

from __future__ import annotations

from egraff.analysis.logfile import read_log
from egraff.analysis.metric import Metric, not_enough_data
from egraff.analysis.runs import Run
from egraff.analysis.section import Section, log_times_ps
from egraff.analysis.thermo import nve_drift, production_mean


def thermo(run: Run) -> Section:
    """Temperature, pressure and energy conservation from the log."""
    log = read_log(run.log)
    section = Section(problems=[*log.problems, *log.errors])
    if not log.runs or not sum(len(part.rows) for part in log.runs):
        section.problems.append("LAMMPS printed no thermo output")
        return section
    time = log_times_ps(log, run)
    names = {name.lower() for name in log.column_names()}
    section.curves["thermo/time_ps"] = time
    for name in ("temp", "pe", "ke", "etotal", "press", "vol"):
        column = _COLUMNS[name]
        if column.lower() in names or name in names:
            section.curves[f"thermo/{name}"] = log.column(name if name in names else column)
    curves = section.curves
    where = f"{run.log.name}"
    if "thermo/temp" in curves:
        section.metrics.append(
            production_mean(
                "temperature",
                curves["thermo/temp"],
                "K",
                "temperature",
                provenance=f"{where}: Temp",
            )
        )
    periodic = all(run.record.get("pbc", [True] * 3))
    if "thermo/press" in curves and periodic:
        section.metrics.append(
            production_mean(
                "pressure", curves["thermo/press"], "bar", "pressure", provenance=f"{where}: Press"
            )
        )
    if run.record["ensemble"].lower() == "npt" and "thermo/vol" in curves:
        section.metrics.append(
            production_mean(
                "volume", curves["thermo/vol"], "A^3", "volume", provenance=f"{where}: Volume"
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


def speed(run: Run) -> Section:
    """Wall time per atom and step, and simulated time per day, as the run recorded them."""
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
