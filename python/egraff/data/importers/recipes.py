# SPDX-License-Identifier: GPL-2.0-or-later
"""Public repositories of which the catalogue says what makes up each of our files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from egraff.data.catalogue import Entry, FileRecord, Source, catalogue, entry
from egraff.data.frames import Frame, read_frames
from egraff.data.importers.deepmd import read_system
from egraff.data.importers.npz import read_npz
from egraff.data.importers.registry import Found, ImportOptions, Part, Stated, importer
from egraff.errors import InputError

_STATED = Stated(energy="eV", length="A", by="the catalogue says so")
_DECIMALS = 4  # of positions in files that hold structure only


@importer("egraffbench", "the repository of EGraFFBench, MDBENCHGNN", takes=("only",))
def read_egraffbench(source: Path, options: ImportOptions) -> Found:
    """Make our files of the copy, as far as it holds what they come from."""
    return _made(source, options, "egraffbench", "", ("", "Datasets"))


@importer("lips20", "the folder LiPS20 of that repository", takes=("only",))
def read_lips20(source: Path, options: ImportOptions) -> Found:
    """Make our files of LiPS20 from its folder alone."""
    return _made(source, options, "egraffbench", "LiPS20/", ("", "LiPS20", "Datasets/LiPS20"))


@importer("botnet", "BOTNet-datasets, with 3BPA and AcAc", takes=("only",))
def read_botnet(source: Path, options: ImportOptions) -> Found:
    """Make our files of 3BPA and AcAc."""
    return _made(source, options, "botnet", "", ("",))


def _made(
    source: Path, options: ImportOptions, repository: str, inside: str, roots: tuple[str, ...]
) -> Found:
    """Follow the catalogue's recipes for one repository.

    Args:
        source: the copy.
        options: of which ``only`` names one set.
        repository: key of the repository.
        inside: what paths of the catalogue begin with and the copy does not.
        roots: folders of the copy that paths may be relative to.
    """
    sets = {options.only: entry(options.only)} if options.only else catalogue()
    wanted = [
        (set_name, one, file, record, recipe)
        for set_name, one in sets.items()
        for file, record in one.files.items()
        for recipe in record.sources
        if recipe.repository == repository and recipe.path.startswith(inside)
    ]
    paths = [recipe.path.removeprefix(inside) for *_, recipe in wanted]
    root = next(
        (source / r for r in roots if any(_readable(source / r / path) for path in paths)), None
    )
    if root is None:
        shown = f", such as {paths[0]}" if paths else ""
        raise InputError(
            f"expected files of {repository}{shown}, found none",
            where=source,
            fix="give the folder of the copy"
            + (", or another --set" if options.only else "; files above some size may be missing"),
        )
    parts, absent = [], []
    latest: tuple[Path, list[Frame]] | None = None
    for (set_name, one, file, record, recipe), path in zip(wanted, paths, strict=True):
        if not _readable(root / path):
            absent.append(f"{file}: {path} is not in this copy")
            continue
        if latest is None or latest[0] != root / path:
            latest = root / path, _reader(root / path)(root / path)
        parts.append(_part(set_name, one, file, record, recipe, root / path, latest[1]))
    return Found(parts, absent)


def _part(
    set_name: str,
    one: Entry,
    file: str,
    record: FileRecord,
    recipe: Source,
    path: Path,
    frames: list[Frame],
) -> Part:
    chosen, changed = [], []
    for number in recipe.select(len(frames)):
        frame = frames[number]
        info = {"config_type": set_name, "source": recipe.path, "source_index": int(number)}
        if record.temperature_K is not None:
            info["temperature_K"] = record.temperature_K
        frame = replace(frame, info=info)
        if not one.periodic and (frame.pbc.any() or frame.cell.any()):
            frame = replace(frame, cell=np.zeros((3, 3)), pbc=np.zeros(3, dtype=bool))
            changed.append("a cell that means nothing is left out")
        if record.structure_only:
            frame = replace(
                frame,
                positions=frame.positions.round(_DECIMALS),
                energy=None,
                forces=None,
                stress=None,
            )
            changed.append(f"positions are rounded to {_DECIMALS} decimals, labels left out")
        chosen.append(frame)
    if recipe.frames != "all":
        changed.append(f"frames {recipe.frames} of {len(frames)}")
    return Part(
        name=file.removesuffix(".xyz.gz"),
        frames=chosen,
        stated=_STATED,
        source=path,
        repository=recipe.repository,
        record=file,
        structure_only=record.structure_only,
        changed=tuple(dict.fromkeys(changed)),
    )


def _readable(path: Path) -> bool:
    """Whether a file, or the coordinates of a deepmd system, are in the copy."""
    return path.is_file() or (path / "set.000" / "coord.npy").is_file()


def _reader(path: Path) -> Callable[[Path], list[Frame]]:
    if path.is_dir():
        return read_system
    if path.name.endswith((".npz", ".npz.bz2")):
        return lambda archive: read_npz(archive).frames
    return lambda file: read_frames(file)
