# SPDX-License-Identifier: GPL-2.0-or-later
"""The table that most sections have: runs down, measures across."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from egraff.analysis.metric import Metric
from egraff.report.collect import Simulation
from egraff.report.numbers import common_exponent
from egraff.report.parts import Section
from egraff.report.tables import Column, Table, metric_cell, text_cell


def wide_table(
    section: Section,
    simulations: Iterable[Simulation],
    measures: Iterable[tuple[str, str, str]],
    what: tuple[str, str],
    label: Callable[[Simulation], str] = lambda one: one.name,
) -> None:
    """One row for each run that has any of the measures, one column for each that any run has."""
    having = [one for one in simulations if any(name in one.metrics for name, _, _ in measures)]
    shown = [m for m in measures if any(m[0] in one.metrics for one in having)]
    if not shown:
        return
    columns = [Column("Run", numeric=False)]
    rows = [[text_cell(label(one))] for one in having]
    for name, title, unit in shown:
        found: list[Metric | None] = [one.metrics.get(name) for one in having]
        exponent = common_exponent(m.value for m in found if m is not None)
        columns.append(Column(title, unit, exponent=exponent))
        for row, metric in zip(rows, found, strict=True):
            row.append(metric_cell(metric, exponent=exponent))
    section.tables.append(Table(what[0], what[1], columns, rows))
