# SPDX-License-Identifier: GPL-2.0-or-later
"""The section about simulations: whether they lived, temperature, conservation, speed."""

from __future__ import annotations

from egraff.report import figures
from egraff.report.collect import Study
from egraff.report.parts import Drawing, Section
from egraff.report.tables import Column, Table, metric_cell, number_cell, text_cell

_STATUS_KINDS = {"completed": "good", "failed": "bad"}


def simulations(study: Study) -> Section:
    """Every run: what it was, whether it lived, temperature, drift, speed."""
    section = Section(
        "simulations",
        "Simulations",
        "Means are over the part after equilibration; errors are one standard error, corrected for "
        "correlation in time. Point at a number for its definition and provenance.",
    )
    if not study.simulations:
        return section
    rows = []
    for one in study.simulations:
        record = one.run.record
        status = record["status"]
        length = record.get("steps_done", record["steps"]) * record["timestep_fs"] * 1e-3
        rows.append(
            [
                text_cell(one.name),
                text_cell(
                    status, kind=_STATUS_KINDS.get(status, "bad"), title=record.get("error") or ""
                ),
                text_cell(record["ensemble"].upper()),
                text_cell(record["n_atoms"]),
                text_cell(record.get("ranks")),
                number_cell(length),
                number_cell(record.get("temperature_K")),
                metric_cell(one.metrics.get("temperature")),
                metric_cell(one.metrics.get("pressure")),
                metric_cell(one.metrics.get("nve_drift")),
                metric_cell(one.metrics.get("nve_drift_relative")),
                metric_cell(one.metrics.get("speed")),
            ]
        )
    columns = [
        Column("Run", numeric=False),
        Column("Status", numeric=False),
        Column("Ensemble", numeric=False),
        Column("Atoms"),
        Column("Ranks"),
        Column("Length", "ps"),
        Column("Target T", "K"),
        Column("Temperature", "K"),
        Column("Pressure", "bar"),
        Column("NVE drift", "meV/atom/ps"),
        Column("Drift / σ(E_kin)", "1/ps"),
        Column("Speed", "ns/day"),
    ]
    section.tables.append(Table("simulations", "Simulations, failed ones included.", columns, rows))
    failures = [
        [text_cell(one.name), text_cell(one.run.record.get("error") or "no reason recorded")]
        for one in study.simulations
        if one.run.failed
    ]
    if failures:
        columns = [Column("Run", numeric=False), Column("Reason", numeric=False)]
        section.tables.append(Table("failures", "Runs that failed.", columns, failures))
    _thermo_drawings(study, section)
    return section


def _thermo_drawings(study: Study, section: Section) -> None:
    with_temperature = [one for one in study.simulations if "thermo/temp" in one.curves]
    if with_temperature:
        section.drawings.append(
            Drawing(
                "temperature",
                "Temperature over time; dashed: targets of thermostatted runs.",
                lambda palette: figures.temperature(with_temperature, palette),
            )
        )
    conserved = [
        one
        for one in study.simulations
        if one.run.record["ensemble"].lower() == "nve" and "thermo/etotal" in one.curves
    ]
    if conserved:
        section.drawings.append(
            Drawing(
                "nve-energy",
                "Total energy of NVE runs about its mean; straight lines: fitted drift.",
                lambda palette: figures.energy(conserved, palette),
            )
        )
