# SPDX-License-Identifier: GPL-2.0-or-later
"""A LAMMPS text dump as a sequence of frames, with random access to them.

The file is scanned once (:mod:`egraff.data.lammps.dump_scan`); the result can be kept beside it.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from egraff.data.lammps.dump_format import DumpError, DumpFrame, parse_frame
from egraff.data.lammps.dump_scan import (
    CHUNK_BYTES,
    FrameEntry,
    Problem,
    nothing_whole,
    open_dump,
    scan_frames,
    without_repeats,
)
from egraff.errors import OutputError
from egraff.files import atomic_path

_INDEX_VERSION = 1


class DumpFile:
    """Random access to the frames of a LAMMPS text dump.

    Args:
        path: text dump, plain or compressed by gzip, bzip2 or zstd.
        save_index: keep the index beside the dump (``NAME.index.npz``) for the next time; it is
            used when the dump has the size and modification time it was made for.
        first_step: leave out frames before this step; None for none.

    Attributes:
        entries: the frames that are whole, in order of step, repeats removed.
        problems: what was left out and why.
        units: LAMMPS unit style if the dump states it.

    Raises:
        DumpError: not a LAMMPS text dump, or no whole frame in it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        save_index: bool = False,
        first_step: int | None = None,
    ) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise DumpError("no such file", where=path)
        self.problems: list[Problem] = []
        self._stream: BinaryIO | None = None
        if not self._load_index():
            entries, self.units = scan_frames(self.path, self.problems)
            self.entries = without_repeats(entries, self.problems, str(self.path))
            if save_index:
                self._save_index()
        if first_step is not None:
            self.entries = [entry for entry in self.entries if entry.step >= first_step]
        if not self.entries:
            raise nothing_whole(self.path, self.problems)
        self.first = self.read(0).header

    @property
    def index_path(self) -> Path:
        """Where the saved index is looked for."""
        return self.path.with_name(self.path.name + ".index.npz")

    def _fingerprint(self) -> list[int]:
        status = self.path.stat()
        return [_INDEX_VERSION, status.st_size, status.st_mtime_ns]

    def _load_index(self) -> bool:
        if not self.index_path.is_file():
            return False
        try:
            with np.load(self.index_path, allow_pickle=False) as saved:
                if saved["fingerprint"].tolist() != self._fingerprint():
                    return False
                rows = zip(
                    *(saved[name].tolist() for name in FrameEntry.__annotations__), strict=True
                )
                entries = [FrameEntry(*row) for row in rows]
                problems = [Problem(*row) for row in saved["problems"].tolist()]
                units = str(saved["units"]) or None
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
            # an index is only a copy of what the dump says: a damaged one is made again
            return False
        self.entries, self.problems, self.units = entries, problems, units
        return True

    def _save_index(self) -> None:
        columns = {
            name: np.array([getattr(entry, name) for entry in self.entries])
            for name in FrameEntry.__annotations__
        }
        rows = [(problem.kind, problem.message) for problem in self.problems]
        # beside a dump that may not be written to, it is made anew each time
        with suppress(OutputError), atomic_path(self.index_path) as partial:
            np.savez(
                partial,
                fingerprint=np.array(self._fingerprint()),
                problems=np.array(rows, dtype=str).reshape(-1, 2),
                units=np.array(self.units or ""),
                **columns,
            )

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def steps(self) -> np.ndarray:
        """MD step of each frame, `[n_frames]`."""
        return np.array([entry.step for entry in self.entries], dtype=np.int64)

    @property
    def times(self) -> np.ndarray:
        """Time of each frame in the file's unit, `[n_frames]`; NaN where it is not stated."""
        return np.array([entry.time for entry in self.entries])

    def _bytes(self, offset: int, length: int) -> bytes:
        if self._stream is None:
            self._stream = open_dump(self.path)
        try:
            self._stream.seek(offset)
        except (OSError, ValueError):  # zstd streams do not go back
            self.close()
            self._stream = open_dump(self.path)
            self._stream.seek(offset)
        read = getattr(self._stream, "read1", self._stream.read)
        parts: list[bytes] = []
        while length > 0 and (part := read(min(length, CHUNK_BYTES))):
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def read(self, index: int, *, columns: frozenset[str] | None = None) -> DumpFrame:
        """Frame ``index`` (from 0); see `parse_frame` for ``columns`` and errors."""
        entry = self.entries[index]
        text = self._bytes(entry.offset, entry.length)
        return parse_frame(text, where=str(self.path), columns=columns)

    def __iter__(self) -> Iterator[DumpFrame]:
        return (self.read(index) for index in range(len(self)))

    def close(self) -> None:
        """Close the file; reading opens it again."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_stream": None}
