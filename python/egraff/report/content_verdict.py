# SPDX-License-Identifier: GPL-2.0-or-later
"""The section that comes first: whether the simulations can be trusted, and why."""

from __future__ import annotations

from egraff.report.collect import Simulation, Study
from egraff.report.content_groups import replicas
from egraff.report.parts import Section
from egraff.report.tables import Cell, Column, Table, number_cell, text_cell
from egraff.report.verdict import ANALYSE_AGAIN, ORDER, counted, kind_of, worst_word

#: Reasons in the line of a group; the others are in the table of reasons.
_FIRST_REASONS = 2


def verdict_cell(one: Simulation) -> Cell:
    """The verdict on one run, in words and colour."""
    if one.verdict is not None:
        return text_cell(one.verdict.word, kind=kind_of(one.verdict.word))
    return text_cell(ANALYSE_AGAIN if one.analysed else "not analysed", kind="muted")


def verdicts(study: Study) -> Section:
    """One line for each group of runs, the worst first."""
    section = Section(
        "verdict",
        "Verdict",
        "One line for each experiment; its runs differ only in where they start, and the worst of "
        "them decides. Every reason, its threshold and where that comes from are listed under "
        "Simulations.",
        short="Verdict",
    )
    groups = [
        (worst_word([one.verdict for one in group]), group) for group in replicas(study.simulations)
    ]
    groups.sort(key=lambda pair: -ORDER.index(pair[0]))
    rows = [
        [
            text_cell(", ".join(one.name for one in group)),
            _word_cell(word, group),
            text_cell(_first_reasons(word, group)),
        ]
        for word, group in groups
    ]
    if rows:
        columns = [Column(title, numeric=False) for title in ("Runs", "Verdict", "Because")]
        section.tables.append(Table("verdict", "Can these simulations be trusted?", columns, rows))
    return section


def _word_cell(word: str, group: list[Simulation]) -> Cell:
    if len(group) == 1:
        return verdict_cell(group[0])
    return text_cell(f"{word} ({counted([one.verdict for one in group])})", kind=kind_of(word))


def _first_reasons(word: str, group: list[Simulation]) -> str | None:
    """The heaviest reasons of the runs that decided, each once."""
    found = sorted(
        (
            (reason, one)
            for one in group
            if one.verdict is not None and one.verdict.word == word
            for reason in one.verdict.reasons
        ),
        key=lambda pair: (pair[0].level != word, -pair[0].weight),
    )
    if not found:
        return "no limit is exceeded" if word == "sound" else None
    names: dict[str, list[str]] = {}
    for reason, one in found:
        names.setdefault(reason.text.rstrip("."), []).append(one.name)
    # what is true of every run of the group needs no names
    texts = [
        text if len(of) == len(group) else f"{', '.join(of)}: {text}" for text, of in names.items()
    ]
    more = len(texts) - _FIRST_REASONS
    return "; ".join(texts[:_FIRST_REASONS]) + (f"; and {more} more" if more > 0 else "")


def reasons(study: Study) -> Table | None:
    """Every reason of every verdict, the heaviest of each run first; None when there is none."""
    rows = [
        [
            text_cell(one.name),
            text_cell(reason.level, kind=kind_of(reason.level)),
            text_cell(reason.text),
            text_cell(reason.metric),
            number_cell(reason.value),
            number_cell(reason.threshold),
            text_cell(reason.source),
        ]
        for one in study.simulations
        if one.verdict is not None
        for reason in one.verdict.reasons
    ]
    if not rows:
        return None
    columns = [
        Column("Run", numeric=False),
        Column("Level", numeric=False),
        Column("Reason", numeric=False),
        Column("Metric", numeric=False),
        Column("Value"),
        Column("Threshold"),
        Column("Source of the threshold", numeric=False),
    ]
    return Table("reasons", "Every reason of the verdicts.", columns, rows)
