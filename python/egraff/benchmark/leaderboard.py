# SPDX-License-Identifier: GPL-2.0-or-later
"""The page about a campaign: models side by side on every test, and what that says.

Ranks separate only what errors separate: neighbours within two standard errors of their difference
share one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from egraff import provenance
from egraff.benchmark.claims import claims_section
from egraff.benchmark.comparison import (
    RANKED,
    SHIFT_TITLES,
    Index,
    column_of,
    section_of,
    summary_cell,
)
from egraff.benchmark.entries import SHIFTS
from egraff.benchmark.facts import Facts
from egraff.benchmark.figures import cost_and_accuracy
from egraff.benchmark.job import Job, read_record
from egraff.benchmark.markdown import FILE, markdown
from egraff.benchmark.paper_tables import paper_section
from egraff.benchmark.plan import PlanFile
from egraff.benchmark.results import (
    QUANTITIES,
    Row,
    rows_of,
    write_jobs,
    write_rows,
)
from egraff.benchmark.summaries import Summary, summarise
from egraff.files import atomic_path
from egraff.report.page import Page, write_page
from egraff.report.parts import Drawing, Section
from egraff.report.tables import Column, Table, number_cell, text_cell

PAGE = "leaderboard.html"
EXTRAS = "leaderboard"


def write_results(file: PlanFile, facts: Facts, jobs: Sequence[Job], out: Path) -> list[Path]:
    """Write results.csv, results.json, jobs.csv, leaderboard.md and the page of a campaign.

    Args:
        file: the plan.
        facts: what the checks of the plan found.
        jobs: all jobs of the plan.
        out: folder of the campaign.

    Returns:
        The files, the page first.
    """
    rows = rows_of(jobs, out)
    protocol = file.plan.protocol
    about = {
        "plan": file.plan.name,
        "protocol": protocol.model_dump(mode="json"),
        "protocol_changed": dict(file.changed),
        "versions": provenance.versions(),
        "created": provenance.now(),
    }
    index = _index(rows)
    tables = [*write_rows(rows, out, about), write_jobs(jobs, out), out / FILE]
    with atomic_path(out / FILE) as partial:
        partial.write_text(markdown(file, index), encoding="utf-8")
    page = Page(
        title=file.plan.name,
        about=f"{len(file.plan.models)} models, {len(file.plan.sets)} sets, "
        f"protocol {protocol.name}" + (", changed" if file.changed else ""),
        sections=[
            section for section in _sections(file, facts, jobs, index, out) if not section.empty
        ],
        extras=EXTRAS,
    )
    return [write_page(page, out / PAGE), *tables]


def _index(rows: Sequence[Row]) -> Index:
    index: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in rows:
        index.setdefault((row.model, row.set, row.test, row.metric), []).append(row)
    return index


def _sections(
    file: PlanFile, facts: Facts, jobs: Sequence[Job], index: Index, out: Path
) -> Iterable[Section]:
    for shift in SHIFTS:
        yield section_of(file, facts, index, shift)
    yield claims_section(file, index)
    yield _speed(file, index)
    yield paper_section(file, facts, index)
    yield _protocol(file, facts)
    yield _jobs(jobs, out)


def _speed(file: PlanFile, index: Index) -> Section:
    section = Section(
        "cost",
        "Cost",
        "Times on the machines that the campaign ran on, other work beside it included.",
    )
    quantities = [one for one in QUANTITIES if one.task == "speed"]
    body, points = [], []
    for set_name in file.plan.sets:
        for model in file.plan.models:
            found = {one.name: index.get((model, set_name, "", one.name), []) for one in quantities}
            cases = sorted({row.case for rows in found.values() for row in rows})
            for case in cases:
                cells = [
                    summary_cell(summarise([row for row in found[one.name] if row.case == case]))
                    for one in quantities
                ]
                what = case.replace("-", " ") or "training"
                body.append([text_cell(model), text_cell(set_name), text_cell(what), *cells])
            points += _cost_points(file, index, set_name, model)
    if body:
        columns = [Column(title, numeric=False) for title in ("Model", "Set", "Of")]
        columns += map(column_of, quantities)
        section.tables.append(Table("cost", "Time and memory.", columns, body))
    if points:
        models = list(file.plan.models)
        section.drawings.append(
            Drawing(
                "cost-and-accuracy",
                "Training time against force error, a point for each set and test without a shift.",
                lambda palette: cost_and_accuracy(points, models, palette),
            )
        )
    return section


def _cost_points(
    file: PlanFile, index: Index, set_name: str, model: str
) -> list[tuple[str, Summary, Summary]]:
    time = summarise(index.get((model, set_name, "", "train_cpu_s_per_epoch"), []))
    points = []
    for test_name, test in file.plan.sets[set_name].tests.items():
        error = summarise(index.get((model, set_name, test_name, RANKED), []))
        if test.shift == "none" and time is not None and error is not None:
            points.append((model, time, error))
    return points


def _protocol(file: PlanFile, facts: Facts) -> Section:
    """How the numbers were made, and what is known to be wrong with that."""
    protocol = file.plan.protocol
    section = Section("protocol", "Protocol", protocol.summary)
    body = [[text_cell("known fault"), text_cell(fault)] for fault in protocol.faults]
    body += [
        [text_cell("changed in this plan"), text_cell(f"{name}: {value}")]
        for name, value in file.changed.items()
    ]
    if len(file.plan.seeds) < 3:
        body.append(
            [
                text_cell("seeds"),
                text_cell(
                    f"{len(file.plan.seeds)} training(s) of each model: the scatter between "
                    "trainings is not known, and ranks do not count it"
                ),
            ]
        )
    for set_name, found in facts.sets.items():
        body += [[text_cell(set_name), text_cell(remark)] for remark in found.remarks]
    if body:
        columns = [Column("About", numeric=False), Column("What to know", numeric=False)]
        section.tables.append(
            Table("protocol", f"What to know about {protocol.name} here.", columns, body)
        )
    body = [
        [
            text_cell(set_name),
            text_cell(found.train),
            text_cell(test_name),
            text_cell(SHIFT_TITLES[file.plan.sets[set_name].tests[test_name].shift]),
            text_cell(test.frames),
            text_cell(len(test.starts) or None),
        ]
        for set_name, found in facts.sets.items()
        for test_name, test in found.tests.items()
    ]
    columns = [
        Column("Set", numeric=False),
        Column("Training frames"),
        Column("Test", numeric=False),
        Column("Shift", numeric=False),
        Column("Test frames"),
        Column("Starts"),
    ]
    section.details.append(Table("sets", "Sets and tests.", columns, body))
    return section


def _jobs(jobs: Sequence[Job], out: Path) -> Section:
    section = Section("jobs", "Jobs")
    columns = [
        Column("Job", numeric=False),
        Column("Status", numeric=False),
        Column("Wall time", "s"),
        Column("CPU time", "s"),
        Column("Memory", "MB"),
        Column("Reason", numeric=False),
    ]
    body, failed = [], []
    for job in jobs:
        record = read_record(out / job.record)
        if record is None:
            row = [text_cell(job.name), text_cell("not finished", kind="muted")]
            row += [text_cell(None)] * 4
        else:
            kind = {"failed": "bad", "skipped": "warn"}.get(record.status, "")
            row = [
                text_cell(job.name),
                text_cell(record.status, kind=kind),
                number_cell(record.wall_s),
                number_cell(record.cpu_s),
                number_cell(record.memory_mb),
                text_cell(record.reason),
            ]
            if record.status != "done":
                failed.append(row)
        body.append(row)
    if failed:
        caption = "Jobs that failed, and those that needed them."
        section.tables.append(Table("failed", caption, columns, failed))
    section.details.append(Table("jobs", "Every job.", columns, body))
    return section
