# SPDX-License-Identifier: GPL-2.0-or-later
"""NumPy archives: MD17 and its revision as they are published, and others with the usual names."""

from __future__ import annotations

import bz2
import io
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from egraff.data.frames import Frame
from egraff.data.importers.arrays import frames_of_arrays
from egraff.data.importers.registry import (
    Found,
    ImportOptions,
    Part,
    Stated,
    importer,
    source_files,
    stem,
)
from egraff.data.selection import select
from egraff.errors import InputError

_NAMES = {
    "numbers": ("atomic_numbers", "z", "nuclear_charges", "numbers", "Z"),
    "positions": ("pos", "R", "coords", "positions", "coordinates"),
    "energy": ("energy", "E", "energies"),
    "forces": ("forces", "F", "force"),
    "cell": ("cell", "lattice"),
    "pbc": ("pbc",),
}
_SUFFIXES = (".npz", ".npz.bz2")
_UNITS = {"energy": "e_unit", "length": "r_unit"}


@dataclass(frozen=True)
class Archive:
    """What is in an archive.

    Attributes:
        frames: those asked for.
        stated: units that the archive states.
        unread: names of arrays that are none of the usual ones.
    """

    frames: list[Frame]
    stated: Stated
    unread: tuple[str, ...]

    @property
    def changed(self) -> tuple[str, ...]:
        """What a manifest should say about the arrays that are not read."""
        return (f"not read: {', '.join(self.unread)}",) if self.unread else ()


def read_npz(path: Path, periodic: bool | None = None, *, frames: str = "all") -> Archive:
    """Read frames, and the units that the archive states (``e_unit``, ``r_unit`` of sGDML).

    Args:
        path: the archive, perhaps inside a bzip2 file.
        periodic: instead of what the archive says; needed where it has a cell without ``pbc``.
        frames: which, see `egraff.data.selection`.

    Raises:
        InputError: it cannot be read, lacks an array, or an array is a pickle.
    """
    arrays = _arrays(path)
    found = {}
    for name, keys in _NAMES.items():
        there = [key for key in keys if key in arrays]
        if len(there) > 1:
            raise InputError(
                f"expected one array of {name}, found {' and '.join(there)}",
                where=path,
                fix="leave one of them out",
            )
        if there:
            found[name] = arrays[there[0]]
    for name in ("numbers", "positions"):
        if name not in found:
            raise InputError(
                f"expected an array of {name} ({', '.join(_NAMES[name])}), found "
                f"{', '.join(arrays) or 'none'}",
                where=path,
                fix="check that the file is of this layout",
            )
    if periodic is not None:
        found["pbc"] = np.full(3, periodic)
    elif "cell" in found and "pbc" not in found:
        raise InputError(
            "expected pbc beside cell, found none",
            where=path,
            fix="say what the cell means: --periodic or --no-periodic",
        )
    said = {name: str(_text(arrays[key])) for name, key in _UNITS.items() if key in arrays}
    stated = Stated(**said, by="the file", in_file=True) if said else Stated()
    rows = select(frames, len(found["positions"]), where=f"--frames of {path}")
    used = {key for keys in _NAMES.values() for key in keys} | set(_UNITS.values())
    unread = tuple(name for name in arrays if name not in used)
    return Archive(frames_of_arrays(path, **found, rows=rows), stated, unread)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        content = bz2.decompress(path.read_bytes()) if path.suffix == ".bz2" else path.read_bytes()
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            if not hasattr(archive, "files"):
                raise InputError("expected an archive, got a single array", where=path)
            return {name: _array(archive, name, path) for name in archive.files}
    except (OSError, zipfile.BadZipFile, EOFError, ValueError) as error:
        if isinstance(error, InputError) and error.fix:
            raise
        raise InputError(
            f"expected an archive of NumPy arrays, got {type(error).__name__}: {error}",
            where=path,
            fix="copy the file again; it may be cut short, or stand for one in Git LFS",
        ) from error


def _array(archive: np.lib.npyio.NpzFile, name: str, path: Path) -> np.ndarray:
    try:
        return archive[name]
    except ValueError as error:
        if "allow_pickle" not in str(error) and "pickle" not in str(error):
            raise
        raise InputError(
            "this array is a Python pickle, which could run anything; it is not read",
            where=path,
            field=name,
            fix="save plain numbers with the program that made it",
        ) from error


