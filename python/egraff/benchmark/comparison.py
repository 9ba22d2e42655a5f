# SPDX-License-Identifier: GPL-2.0-or-later
"""Models side by side on each test of a campaign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from egraff.benchmark.facts import Facts, TestFacts
from egraff.benchmark.plan import PlanFile
from egraff.benchmark.results import QUANTITIES, Quantity, Row
from egraff.benchmark.summaries import Summary, ranks, summarise
from egraff.report.parts import Section
from egraff.report.tables import Cell, Column, Table, number_cell, text_cell

SHIFT_TITLES = {
    "none": "As trained",
    "temperature": "Unseen temperature",
    "molecule": "Unseen molecule",
    "structure": "Unseen crystal structure",
    "composition": "Unseen composition",
}
_OF = {
    "seeds": "error from the scatter between trainings",
    "starts": "error from the scatter between starts; that between trainings is not known",
    "frames": "error from the frames of one training; that between trainings is not known",
    "tests": "error from the scatter between tests",
    "": "no error: too few values",
}
RANKED = "force_mae_ev_per_ang"
#: Mean nothing where the training compositions leave the offset of the energies open.
WITH_OFFSET = (
    "energy_mae_ev_per_atom",
    "energy_bias_ev_per_atom",
    "trivial_energy_mae_ev_per_atom",
    "replay_ev",
)
_OFFSET_OPEN = (
    " No composition of the training data tells the offset of these energies; errors of energies "
    "are without it."
)

#: Rows by model, test and metric.
Index = Mapping[tuple[str, str, str, str], list[Row]]


def section_of(file: PlanFile, facts: Facts, index: Index, shift: str) -> Section:
    """Models on the tests of one kind."""
    section = Section(
        shift if shift != "none" else "as-trained",
        SHIFT_TITLES[shift],
        "Ranks go by the force error, and separate only what errors separate: models that differ "
        "by less than two standard errors share one. On hover: what an error is from.",
    )
    for set_name, dataset in file.plan.sets.items():
        for test_name, test in dataset.tests.items():
            if test.shift == shift:
                known = facts.sets[set_name].tests[test_name]
                table = _table(file, known, index, set_name, test_name)
                if table is not None:
                    section.tables.append(table)
    return section


def summary_cell(summary: Summary | None, **options: str) -> Cell:
    """Return a number with its error; on hover, what the error is from."""
    if summary is None:
        return text_cell(None)
    title = f"{summary.n} value{'' if summary.n == 1 else 's'}; {_OF[summary.of]}"
    return number_cell(summary.value, summary.error, title=title, **options)


def _survived(rows: Sequence[Row]) -> Cell:
    if not rows:
        return text_cell(None)
    whole = sum(row.value > 0 for row in rows)
    kind = "" if whole == len(rows) else "bad"
    return text_cell(f"{whole} of {len(rows)}", kind=kind)


def _table(
    file: PlanFile, facts: TestFacts, index: Index, set_name: str, test_name: str
) -> Table | None:
    models = list(file.plan.models)

    def rows(model: str, metric: str) -> list[Row]:
        return index.get((model, set_name, test_name, metric), [])

    shown = [
        one
        for one in QUANTITIES
        if one.task in ("errors", "simulation")
        and any(rows(model, one.name) for model in models)
        and not (facts.offset_open and one.name in WITH_OFFSET)
    ]
    if not shown:
        return None
    errors = {model: summarise(rows(model, RANKED)) for model in models}
    ranked = ranks(errors)
    order = sorted(models, key=lambda model: _position(ranked[model], errors[model]))
    body = []
    for model in order:
        line: list[Cell] = [text_cell(model), text_cell(ranked[model])]
        for quantity in shown:
            of_model = rows(model, quantity.name)
            if quantity.name == "survived":
                line.append(_survived(of_model))
            else:
                line.append(summary_cell(summarise(of_model)))
        body.append(line)
    columns = [Column("Model", numeric=False), Column("Rank"), *map(column_of, shown)]
    caption = f"{set_name}, {test_name}." + (_OFFSET_OPEN if facts.offset_open else "")
    return Table(f"{set_name}-{test_name}", caption, columns, body)


def column_of(quantity: Quantity) -> Column:
    """Return the heading of a quantity."""
    return Column(quantity.title, quantity.unit)


def _position(rank: int | None, summary: Summary | None) -> tuple[float, float]:
    far = float("inf")
    return (far if rank is None else rank, far if summary is None else summary.value)
