# SPDX-License-Identifier: GPL-2.0-or-later
"""LMDB files whose records are JSON, as the LMDB back end of ASE's databases writes them.

Most LMDB files of this field hold Python pickles, which run what their author wants when they are
read. Those are refused by name, whatever is in them.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io.jsonio import decode

from egraff.data.frames import Frame
from egraff.data.importers.ase_db import frame_of_row, stated_by_ase
from egraff.data.importers.registry import (
    Found,
    ImportOptions,
    Part,
    importer,
    source_files,
    stem,
)
from egraff.data.selection import select
from egraff.errors import InputError

_LARGEST = 1 << 28  # bytes of one record, decompressed
_ASIDE = ("nextid", "metadata", "deleted_ids", "length", "num_samples")


@importer(
    "lmdb",
    "LMDB files of JSON records (extra [data]); pickles are refused",
    takes=("frames", "periodic"),
)
def read_lmdb(source: Path, options: ImportOptions) -> Found:
    """Read the numbered records of LMDB files in the order of their numbers."""
    parts = []
    for path in source_files(source, (".lmdb", ".aselmdb", ".mdb"), what="LMDB files"):
        rows = [row for _, row in sorted(_numbered(path).items())]
        frames = list(_frames(path, rows, options.periodic))
        if not frames:
            raise InputError("the file holds no frames", where=path, fix="copy the file again")
        parts.append(
            Part(
                name=stem(path, source),
                frames=[frames[i] for i in select(options.frames, len(frames), where="--frames")],
                stated=stated_by_ase("energy" in row for row in rows),
                source=path,
            )
        )
    return Found(parts)


def _numbered(path: Path) -> dict[int, dict[str, Any]]:
    return {int(key): row for key, row in _records(path) if key.isdecimal()}


def _frames(path: Path, rows: Sequence[dict[str, Any]], periodic: bool | None) -> Iterator[Frame]:
    for number, row in enumerate(rows):
        labels = {**row.get("key_value_pairs", {}), **_inner(row.get("data"))}
        labels |= {name: row[name] for name in ("energy", "forces", "stress") if name in row}
        try:
            atoms = Atoms(
                row["numbers"], row["positions"], cell=row.get("cell"), pbc=row.get("pbc", False)
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"expected numbers, positions, cell and pbc, got {type(error).__name__}: {error}",
                where=path,
                field=f"frame {number}",
                fix="check that the file is an ASE database",
            ) from error
        yield frame_of_row(atoms, labels, (str(path), number), periodic)


def _records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        import lmdb
    except ImportError:
        raise InputError(
            "expected the package lmdb, found none",
            where=path,
            fix="pip install 'egraff[data]'",
        ) from None
    try:
        with (
            lmdb.open(
                str(path), subdir=False, readonly=True, lock=False, readahead=False, max_dbs=0
            ) as environment,
            environment.begin() as transaction,
        ):
            for key, value in transaction.cursor():
                name = key.decode("ascii", errors="replace")
                if name not in _ASIDE:
                    yield name, _json(bytes(value), path, name)
    except lmdb.Error as error:
        raise InputError(
            f"expected an LMDB file, got {type(error).__name__}: {error}",
            where=path,
            fix="copy the file again; it may be cut short, or stand for one in Git LFS",
        ) from error


def _json(value: bytes, path: Path, key: str) -> dict[str, Any]:
    if value[:1] == b"\x80":
        raise InputError(
            "this record is a Python pickle, which could run anything; it is not read",
            where=path,
            field=f"record {key}",
            fix="import the npz or ASE database of the same set, or convert the file with the "
            "program that wrote it",
        )
    try:
        if value[:1] == b"\x78":
            inflate = zlib.decompressobj()
            value = inflate.decompress(value, _LARGEST)
            if inflate.unconsumed_tail:
                raise ValueError(f"more than {_LARGEST >> 20} MiB")
        content = decode(value.decode("utf-8"), always_array=False)
    except (zlib.error, ValueError, TypeError, json.JSONDecodeError) as error:
        raise InputError(
            f"expected JSON, plain or compressed by zlib, got {type(error).__name__}: {error}",
            where=path,
            field=f"record {key}",
            fix="convert the file with the program that wrote it",
        ) from error
    if not isinstance(content, dict):
        raise InputError(
            f"expected the fields of a row, got {type(content).__name__}",
            where=path,
            field=f"record {key}",
            fix="check that the file is an ASE database",
        )
    return content


def _inner(data: Any) -> dict[str, Any]:
    return data if isinstance(data, dict) else {}
