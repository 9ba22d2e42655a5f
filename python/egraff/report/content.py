# SPDX-License-Identifier: GPL-2.0-or-later
"""The sections of the page, in their order."""

from __future__ import annotations

from pathlib import Path

from egraff.report.collect import Study
from egraff.report.content_comparison import comparison
from egraff.report.content_order import conservation, models, order, rollouts
from egraff.report.content_reference import replay, structure
from egraff.report.content_runs import simulations
from egraff.report.content_training import training
from egraff.report.content_verdict import verdicts
from egraff.report.parts import Section
from egraff.report.tables import Column, Table, metric_cell, number_cell, text_cell


def sections(study: Study, *, has_frames: bool = False) -> list[Section]:
    """Every section that has something to show.

    Args:
        study: what was found.
        has_frames: whether there are atoms to look at.
    """
    made = [
        verdicts(study),
        training(study),
        simulations(study),
        frames(has_frames),
        structure(study),
        order(study),
        conservation(study),
        replay(study),
        rollouts(study),
        models(study),
        comparison(study),
        ranks(study),
        provenance(study),
    ]
    return [section for section in made if not section.empty]


def frames(has_frames: bool) -> Section:
    """The rotatable view of final and of bad frames."""
    return Section(
        "frames",
        "Atoms",
        "The last frame of each run, and the first in which a criterion of stability was violated. "
        "Drag or use the arrow keys to turn, scroll or press + and − to zoom.",
        interactive=has_frames,
    )


def ranks(study: Study) -> Section:
    """Agreement between one and two MPI ranks."""
    section = Section(
        "ranks",
        "One rank against two",
        "The same frame evaluated by LAMMPS on one and on two MPI ranks.",
        short="Ranks",
    )
    columns = [
        Column("Quantity", numeric=False),
        Column("Unit", numeric=False),
        Column("One rank"),
        Column("Two ranks"),
        Column("Largest difference"),
    ]
    for index, one in enumerate(study.ranks):
        rows = [
            [
                text_cell(quantity["name"]),
                text_cell(quantity.get("unit", "")),
                number_cell(quantity.get("rank1"), digits=10),
                number_cell(quantity.get("rank2"), digits=10),
                number_cell(quantity.get("max_abs_difference"), digits=2),
            ]
            for quantity in one.quantities
        ]
        section.tables.append(Table(f"ranks-{index + 1}", f"{one.name}.", columns, rows))
    return section


def provenance(study: Study) -> Section:
    """Where every number comes from."""
    section = Section("provenance", "Provenance")
    rows = []
    for one in study.simulations:
        record = one.run.record
        versions = record.get("versions") or {}
        rows.append(
            [
                text_cell(one.name),
                text_cell(Path(record.get("model") or "?").name),
                text_cell((record.get("model_sha256") or "")[:12] or None),
                text_cell(record.get("seed")),
                text_cell(", ".join(f"{name} {value}" for name, value in versions.items())),
            ]
        )
    if rows:
        columns = [
            Column("Run", numeric=False),
            Column("Model", numeric=False),
            Column("SHA-256", numeric=False),
            Column("Seed"),
            Column("Versions", numeric=False),
        ]
        section.tables.append(Table("provenance", "What ran.", columns, rows))
    rows = [
        [
            text_cell(one.name),
            text_cell(metric.name),
            metric_cell(metric),
            text_cell("" if metric.unit == "1" else metric.unit),
            number_cell(metric.n_eff, digits=2),
            text_cell(metric.definition + (f" ({metric.note})" if metric.note else "")),
            text_cell(metric.provenance),
        ]
        for one in study.simulations
        for metric in one.metrics.values()
    ]
    if rows:
        columns = [
            Column("Run", numeric=False),
            Column("Metric", numeric=False),
            Column("Value"),
            Column("Unit", numeric=False),
            Column("n_eff"),
            Column("Definition", numeric=False),
            Column("Source", numeric=False),
        ]
        section.details.append(Table("metrics", "Every metric.", columns, rows))
    problems = [
        [text_cell(one.name), text_cell(problem)]
        for one in study.simulations
        for problem in one.problems
    ] + [[text_cell("–"), text_cell(problem)] for problem in study.problems]
    if problems:
        columns = [Column("Run", numeric=False), Column("What", numeric=False)]
        caption = "What could not be read or computed, and why."
        section.tables.append(Table("problems", caption, columns, problems))
    return section
