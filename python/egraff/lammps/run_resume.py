# SPDX-License-Identifier: GPL-2.0-or-later
"""Continue a run from its newest usable restart file, without repeated rows or frames.

LAMMPS appends to the log and the trajectory. What they hold beyond the restart file's step would
come twice, so it is cut off first; a restart file is usable only if the trajectory before it is
complete.
"""

from __future__ import annotations

import mmap
import re
from dataclasses import dataclass
from pathlib import Path

from egraff.lammps.inputs import (
    DUMP_FILE,
    EQUILIBRATION_LOG,
    LOG_FILE,
    RESTART_DIRECTORY,
)
from egraff.lammps.inputs_ensemble import Stage, Start

_MAGIC = b"LammpS RestartT\0"
_NAME = re.compile(r"^(equilibrate|production)\.(\d+)\.restart$")
_FRAME = b"ITEM: TIMESTEP\n"
_HEADER_LINES = 9


@dataclass(frozen=True)
class Restart:
    """A restart file that LAMMPS finished writing.

    Attributes:
        path: the file.
        stage: the stage that it belongs to.
        step: the step that it holds.
    """

    path: Path
    stage: Stage
    step: int


def find_restarts(directory: Path) -> list[Restart]:
    """Return the complete restart files of a run, the furthest first."""
    found = []
    for path in (directory / RESTART_DIRECTORY).glob("*.restart"):
        match = _NAME.match(path.name)
        if match and is_complete(path):
            stage: Stage = "production" if match[1] == "production" else "equilibrate"
            found.append(Restart(path, stage, int(match[2])))
    return sorted(found, key=lambda one: (one.stage == "production", one.step), reverse=True)


def is_complete(path: Path) -> bool:
    """Tell whether LAMMPS finished a restart file: the same mark opens and closes it."""
    with open(path, "rb") as stream:
        if stream.read(len(_MAGIC)) != _MAGIC:
            return False
        size = stream.seek(0, 2)
        if size < 2 * len(_MAGIC):
            return False
        stream.seek(size - len(_MAGIC))
        return stream.read() == _MAGIC


def prune_restarts(directory: Path, *, keep: int = 2) -> None:
    """Delete all complete restart files but the furthest ``keep``."""
    for restart in find_restarts(directory)[keep:]:
        restart.path.unlink(missing_ok=True)


def prepare_resume(directory: Path, *, dump_every: int, n_atoms: int) -> Start:
    """Choose where to go on from, and cut log and trajectory there.

    Args:
        directory: the run directory; no LAMMPS may be running in it.
        dump_every: steps between frames; 0 if there is no trajectory.
        n_atoms: atoms in each frame.

    Returns:
        The start of the next part; the data file when no restart file is usable.
    """
    dump = directory / DUMP_FILE
    log = directory / LOG_FILE
    for restart in find_restarts(directory):
        if restart.stage == "production":
            if dump_every:
                offset = dump_offset(dump, restart.step, dump_every=dump_every, n_atoms=n_atoms)
                if offset is None:
                    continue
                _cut(dump, offset)
            _cut(log, log_offset(log, restart.step))
        else:
            _cut(
                directory / EQUILIBRATION_LOG,
                log_offset(directory / EQUILIBRATION_LOG, restart.step),
            )
            dump.unlink(missing_ok=True)
            log.unlink(missing_ok=True)
        relative = str(restart.path.relative_to(directory))
        return Start(restart=relative, stage=restart.stage, step=restart.step)
    for stale in (dump, log, directory / EQUILIBRATION_LOG):
        stale.unlink(missing_ok=True)
    return Start()


def dump_offset(path: Path, step: int, *, dump_every: int, n_atoms: int) -> int | None:
    """Find where the frames before ``step`` end in a trajectory.

    Args:
        path: the trajectory.
        step: LAMMPS will write this step's frame, and all later ones, again.
        dump_every: steps between frames.
        n_atoms: atoms in each frame.

    Returns:
        The length in bytes to keep, or None if the last frame before ``step`` is missing or cut
        short, so that going on from ``step`` would leave a hole.
    """
    expected = (step - 1) // dump_every * dump_every if step > 0 else None
    if not path.is_file() or path.stat().st_size == 0:
        return 0 if expected is None else None
    with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as text:
        keep = len(text)
        while (begin := text.rfind(_FRAME, 0, keep)) >= 0:
            number = text[begin + len(_FRAME) : begin + len(_FRAME) + 24].split(b"\n")[0]
            complete = text[begin:keep].count(b"\n") == _HEADER_LINES + n_atoms
            if number.isdigit() and int(number) < step:
                return keep if complete and int(number) == expected else None
            keep = begin
    return 0 if expected is None else None


def log_offset(path: Path, step: int) -> int:
    """Find where the rows before ``step`` end in a log.

    Returns:
        The length in bytes to keep: everything before the first row of ``step`` or later, 0 if
        there is no log.
    """
    if not path.is_file():
        return 0
    offset = 0
    in_table = False
    with open(path, "rb") as stream:
        for line in stream:
            words = line.split()
            if words[:1] == [b"Step"]:
                in_table = True
            elif words[:2] == [b"Loop", b"time"]:
                in_table = False
            elif in_table and words and words[0].isdigit() and int(words[0]) >= step:
                return offset
            offset += len(line)
    return offset


def _cut(path: Path, length: int) -> None:
    """Shorten a file in place, if it exists."""
    if path.is_file():
        with open(path, "r+b") as stream:
            stream.truncate(length)
