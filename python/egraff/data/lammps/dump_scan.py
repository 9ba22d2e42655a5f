# SPDX-License-Identifier: GPL-2.0-or-later
"""The frames in the bytes of a LAMMPS text dump: where each begins, and whether it is whole.

A simulation that died or was restarted leaves frames cut short, repeated or overwritten; each is
left out with a `Problem` that says so.
"""

from __future__ import annotations

import bz2
import gzip
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import zstandard

from egraff.data.lammps.dump_format import (
    DumpError,
    DumpFrame,
    FrameHeader,
    parse_frame,
    parse_header,
)

CHUNK_BYTES = 1 << 22
_ITEM = b"ITEM: "
_MARK = b"ITEM: TIMESTEP"
_LONGEST_HEADER = 1 << 16
_NEWLINE = ord("\n")


@dataclass(frozen=True)
class Problem:
    """Something wrong with a file, which reading survived.

    Attributes:
        kind: ``truncated``, ``repeated``, ``atoms-changed``, ``unreadable`` or ``compression``.
        message: one sentence for people.
    """

    kind: str
    message: str


@dataclass(frozen=True)
class FrameEntry:
    """Where one frame lies in the (decompressed) file."""

    offset: int
    length: int
    step: int
    n_atoms: int
    time: float


def open_dump(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a dump for reading bytes; gzip, bzip2 and zstd are told apart by their first bytes."""
    with open(path, "rb") as stream:
        magic = stream.read(4)
    if magic[:2] == b"\x1f\x8b":
        return gzip.open(path, "rb")
    if magic[:3] == b"BZh":
        return bz2.open(path, "rb")
    if magic == b"\x28\xb5\x2f\xfd":
        return zstandard.ZstdDecompressor().stream_reader(
            open(path, "rb"), read_across_frames=True, closefd=True
        )
    return open(path, "rb")


def is_dump(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file begins like a LAMMPS text dump, compressed or not."""
    try:
        with open_dump(path) as stream:
            return stream.read(len(_ITEM)) == _ITEM
    except (OSError, EOFError, zstandard.ZstdError):
        return False


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    # read1 hands over what is there, so that a compressed file cut short loses little
    read = getattr(stream, "read1", stream.read)
    while block := read(CHUNK_BYTES):
        yield block


def _frame_start(buffer: bytearray, mark: int) -> int:
    """Start of the frame whose TIMESTEP section is at ``mark``: before its UNITS and TIME."""
    start = mark
    for title in (b"ITEM: TIME\n", b"ITEM: UNITS\n"):
        before = buffer.rfind(title, max(0, start - 80), start)
        if before >= 0 and buffer.count(b"\n", before, start) == 2:
            start = before
    return start


def _split(stream: BinaryIO, problems: list[Problem], where: str) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, bytes) of each frame, whole or not."""
    # what is in memory, and its offset in the file; extended in place, as compressed files come in
    # small pieces and a frame of millions of atoms would be copied for each of them
    buffer, base = bytearray(), 0
    begin, mark = 0, -1  # in the buffer: where the current frame begins, and its TIMESTEP
    searched = 0
    blocks = _chunks(stream)
    while True:
        try:
            block = next(blocks, b"")
        except (EOFError, OSError, zstandard.ZstdError) as error:
            problems.append(
                Problem("compression", f"{where}: the compressed file is damaged or cut: {error}")
            )
            block = b""
        del buffer[:begin]
        buffer += block
        base, mark, searched, begin = base + begin, mark - begin, searched - begin, 0
        if mark < 0:
            mark = -1
        while (following := buffer.find(_MARK, max(searched, mark + 1))) >= 0:
            start = _frame_start(buffer, following)
            if mark >= 0:
                yield base + begin, bytes(buffer[begin:start])
            elif buffer[:start].strip():
                raise _not_a_dump(buffer, where)
            begin, mark = start, following
            searched = mark + 1
        # a mark can lie across the end of the buffer
        searched = max(mark + 1, len(buffer) - len(_MARK))
        if not block:
            break
    if mark >= 0:
        yield base + begin, bytes(buffer[begin:])
    elif buffer.strip():
        raise _not_a_dump(buffer, where)


def _not_a_dump(buffer: bytearray, where: str) -> DumpError:
    return DumpError(
        f"expected a line that begins with 'ITEM: ', got {bytes(buffer[:40])!r}",
        where=where,
        fix="give a text dump written by LAMMPS (dump styles atom or custom)",
    )


def _whole_frames(path: Path, problems: list[Problem]) -> Iterator[tuple[int, bytes, FrameHeader]]:
    """Yield (offset, bytes, header) of every frame that is whole, in file order."""
    where = str(path)
    with open_dump(path) as stream:
        for offset, text in _split(stream, problems, where):
            try:
                header = parse_header(text[:_LONGEST_HEADER], where=where)
            except DumpError as error:
                problems.append(Problem("truncated", f"frame left out: {error.problem} ({where})"))
                continue
            # numpy counts ten times as fast as bytes.count when there is one hit per 100 bytes
            body = np.frombuffer(text, dtype=np.uint8, offset=header.length)
            lines = int(np.count_nonzero(body == _NEWLINE))
            if lines >= header.n_atoms:
                yield offset, text, header
                continue
            problems.append(
                Problem(
                    "truncated",
                    f"frame of step {header.step} left out: {lines} of {header.n_atoms} atom "
                    f"lines are whole ({where})",
                )
            )


def scan_frames(path: Path, problems: list[Problem]) -> tuple[list[FrameEntry], str | None]:
    """Every whole frame of the file in file order, and the unit style."""
    entries: list[FrameEntry] = []
    units = None
    for offset, text, header in _whole_frames(path, problems):
        units = units or header.units
        time = np.nan if header.time is None else header.time
        entries.append(FrameEntry(offset, len(text), header.step, header.n_atoms, time))
    return entries, units


def nothing_whole(path: Path, problems: list[Problem]) -> DumpError:
    """Make the error of a dump without one whole frame."""
    reasons = "; ".join(problem.message for problem in problems) or "the file is empty"
    return DumpError(f"no whole frame in the dump: {reasons}", where=path)


def read_first_frame(path: str | os.PathLike[str], first_step: int | None = None) -> DumpFrame:
    """The first whole frame of a dump, or of its part from a step on, without reading the rest.

    Raises:
        DumpError: not a LAMMPS text dump, or no whole frame in it.
    """
    path = Path(path)
    if not path.is_file():
        raise DumpError("no such file", where=path)
    problems: list[Problem] = []
    for _, text, header in _whole_frames(path, problems):
        if first_step is not None and header.step < first_step:
            continue
        return parse_frame(text, where=str(path))
    raise nothing_whole(path, problems)


def without_repeats(entries: list[FrameEntry], problems: list[Problem], where: str):
    """Drop what a restart wrote again: where steps go back, the later frames are the ones kept."""
    kept: list[FrameEntry] = []
    dropped: list[int] = []
    for entry in entries:
        while kept and kept[-1].step >= entry.step:
            dropped.append(kept.pop().step)
        kept.append(entry)
    if dropped:
        problems.append(
            Problem(
                "repeated",
                f"{len(dropped)} frames (steps {min(dropped)} to {max(dropped)}) were written "
                f"again after a restart; the later ones are kept ({where})",
            )
        )
    return kept
