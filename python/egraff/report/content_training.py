# SPDX-License-Identifier: GPL-2.0-or-later
"""The section about trainings and evaluations."""

from __future__ import annotations

from egraff.report import figures
from egraff.report.collect import Evaluation, Study
from egraff.report.numbers import format_number
from egraff.report.parts import Drawing, Section
from egraff.report.tables import Cell, Column, Table, number_cell, text_cell


def improvement(values: dict, name: str) -> float | None:
    """The trivial predictor's error over the model's, or None."""
    own, trivial = values.get(name), values.get(f"trivial_{name}")
    return trivial / own if own and trivial is not None else None


def _error_cells(evaluation: Evaluation, name: str) -> list[Cell]:
    values = evaluation.values
    ratio = improvement(values, name)
    kind = "" if ratio is None else ("good" if ratio > 1.0 else "bad")
    return [
        number_cell(values.get(name), scale=1e3),
        number_cell(values.get(f"trivial_{name}"), scale=1e3),
        number_cell(ratio, digits=2, kind=kind),
    ]


def training(study: Study) -> Section:
    """Errors of the models beside the trivial predictor's, and learning curves."""
    section = Section(
        "training",
        "What training learned",
        "The trivial predictor answers with the mean energy of each element and zero forces. "
        "“Better” is its error over the model’s: 1 means that nothing was learned.",
        short="Training",
    )
    for statistic in ("mae", "rmse"):
        keys = (f"energy_{statistic}_ev_per_atom", f"force_{statistic}_ev_per_ang")
        rows = [
            [
                text_cell(one.name),
                text_cell(one.values.get("n_frames")),
                *_error_cells(one, keys[0]),
                *_error_cells(one, keys[1]),
            ]
            for one in study.evaluations
            if any(key in one.values for key in keys)
        ]
        if rows:
            name = statistic.upper()
            columns = [
                Column("Evaluation", numeric=False),
                Column("Frames"),
                Column(f"Energy {name}", "meV/atom"),
                Column("trivial", "meV/atom"),
                Column("better", "×"),
                Column(f"Force {name}", "meV/Å"),
                Column("trivial", "meV/Å"),
                Column("better", "×"),
            ]
            caption = "Mean absolute errors." if statistic == "mae" else "Root-mean-square errors."
            section.tables.append(Table(f"errors-{statistic}", caption, columns, rows))
    for index, one in enumerate(study.trainings):
        if figures.can_draw_learning(one):
            section.drawings.append(
                Drawing(
                    f"learning-{index + 1}",
                    f"Learning curves of {one.name}.",
                    lambda palette, one=one: figures.learning(one, palette),
                )
            )
    rows = [
        [text_cell(one.name), text_cell(key), text_cell(value)]
        for one in study.trainings
        for key, value in _scalars(one.summary)
    ]
    if rows:
        columns = [Column(title, numeric=False) for title in ("Training", "Setting", "Value")]
        section.details.append(Table("training-settings", "Training summaries.", columns, rows))
    return section


def _scalars(summary: dict, prefix: str = "") -> list[tuple[str, object]]:
    """Scalar entries of a nested summary, with dotted names."""
    found: list[tuple[str, object]] = []
    for key, value in summary.items():
        if isinstance(value, dict):
            found += _scalars(value, f"{prefix}{key}.")
        elif isinstance(value, float):
            found.append((f"{prefix}{key}", format_number(value, digits=4)))
        elif isinstance(value, str | int | bool) or value is None:
            found.append((f"{prefix}{key}", value))
    return found
