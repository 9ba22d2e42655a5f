# SPDX-License-Identifier: GPL-2.0-or-later
"""The section about trainings and evaluations."""

from __future__ import annotations

from egraff.report import figures
from egraff.report.collect import Evaluation, Study, Training
from egraff.report.numbers import format_number
from egraff.report.parts import Drawing, Section
from egraff.report.tables import Cell, Column, Table, number_cell, text_cell


def improvement(values: dict, name: str) -> float | None:
    """The trivial predictor's error over the model's, or None."""
    own, trivial = values.get(name), values.get(f"trivial_{name}")
    return trivial / own if own and trivial is not None else None


#: Title, what its keys begin with, the unit in them, and the unit of a thousandth of it.
_QUANTITIES = (
    ("Energy", "energy", "ev_per_atom", "meV/atom"),
    ("Force", "force", "ev_per_ang", "meV/Å"),
    ("Stress", "stress", "ev_per_ang3", "meV/Å³"),
)


def _error_cells(evaluation: Evaluation, name: str) -> list[Cell]:
    values = evaluation.values
    ratio = improvement(values, name)
    kind = "" if ratio is None else ("good" if ratio > 1.0 else "bad")
    return [
        number_cell(values.get(name), scale=1e3),
        _interval_cell(values, name),
        number_cell(values.get(f"trivial_{name}"), scale=1e3),
        number_cell(ratio, digits=2, kind=kind),
    ]


def _interval_cell(values: dict, name: str) -> Cell:
    """The 95 % confidence interval of an error, where the evaluation gives one."""
    bounds = [values.get(f"ci95_{end}_{name}") for end in ("low", "high")]
    if None in bounds:
        return text_cell(None)
    low, high = (str(format_number(bound * 1e3)) for bound in bounds)
    return text_cell(f"{low} to {high}")


def training(study: Study) -> Section:
    """Errors of the models beside the trivial predictor's, and learning curves."""
    section = Section(
        "training",
        "What training learned",
        "The trivial predictor gives the mean energy of each element and zero forces "
        "and stress. “Better” is its error over the model’s: 1 means that nothing was learned.",
        short="Training",
    )
    for statistic in ("mae", "rmse"):
        shown = [
            (title, f"{quantity}_{statistic}_{unit}", milli)
            for title, quantity, unit, milli in _QUANTITIES
            if any(f"{quantity}_{statistic}_{unit}" in one.values for one in study.evaluations)
        ]
        rows = [
            [
                text_cell(one.name),
                text_cell(one.values.get("n_frames")),
                *(cell for _, key, _ in shown for cell in _error_cells(one, key)),
            ]
            for one in study.evaluations
            if any(key in one.values for _, key, _ in shown)
        ]
        if rows:
            name = statistic.upper()
            columns = [Column("Evaluation", numeric=False), Column("Frames")]
            for title, _, unit in shown:
                columns += [
                    Column(f"{title} {name}", unit),
                    Column("95 % interval", unit, numeric=False),
                    Column("trivial", unit),
                    Column("better", "×"),
                ]
            caption = "Mean absolute errors." if statistic == "mae" else "Root-mean-square errors."
            section.tables.append(Table(f"errors-{statistic}", caption, columns, rows))
    for index, one in enumerate(study.trainings):
        if figures.can_draw_learning(one):
            section.drawings.append(
                Drawing(
                    f"learning-{index + 1}",
                    f"Learning curves of {one.name}. {_validated(one)}".strip(),
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


def _validated(training: Training) -> str:
    """What the validation curves belong to: not to the weights that the training curves do."""
    settings = training.summary.get("settings")
    decay = settings.get("ema_decay") if isinstance(settings, dict) else None
    if not decay:
        return ""
    return (
        f"Validation is of the running average of the weights (decay {decay:g} per step), which is "
        "what is saved; training of the weights of each step. The average lags behind at first "
        "and is smoother later, so that the two are no measure of overfitting by themselves."
    )


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
