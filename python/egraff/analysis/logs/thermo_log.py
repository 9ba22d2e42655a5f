# SPDX-License-Identifier: GPL-2.0-or-later
"""``log.lammps``: thermodynamic output of every run in it, also of the runs that died.

The three thermo styles (``one``/``custom``, ``multi``, ``yaml``) are recognised by what their
lines look like. A run without its ``Loop time of`` line is kept and marked unfinished, rows
holding ``nan`` or ``inf`` are kept, a row that was cut short is left out and reported.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from egraff.errors import InputError

START_LINE = "Per MPI rank memory allocation"
LOOP_LINE = re.compile(r"Loop time of (\S+) on (\d+) procs for (\d+) steps with (\d+) atoms")
_MULTI = re.compile(r"-+ Step\s+(\S+) -+ CPU\s+=\s+(\S+) \(sec\) -+")
_NUMBER = re.compile(r"[-+.]*(?:\d|nan|inf)", re.I)
_PAIR = re.compile(r"(\S+)\s*=\s*(\S+)")


class LogError(InputError):
    """A LAMMPS log cannot be read."""


@dataclass
class ThermoRun:
    """Thermo output of one ``run`` or ``minimize`` command.

    Attributes:
        columns: column names as printed (``Step``, ``Temp``, ...).
        rows: values, `[n_rows, n_columns]`, float64; NaN and infinity as LAMMPS printed them.
        finished: whether LAMMPS reached the ``Loop time of`` line.
        loop_time_s: wall time of the run, None if unfinished.
        ranks: MPI ranks, None if unfinished.
        n_steps: steps LAMMPS says it ran, None if unfinished.
        n_atoms: atoms at the end of the run, None if unfinished.
    """

    columns: list[str]
    rows: np.ndarray
    finished: bool = False
    loop_time_s: float | None = None
    ranks: int | None = None
    n_steps: int | None = None
    n_atoms: int | None = None


@dataclass
class ThermoLog:
    """A parsed log.

    Attributes:
        runs: one `ThermoRun` per run that printed at least its header.
        errors: lines on which LAMMPS gave an error.
        warnings: lines on which LAMMPS warned.
        problems: what was wrong with the log itself.
        path: the file.
    """

    path: str
    runs: list[ThermoRun] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        """Whether the last run finished and LAMMPS gave no error."""
        return bool(self.runs) and self.runs[-1].finished and not self.errors

    def column_names(self) -> list[str]:
        """Columns that every run has, in the order of the last run."""
        if not self.runs:
            return []
        common = set.intersection(*(set(run.columns) for run in self.runs))
        return [name for name in self.runs[-1].columns if name in common]

    def column(self, name: str) -> np.ndarray:
        """One column over all runs, repeated steps removed, the later row kept.

        Names are compared without regard to case: ``temp`` finds ``Temp``.

        Raises:
            LogError: a run has no such column (then rows would not match other columns').
        """
        lookup = {column.lower(): column for column in self.column_names()}
        if name.lower() not in lookup:
            raise LogError(
                f"expected a thermo column {name} in every run, got in all: "
                f"{' '.join(self.column_names()) or 'none'}",
                where=self.path,
                fix=f"add {name} to thermo_style custom",
            )
        values = np.concatenate(
            [run.rows[:, run.columns.index(lookup[name.lower()])] for run in self.runs]
        )
        return values[self._kept()]

    def _kept(self) -> np.ndarray:
        lookup = {column.lower(): column for column in self.column_names()}
        if "step" not in lookup:
            return np.arange(sum(len(run.rows) for run in self.runs))
        steps = np.concatenate(
            [run.rows[:, run.columns.index(lookup["step"])] for run in self.runs]
        )
        kept: list[int] = []
        for index, step in enumerate(steps):
            while kept and steps[kept[-1]] >= step:
                kept.pop()
            kept.append(index)
        return np.array(kept, dtype=np.int64)


_Lines = list[tuple[int, str]]
_Table = tuple[list[str], list[list[float]]]


def _row(words: list[str], n_columns: int, number: int, problems: list[str]) -> list[float] | None:
    """Numbers of one row, or None with an entry in ``problems``."""
    try:
        values = [float(word) for word in words]  # float() knows nan, -nan and inf
    except ValueError:
        problems.append(f"line {number}: a thermo value is not a number; the row is left out")
        return None
    if len(values) != n_columns:
        problems.append(
            f"line {number}: expected {n_columns} thermo values, got {len(values)}; the row is "
            "left out"
        )
        return None
    return values


def _is_row(words: list[str]) -> bool:
    """Tell a row, even a damaged one, from other output between rows or after a killed run.

    Rows begin with a number and consist of numbers; lines such as ``1 by 1 by 1 MPI processor
    grid``, which a resumed run appends to the table of the killed one, are mostly words.
    """
    if not words or not _NUMBER.match(words[0]):
        return False
    return 2 * sum(bool(_NUMBER.match(word)) for word in words) > len(words)


def _parse_table(lines: _Lines, problems: list[str]) -> _Table:
    """Styles one and custom: a header line, then one line per output step."""
    columns = lines[0][1].split()
    rows = []
    for number, text in lines[1:]:
        words = text.split()
        if not _is_row(words):
            continue
        if (row := _row(words, len(columns), number, problems)) is not None:
            rows.append(row)
    return columns, rows


def _parse_multi(lines: _Lines, problems: list[str]) -> _Table:
    """Style multi: a dashed line with step and CPU time, then ``name = value`` pairs."""
    records: list[tuple[int, dict[str, str]]] = []
    for number, text in lines:
        if match := _MULTI.search(text):
            records.append((number, {"Step": match[1], "CPU": match[2]}))
        elif records:
            records[-1][1].update(_PAIR.findall(text))
    columns = list(records[0][1])
    rows = []
    for number, record in records:
        words = [record[name] for name in columns if name in record]
        if (row := _row(words, len(columns), number, problems)) is not None:
            rows.append(row)
    return columns, rows


def _parse_yaml(lines: _Lines, problems: list[str]) -> _Table:
    """Style yaml: a ``keywords`` list, then one ``- [...]`` list per output step."""
    columns: list[str] = []
    rows = []
    for number, text in lines:
        if text.startswith("keywords:"):
            columns = re.findall(r"[^\s'\",\[\]]+", text.split(":", 1)[1])
        elif text.startswith("- ["):
            words = re.sub(r"(?<!\d)\.(nan|inf)", r"\1", text[3:].rstrip("] ,")).split(",")
            if (row := _row(words, len(columns), number, problems)) is not None:
                rows.append(row)
    return columns, rows


def _parse_run(lines: _Lines, problems: list[str]) -> ThermoRun | None:
    if not lines:
        return None
    first = lines[0][1]
    if _MULTI.search(first):
        columns, rows = _parse_multi(lines, problems)
    elif first == "---" or first.startswith("keywords:"):
        columns, rows = _parse_yaml(lines, problems)
    else:
        columns, rows = _parse_table(lines, problems)
    return ThermoRun(columns, np.array(rows, dtype=np.float64).reshape(-1, len(columns)))


def _tell_repeats(log: ThermoLog) -> None:
    """Say which rows `ThermoLog.column` leaves out; a step shared by two runs is none to tell."""
    if "step" not in {name.lower() for name in log.column_names()}:
        return
    last: float | None = None
    again: list[float] = []
    for run in log.runs:
        steps = run.rows[:, [name.lower() for name in run.columns].index("step")]
        if len(steps) and last is not None and steps[0] < last:
            again += [steps[0], last]
        last = steps[-1] if len(steps) else last
    if again:
        log.problems.append(
            f"steps go back from {max(again):.0f} to {min(again):.0f} (a restart, or "
            "reset_timestep); of rows of the same steps the later ones are kept"
        )


def read_log(path: str | os.PathLike[str]) -> ThermoLog:
    """Read a LAMMPS log, whatever became of the run.

    Raises:
        LogError: there is no such file, or it holds neither thermo output nor a LAMMPS error.
    """
    path = Path(path)
    if not path.is_file():
        raise LogError("no such file", where=path)
    text = path.read_text(encoding="utf-8", errors="replace")
    log = ThermoLog(str(path))
    lines: _Lines | None = None

    def finish(match: re.Match | None = None) -> None:
        nonlocal lines
        run = _parse_run(lines, log.problems) if lines is not None else None
        lines = None
        if run is None:
            return
        if match:
            run.finished = True
            run.loop_time_s, run.ranks = float(match[1]), int(match[2])
            run.n_steps, run.n_atoms = int(match[3]), int(match[4])
        log.runs.append(run)

    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip()
        if stripped.startswith(START_LINE):
            finish()
            lines = []
        elif stripped.startswith("ERROR"):  # elsewhere it is an echoed command or comment
            log.errors.append(stripped)
        elif stripped.startswith("WARNING"):
            log.warnings.append(stripped)
        elif match := LOOP_LINE.search(stripped):
            finish(match)
        elif lines is not None and stripped:
            lines.append((number, stripped))
    if lines and not text.endswith("\n"):
        number, _ = lines.pop()
        log.problems.append(f"line {number}: the log ends inside this line; it is left out")
    finish()
    _tell_repeats(log)
    if not log.runs and not log.errors:
        raise LogError(
            "no thermo output and no LAMMPS error in it",
            where=path,
            fix="give the log.lammps of a simulation",
        )
    return log
