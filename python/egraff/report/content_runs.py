# SPDX-License-Identifier: GPL-2.0-or-later
"""The section about simulations: survival, temperature, conservation of energy, speed."""

from __future__ import annotations

from egraff.report import dynamics_figures, figures
from egraff.report.collect import Study
from egraff.report.content_groups import over_runs
from egraff.report.content_verdict import reasons, verdict_cell
from egraff.report.content_wide import wide_table
from egraff.report.parts import Drawing, Section
from egraff.report.systems import draw_each
from egraff.report.tables import Column, Table, metric_cell, number_cell, text_cell
from egraff.units import PS_PER_FS

_THERMODYNAMICS = (
    ("temperature", "Temperature", "K"),
    ("pressure", "Pressure", "bar"),
    ("nve_drift", "NVE drift", "meV/atom/ps"),
    ("nve_drift_relative", "Drift / σ(E_kin)", "1/ps"),
)
_THERMODYNAMICS_TABLE = ("thermodynamics", "Temperature, pressure and conservation of energy.")
_STATUS_KINDS = {"completed": "good", "interrupted": "", "running": ""}


def simulations(study: Study) -> Section:
    """Every run: settings, survival, temperature, drift, speed."""
    section = Section(
        "simulations",
        "Simulations",
        "Means are over the part after equilibration; errors are one standard error, corrected for "
        "correlation in time. Hover over a number for its definition and provenance, or read "
        "them under Provenance.",
        short="Simulations",
    )
    if not study.simulations:
        return section
    rows = []
    for one in study.simulations:
        record = one.run.record
        status = record["status"]
        length = record.get("steps_done", record["steps"]) * record["timestep_fs"] * PS_PER_FS
        rows.append(
            [
                text_cell(one.name),
                verdict_cell(one),
                text_cell(
                    status, kind=_STATUS_KINDS.get(status, "bad"), title=record.get("error") or ""
                ),
                text_cell(record["ensemble"].upper()),
                text_cell(record["n_atoms"]),
                text_cell(record.get("ranks")),
                number_cell(length),
                number_cell(record.get("temperature_K")),
                metric_cell(
                    one.metrics.get("stability_time"), kind="bad" if one.violations else ""
                ),
                metric_cell(one.metrics.get("speed")),
            ]
        )
    columns = [
        Column("Run", numeric=False),
        Column("Verdict", numeric=False),
        Column("Status", numeric=False),
        Column("Ensemble", numeric=False),
        Column("Atoms"),
        Column("Ranks"),
        Column("Length", "ps"),
        Column("Target T", "K"),
        Column("Stable for", "ps"),
        Column("Speed", "ns/day"),
    ]
    section.tables.append(Table("simulations", "Simulations, failed ones included.", columns, rows))
    why = reasons(study)
    if why is not None:
        section.details.append(why)
    wide_table(section, study.simulations, _THERMODYNAMICS, _THERMODYNAMICS_TABLE)
    together = over_runs(study)
    if together is not None:
        section.tables.append(together)
    _troubles(study, section)
    _thermo_drawings(study, section)
    _dynamics(study, section)
    return section


def _troubles(study: Study, section: Section) -> None:
    """Runs that failed, and criteria of stability that were violated."""
    rows = [
        [
            text_cell(one.name),
            text_cell("failed", kind="bad"),
            text_cell(None),
            text_cell(one.run.record.get("error") or "no reason recorded"),
        ]
        for one in study.simulations
        if one.run.record["status"] == "failed"
    ] + [
        [
            text_cell(one.name),
            text_cell(violation["criterion"], kind="bad"),
            number_cell(violation["time_ps"]),
            text_cell(violation["message"]),
        ]
        for one in study.simulations
        for violation in one.violations
    ]
    if rows:
        columns = [
            Column("Run", numeric=False),
            Column("Criterion", numeric=False),
            Column("Time", "ps"),
            Column("What happened", numeric=False),
        ]
        caption = "Failed runs, and where trajectories stopped being physical."
        section.tables.append(Table("stability", caption, columns, rows))


def _dynamics(study: Study, section: Section) -> None:
    """Diffusion and vibrations."""
    names = sorted(
        {name for one in study.simulations for name in one.metrics if name.startswith("diffusion[")}
    )
    if names:
        rows = [
            [text_cell(one.name), *(metric_cell(one.metrics.get(name)) for name in names)]
            for one in study.simulations
            if any(name in one.metrics for name in names)
        ]
        columns = [
            Column("Run", numeric=False),
            *(Column(f"D of {name[10:-1]}", "Å²/ps") for name in names),
        ]
        caption = "Diffusion coefficients of the periodic box, without finite-size correction."
        section.details.append(Table("diffusion", caption, columns, rows))
    moved = [one for one in study.simulations if "msd/msd" in one.curves]
    caption = "Mean square displacement of each species."
    draw_each(section, moved, "msd", caption, dynamics_figures.displacement)
    vibrating = [one for one in study.simulations if "vdos/vdos" in one.curves]
    caption = "Vibrational density of states (mass-weighted, all atoms)."
    draw_each(section, vibrating, "vdos", caption, dynamics_figures.vibrations)


def _thermo_drawings(study: Study, section: Section) -> None:
    with_stability = [one for one in study.simulations if "stability_time" in one.metrics]
    if any(one.violations for one in with_stability):
        section.drawings.append(
            Drawing(
                "stability",
                "Simulated time until the first violation; crosses end runs that had one.",
                lambda palette: dynamics_figures.stability(with_stability, palette),
            )
        )
    with_temperature = [one for one in study.simulations if "thermo/temp" in one.curves]
    caption = "Temperature over time; dashed: targets of thermostatted runs."
    draw_each(section, with_temperature, "temperature", caption, figures.temperature)
    conserved = [
        one
        for one in study.simulations
        if one.run.record["ensemble"].lower() == "nve" and "thermo/etotal" in one.curves
    ]
    caption = "Total energy of NVE runs about its mean; straight lines: fitted drift."
    draw_each(section, conserved, "nve-energy", caption, figures.energy)
