# SPDX-License-Identifier: GPL-2.0-or-later
"""What a campaign says on the terminal: its protocol, its jobs and their cost, how it goes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from egraff.benchmark.cost import unmeasured
from egraff.benchmark.job import KINDS, Job, Record, read_record
from egraff.benchmark.plan import PlanFile

_STYLE = {"done": None, "failed": "red", "skipped": "yellow"}


def protocol_lines(file: PlanFile) -> Iterator[str]:
    """Yield what readers must know of the protocol."""
    protocol = file.plan.protocol
    yield f"protocol {protocol.name}: {protocol.summary}"
    if file.changed:
        changes = ", ".join(f"{name} {value}" for name, value in file.changed.items())
        yield f"  changed in this plan: {changes}"
    for fault in protocol.faults:
        yield f"  known fault: {fault}"


def dry_run_lines(
    file: PlanFile, jobs: Sequence[Job], wanted: Sequence[Job], out: Path
) -> Iterator[str]:
    """Yield the graph of the jobs that are to be done, and its cost."""
    todo = _to_do(jobs, wanted, out)
    yield f"{'kind':<10}{'jobs':>6}{'done':>6}{'CPU hours':>11}{'disk MB':>9}   needs"
    every = _with_needs(jobs, wanted)
    for kind in KINDS:
        of_kind = [job for job in every if job.kind == kind]
        if not of_kind:
            continue
        left = [job for job in of_kind if job.name in todo]
        needs = sorted({need.partition("/")[0] for job in of_kind for need in job.needs})
        hours = sum(job.cpu_s for job in left) / 3600
        disk = sum(job.disk_mb for job in left)
        yield (
            f"{kind:<10}{len(of_kind):>6}{len(of_kind) - len(left):>6}{hours:>11.2f}{disk:>9.0f}"
            f"   {', '.join(needs) or '-'}"
        )
    hours = sum(job.cpu_s for job in todo.values()) / 3600
    disk = sum(job.disk_mb for job in todo.values())
    yield f"{'all':<10}{len(every):>6}{len(every) - len(todo):>6}{hours:>11.2f}{disk:>9.0f}"
    yield (
        "CPU hours are estimates from rates per edge on one core (benchmark/rates.yaml); other "
        "processors, and GPUs above all, differ"
    )
    if names := unmeasured(file):
        yield f"  no rates of {', '.join(names)}: counted as the slowest model that was measured"
    for job in todo.values():
        yield f"{job.name}:  {job.command}"


def _with_needs(jobs: Sequence[Job], wanted: Sequence[Job]) -> list[Job]:
    """Return the wanted jobs and all that they need, in the order of the plan."""
    by_name = {job.name: job for job in jobs}
    found: dict[str, Job] = {}
    open_ = [job.name for job in wanted]
    while open_:
        job = by_name[open_.pop()]
        if job.name not in found:
            found[job.name] = job
            open_ += job.needs
    return [job for job in jobs if job.name in found]


def _to_do(jobs: Sequence[Job], wanted: Sequence[Job], out: Path) -> dict[str, Job]:
    """Return the jobs that are not done, or not as the plan says now, and those that need them."""
    todo: dict[str, Job] = {}
    for job in _with_needs(jobs, wanted):
        record = read_record(out / job.record)
        same = record is not None and record.identity == job.identity
        if not same or any(need in todo for need in job.needs):
            todo[job.name] = job
    return todo


class Progress:
    """Lines about the jobs as they end, with the time that is left.

    Args:
        console: where to print.
        jobs: of the plan.
        wanted: those that are done now.
        out: folder of the campaign.
        cores: how many are used at a time.
    """

    def __init__(
        self,
        console: Console,
        jobs: Sequence[Job],
        wanted: Sequence[Job],
        out: Path,
        *,
        cores: int,
    ) -> None:
        self.console, self.cores = console, cores
        self.jobs = {job.name: job for job in _with_needs(jobs, wanted)}
        self.out = out
        self.left = _to_do(jobs, wanted, out)
        self.total = len(self.left)
        self.started = time.monotonic()
        self.estimated_s = self.measured_s = 0.0
        before = len(self.jobs) - self.total
        console.print(f"{len(self.jobs)} jobs, {before} of them done before", markup=False)

    def tell(self, record: Record) -> None:
        """Print a line about a job that has just ended."""
        job = self.left.pop(record.job, None)
        if job is not None:
            self.estimated_s += job.cpu_s
            self.measured_s += record.cpu_s
        text = f"[{self.total - len(self.left)}/{self.total}] {record.job}: {record.status}"
        if record.status != "skipped":
            text += f" in {_duration(record.wall_s)}"
        if record.reason:
            text += f"; {record.reason.splitlines()[0]}"
        if self.left:
            text += f"; about {_duration(self.remaining_s())} left"
        self.console.print(text, markup=False, style=_STYLE[record.status])

    def remaining_s(self) -> float:
        """Return an estimate of the time to the end in s, corrected by what jobs have taken."""
        expected = sum(job.cpu_s for job in self.left.values())
        ratio = self.measured_s / self.estimated_s if self.estimated_s > 0 else 1.0
        return expected * max(ratio, 0.01) / self.cores

    @property
    def failed(self) -> list[Record]:
        """Records of jobs that failed, in this start or before."""
        return [record for record in self._records() if record.status == "failed"]

    def _records(self) -> list[Record]:
        found = (read_record(self.out / job.record) for job in self.jobs.values())
        return [record for record in found if record is not None]

    def summary(self) -> str:
        """Return a line about all jobs."""
        counts = Counter(record.status for record in self._records())
        parts = [f"{counts[status]} {status}" for status in _STYLE if counts[status]]
        if missing := len(self.jobs) - counts.total():
            parts.append(f"{missing} not finished")
        return f"{len(self.jobs)} jobs: {', '.join(parts)}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
