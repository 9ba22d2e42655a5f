# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of layouts that can be imported, and what each of them gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from egraff.data.frames import Frame
from egraff.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Stated:
    """Units that a source states or its format prescribes; None for what it leaves open.

    Attributes:
        energy: name of the unit of energy, see `egraff.data.importers.units.ENERGIES`.
        length: name of the unit of length.
        force: unit of forces, such as ``kcal/mol/A``; None for energy over length.
        by: who says so, for messages and the manifest.
        in_file: whether the file itself says so, rather than the description of its format.
    """

    energy: str | None = None
    length: str | None = "A"
    force: str | None = None
    by: str = ""
    in_file: bool = False


@dataclass(frozen=True, kw_only=True)
class Part:
    """Frames that become one file.

    Attributes:
        name: of the file in the output folder, without suffix, such as ``acac/train``.
        frames: as in the source, in its units; ``source`` holds the file and the number in it.
        stated: units that the source states.
        source: file or folder that they come from.
        repository: key of the catalogue's repositories, where it is one of those.
        record: name of the file in the catalogue that this should be.
        structure_only: unlabelled frames on purpose.
        changed: what was changed against the source, in words.
    """

    name: str
    frames: Sequence[Frame]
    stated: Stated
    source: Path
    repository: str | None = None
    record: str | None = None
    structure_only: bool = False
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """What the user says about a source.

    Attributes:
        energy_unit: of the energies; None for what the source states.
        force_unit: of the forces; None for what the source states, or energy over length.
        length_unit: of positions and cells; None for what the source states.
        elements: symbols of types 0, 1, ..., where the source has only types.
        periodic: whether frames are periodic, instead of what the source says.
        frames: which frames of each file, see `egraff.data.selection`.
        fold: number of the published split, of rmd17.
        only: set of the catalogue, of repositories that hold several.
        licence: of the data.
        origin: where the data come from.
    """

    energy_unit: str | None = None
    force_unit: str | None = None
    length_unit: str | None = None
    elements: tuple[str, ...] | None = None
    periodic: bool | None = None
    frames: str = "all"
    fold: int = 1
    only: str | None = None
    licence: str | None = None
    origin: str | None = None


@dataclass(frozen=True)
class Found:
    """What a layout found in a source.

    Attributes:
        parts: in the order of the output.
        absent: what the layout could hold and the copy does not, in words.
    """

    parts: list[Part]
    absent: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Importer:
    """A layout.

    Attributes:
        name: value of ``--as``.
        about: what it reads, in a phrase.
        read: from a file or folder and options to what was found.
        takes: options that mean something for it, besides units, licence and origin.
    """

    name: str
    about: str
    read: Callable[[Path, ImportOptions], Found]
    takes: tuple[str, ...] = ()


IMPORTERS: dict[str, Importer] = {}
"""All layouts by name."""


def importer(
    name: str, about: str, *, takes: tuple[str, ...] = ()
) -> Callable[[Callable[[Path, ImportOptions], Found]], Callable[[Path, ImportOptions], Found]]:
    """Register a layout; see `Importer`."""

    def register(
        read: Callable[[Path, ImportOptions], Found],
    ) -> Callable[[Path, ImportOptions], Found]:
        IMPORTERS[name] = Importer(name, about, read, takes)
        return read

    return register


def source_files(source: Path, suffixes: Sequence[str], *, what: str) -> list[Path]:
    """Return a file, or all files of a folder and below with one of some suffixes.

    Raises:
        InputError: there are none.
    """
    if source.is_file():
        return [source]
    found = sorted(p for p in source.rglob("*") if p.is_file() and p.name.endswith(tuple(suffixes)))
    if not found:
        raise InputError(
            f"expected {what} ({', '.join(suffixes)}), found none", where=source, fix="check SOURCE"
        )
    return found


def stem(path: Path, root: Path) -> str:
    """Return the name of a part for a file: its place below ``root`` without suffix."""
    inside = path.relative_to(root) if root.is_dir() else Path(path.name)
    name = inside.name.removesuffix(".bz2")
    return str(inside.with_name(name.rpartition(".")[0] or name))