def _text(array: np.ndarray) -> str:
    value = array.item() if array.ndim == 0 else array
    return value.decode() if isinstance(value, bytes) else str(value)


@importer(
    "npz",
    "NumPy archives with positions, atomic numbers, energies, forces",
    takes=("frames", "periodic"),
)
def read_archives(source: Path, options: ImportOptions) -> Found:
    """Read archives of any origin; the units are for the user to state."""
    parts = []
    for path in source_files(source, _SUFFIXES, what="NumPy archives"):
        archive = read_npz(path, options.periodic, frames=options.frames)
        parts.append(
            Part(
                name=stem(path, source),
                frames=archive.frames,
                stated=archive.stated,
                source=path,
                changed=archive.changed,
            )
        )
    return Found(parts)


@importer("md17", "MD17 as published: md17_NAME.npz or NAME_dft.npz, kcal/mol", takes=("frames",))
def read_md17(source: Path, options: ImportOptions) -> Found:
    """Read whole trajectories; ``--frames`` chooses among 100,000 and more."""
    parts = []
    for path in source_files(source, _SUFFIXES, what="NumPy archives"):
        name = path.name.split(".")[0].removesuffix("_dft")
        archive = read_npz(path, periodic=False, frames=options.frames)
        parts.append(
            Part(
                name=f"{name if name.startswith('md') else f'md17_{name}'}/all",
                frames=archive.frames,
                stated=_kcal(archive.stated, "MD17 is published in it"),
                source=path,
                repository="sgdml",
                changed=archive.changed,
            )
        )
    return Found(parts)


@importer(
    "rmd17",
    "the revised MD17: rmd17_NAME.npz, kcal/mol, with its published splits if they are there",
    takes=("frames", "fold"),
)
def read_rmd17(source: Path, options: ImportOptions) -> Found:
    """Read trajectories, cut as one of the five published splits says, where those are there."""
    parts, absent = [], []
    for path in source_files(source, _SUFFIXES, what="NumPy archives"):
        name = path.name.split(".")[0]
        archive = read_npz(path, periodic=False, frames=options.frames)
        frames = archive.frames
        stated = _kcal(archive.stated, "the revised MD17 is published in it")
        splits = _folds(path, options.fold)
        if splits and options.frames != "all":
            raise InputError(
                f"the published split {options.fold} chooses the frames",
                where="--frames",
                fix="leave the option out, or give the archive alone, without its splits",
            )
        if not splits:
            absent.append(f"splits of {name}: the folder splits is not beside npz_data")
        cut = {
            f"{name}/{part}_{options.fold:02d}": _numbered(frames, index)
            for part, index in splits.items()
        }
        for part_name, own in (cut or {f"{name}/all": frames}).items():
            parts.append(
                Part(
                    name=part_name,
                    frames=own,
                    stated=stated,
                    source=path,
                    changed=archive.changed,
                )
            )
    return Found(parts, absent)


def _folds(path: Path, fold: int) -> dict[str, Path]:
    """Return the files with the numbers of training and test frames of a published split."""
    folders = [parent / "splits" for parent in (path.parent, path.parent.parent)]
    folder = next((folder for folder in folders if folder.is_dir()), None)
    if folder is None:
        return {}
    found = {part: folder / f"index_{part}_{fold:02d}.csv" for part in ("train", "test")}
    for file in found.values():
        if not file.is_file():
            raise InputError(
                f"expected the published split {file.name}, found none",
                where=folder,
                fix="choose another --fold (1 to 5)",
            )
    return found


def _numbered(frames: list[Frame], index: Path) -> list[Frame]:
    try:
        numbers = [int(line) for line in index.read_text(encoding="utf-8").split()]
    except ValueError as error:
        raise InputError(
            f"expected a frame number in each line, got: {error}",
            where=index,
            fix="copy the file again",
        ) from None
    wrong = [number for number in numbers if not 0 <= number < len(frames)]
    if wrong:
        raise InputError(
            f"expected frame numbers from 0 to {len(frames) - 1}, got {wrong[0]}",
            where=index,
            fix="use the splits that belong to this archive",
        )
    return [frames[number] for number in numbers]


def _kcal(stated: Stated, by: str) -> Stated:
    return stated if stated.energy else replace(stated, energy="kcal/mol", by=by)
