# SPDX-License-Identifier: GPL-2.0-or-later
"""Which runs of a log a dump belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from egraff.analysis.logs.commands import Stage
from egraff.analysis.logs.thermo_log import ThermoLog
from egraff.data.lammps.dump_file import DumpFile
from egraff.errors import InputError


@dataclass(frozen=True)
class Part:
    """The runs of a log that a dump belongs to.

    Attributes:
        first: index of the first.
        last: index of the last, which has the dump's last frame.
        first_step: where the first begins.
        stage: their conditions.
        left_out: what was not taken, for people; None for nothing.
        target_K: highest temperature that a thermostat aims at; None without one.
    """

    first: int
    last: int
    first_step: int
    stage: Stage
    left_out: str | None
    target_K: float | None


def part_of(dump: DumpFile, log: ThermoLog, stages: list[Stage], where: Path) -> Part:
    """Find the runs of a log during which a dump was written.

    Args:
        dump: the dump.
        log: the log.
        stages: conditions of its runs.
        where: the log file, for messages.

    Raises:
        InputError: the log is that of another simulation or of a minimisation, or prints no steps,
            or energies per atom.
    """
    if len(stages) != len(log.runs):
        raise InputError(
            f"expected the commands of {len(log.runs)} runs, found those of {len(stages)}",
            where=where,
            fix="give the log as LAMMPS wrote it",
        )
    ranges = [_step_range(run.columns, run.rows, where) for run in log.runs]
    if not log.finished and ranges:
        ranges[-1] = (ranges[-1][0], np.inf)  # it died between two lines
    last_step = int(dump.steps[-1])
    dynamic = [
        index
        for index, (first, last) in enumerate(ranges)
        if stages[index].command == "run" and first <= last_step <= last
    ]
    if not dynamic and stages and {stage.command for stage in stages} == {"minimize"}:
        raise InputError(
            "expected dynamics, got a minimisation, which has no times",
            where=where,
            fix="compare relaxed structures by hand, or analyse a run",
        )
    if not dynamic:
        known = ", ".join(f"{first:g} to {last:g}" for first, last in ranges) or "none"
        raise InputError(
            f"expected a run that reaches step {last_step}, the last of {dump.path.name}, got "
            f"steps {known}",
            where=where,
            fix="give the log of the same simulation with --log",
        )
    # where the last frame ends one stage and begins another, most frames are of the right one
    candidates = [(_first_of_stage(last, stages, ranges), last) for last in dynamic]
    begins = [
        int(min(begin for begin, _ in ranges[first : last + 1])) for first, last in candidates
    ]
    frames = [int(np.count_nonzero(dump.steps >= begin)) for begin in begins]
    chosen = max(range(len(candidates)), key=lambda index: (frames[index], index))
    first, last = candidates[chosen]
    if stages[last].per_atom:
        raise InputError(
            "expected energies of the system, got energies per atom",
            where=where,
            field="thermo_modify norm yes",
            fix="leave norm out, whose default in units metal and real is no",
        )
    others = [
        f"{stages[index]} of steps {begin:g} to {end:g}"
        for index, (begin, end) in enumerate(ranges)
        if not first <= index <= last
    ]
    return Part(
        first,
        last,
        begins[chosen],
        stages[last],
        f"other stages of {where.name} left out: {'; '.join(others)}" if others else None,
        max((s.target_K for s in stages[first : last + 1] if s.target_K is not None), default=None),
    )


def _first_of_stage(last: int, stages: list[Stage], ranges: list[tuple[float, float]]) -> int:
    """Index of the first run that went on under the conditions of run ``last``."""
    first = last
    while first > 0 and stages[first - 1] == stages[last]:
        if ranges[first - 1][0] > ranges[first][0]:
            break  # steps began again
        first -= 1
    return first


def _step_range(columns: list[str], rows: np.ndarray, where: Path) -> tuple[float, float]:
    if "Step" not in columns:
        raise InputError(
            f"expected a thermo column Step, got {' '.join(columns)}",
            where=where,
            fix="add step to thermo_style custom",
        )
    steps = rows[:, columns.index("Step")]
    return (float(steps[0]), float(steps[-1])) if len(steps) else (np.inf, -np.inf)
