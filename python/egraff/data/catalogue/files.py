# SPDX-License-Identifier: GPL-2.0-or-later
"""Which files of the catalogue are in a folder, and whether they are what the catalogue says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Literal

from egraff.data.catalogue.entries import FileRecord
from egraff.data.catalogue.load import file_record, repositories
from egraff.data.digest import frames_digest
from egraff.data.frames import Frame, read_frames
from egraff.errors import InputError


@dataclass(frozen=True)
class FileCheck:
    """What a look at a file found.

    Attributes:
        name: of the file in the catalogue.
        state: ``verified``; ``different`` from what the catalogue says; ``absent``; or
            ``unverifiable``: there, but the catalogue has no digest of it.
        note: more in words.
    """

    name: str
    state: Literal["verified", "different", "absent", "unverifiable"]
    note: str = ""


def split_path(name: str, data: str | PathLike[str]) -> Path | None:
    """Return where a file of the catalogue is in a folder, compressed or not; None if it is not.

    Args:
        name: in the catalogue, such as ``acac/train.xyz.gz``.
        data: the folder.
    """
    named = Path(data) / name
    return next((path for path in (named, named.with_suffix("")) if path.is_file()), None)


def check_files(
    records: Mapping[str, FileRecord], data: str | PathLike[str]
) -> Iterable[FileCheck]:
    """Compare the files of a folder with the catalogue, one after the other.

    Args:
        records: files of the catalogue by name.
        data: the folder.

    Yields:
        A result for each record.

    Raises:
        InputError: the folder is not there.
    """
    if not Path(data).is_dir():
        raise InputError("expected a folder with data, found none", where=data, fix="check --data")
    for name, record in records.items():
        path = split_path(name, data)
        if path is None:
            yield FileCheck(name, "absent")
            continue
        if record.digest is None:
            yield FileCheck(name, "unverifiable", record.unverified or "")
            continue
        try:
            _verified(read_frames(path), record, path)
        except InputError as error:
            yield FileCheck(name, "different", error.problem)
        else:
            yield FileCheck(name, "verified")


def verified_frames(name: str, data: str | PathLike[str]) -> list[Frame]:
    """Read a file of the catalogue and make sure that it is the one.

    Args:
        name: in the catalogue, such as ``acac/train.xyz.gz``.
        data: folder of the data.

    Raises:
        InputError: no such file in the catalogue or in the folder, it holds other frames, or the
            catalogue has no digest of it.
    """
    record = file_record(name)
    path = split_path(name, data)
    if path is None:
        raise InputError(f"expected a file {name}, found none", where=data, fix=how_to_get(record))
    if record.digest is None:
        raise InputError(
            f"the catalogue has no digest of {name} ({record.unverified})",
            where=path,
            fix="read it with egraff.data.read_frames, which does not compare",
        )
    frames = read_frames(path)
    _verified(frames, record, path)
    return frames


def how_to_get(record: FileRecord) -> str:
    """Say how a file can be made, for messages."""
    known = repositories()
    ways = [
        f"egraff data import COPY --as {source.repository} from a copy of "
        f"{known[source.repository].address}"
        for source in record.sources
    ]
    return " or ".join(ways) or "correct the folder of the data"


def _verified(frames: list[Frame], record: FileRecord, path: Path) -> None:
    found = frames_digest(frames)
    if found != record.digest:
        count = (
            f"{record.frames} frames, got {len(frames)}"
            if record.frames != len(frames)
            else f"frames with digest {str(record.digest)[:12]}..., got {found[:12]}..."
        )
        raise InputError(
            f"not what the catalogue describes: expected {count}",
            where=path,
            fix=how_to_get(record),
        )
