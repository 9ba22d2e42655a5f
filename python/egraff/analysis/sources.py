# SPDX-License-Identifier: GPL-2.0-or-later
"""What a path given to ``egraff analyse`` stands for: runs, a dump with its log, a trajectory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from egraff.analysis.own_run import made_again, run_of_dump
from egraff.analysis.runs import RECORD, Run, find_runs
from egraff.analysis.trajectory.formats import SUFFIXES, run_of_trajectory
from egraff.data.lammps.dump_scan import is_dump
from egraff.errors import InputError
from egraff.lammps.inputs import LOG_FILE

_LOG_HEAD = b"LAMMPS ("


@dataclass(frozen=True, kw_only=True)
class GivenOptions:
    """What the user says about a file that does not say it itself; None for nothing.

    Attributes:
        log: log of a LAMMPS dump.
        elements: symbol of LAMMPS types 1, 2, ...
        structure: file with the atoms of a DCD or XTC trajectory.
        interval_ps: time between frames.
        out: directory of the results.
    """

    log: str | os.PathLike[str] | None = None
    elements: Sequence[str] | None = None
    structure: str | os.PathLike[str] | None = None
    interval_ps: float | None = None
    out: str | os.PathLike[str] | None = None

    def only(self, *names: str, where: Path, what: str) -> dict:
        """Return some of the options.

        Raises:
            InputError: others are given.
        """
        given = {name: value for name, value in asdict(self).items() if value is not None}
        for name in given.keys() - set(names):
            option = "--" + name.removesuffix("_ps").replace("_", "-")
            raise InputError(
                f"not allowed with {what}", where=where, field=option, fix="leave it out"
            )
        return {name: given.get(name) for name in names}


def runs_at(path: str | os.PathLike[str], given: GivenOptions = GivenOptions()) -> list[Run]:
    """Runs to analyse: of a file, or the runs or else the files of a directory.

    Args:
        path: a LAMMPS dump or another trajectory, a directory of ``egraff run``, one above such,
            or one of a dump and its log, or of trajectories.
        given: what the files do not say.

    Raises:
        InputError: there is nothing to analyse, or several dumps in a directory; something is
            given that the files say themselves.
    """
    path = Path(path)
    if path.is_file():
        return [_run_of_file(path, given)]
    if path.is_dir() and not any(path.rglob(RECORD)):
        same = None if given.structure is None else Path(given.structure).resolve()
        files = [p for p in sorted(path.iterdir()) if p.is_file() and p.resolve() != same]
        if dumps := [file for file in files if is_dump(file)]:
            return [_run_of_directory(path, dumps, files, given)]
        if trajectories := [file for file in files if file.suffix.lower() in SUFFIXES]:
            return [_run_of_file(trajectory, given) for trajectory in trajectories]
    runs = find_runs(path)
    given.only(where=path, what=f"a directory with {RECORD}, which says this itself")
    return [made_again(run) if run.of_own_input else run for run in runs]


def _run_of_file(path: Path, given: GivenOptions) -> Run:
    if is_dump(path):
        options = given.only(
            "log", "elements", "interval_ps", "out", where=path, what="a LAMMPS dump"
        )
        return run_of_dump(path, **options)
    options = given.only(
        "structure", "interval_ps", "out", where=path, what="another file than a LAMMPS dump"
    )
    return run_of_trajectory(path, **options)


def _run_of_directory(path: Path, dumps: list[Path], files: list[Path], given: GivenOptions) -> Run:
    """Run of a directory that holds a dump and its log."""
    if len(dumps) > 1:
        raise InputError(
            f"expected one dump, got {', '.join(dump.name for dump in dumps)}",
            where=path,
            fix="give one of them, with its log: egraff analyse DUMP --log LOG",
        )
    options = given.only("log", "elements", "interval_ps", "out", where=path, what="a LAMMPS dump")
    if options["log"] is None and not any(file.name == LOG_FILE for file in files):
        logs = [file for file in files if _is_log(file)]
        if len(logs) > 1:
            raise InputError(
                f"expected one log, got {', '.join(log.name for log in logs)}",
                where=path,
                fix=f"name it: egraff analyse {dumps[0]} --log LOG",
            )
        options["log"] = logs[0] if logs else None
    return run_of_dump(dumps[0], **options)


def _is_log(path: Path) -> bool:
    with open(path, "rb") as stream:
        return stream.read(len(_LOG_HEAD)) == _LOG_HEAD
