# SPDX-License-Identifier: GPL-2.0-or-later
"""Structures of any file, in a format that is told from the content before the name.

ASE takes LAMMPS's type numbers for atomic numbers, and files named ``.data`` for RuNNer's. So the
files that LAMMPS writes are read here, and those from which ASE would make up elements are refused.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import overload

import ase.io
import numpy as np
import zstandard
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.formats import UnknownFileTypeError, filetype
from ase.units import fs

from egraff.data.extxyz import read_extxyz
from egraff.data.lammps.data_file import is_data_file, read_data_file
from egraff.data.lammps.dump_file import DumpFile
from egraff.data.lammps.dump_format import DumpFrame
from egraff.data.lammps.dump_scan import is_dump, open_dump
from egraff.data.lammps.elements import GIVE_ELEMENTS, check_masses, elements_of_frame
from egraff.data.lammps.unit_styles import UnitStyle, unit_style
from egraff.errors import InputError

_log = logging.getLogger(__name__)
_HEAD = 4096


def read_structures(
    path: str | PathLike[str], elements: Sequence[str] | None = None
) -> Sequence[Atoms]:
    """Read the structures of a file.

    What is concluded rather than read (elements from masses, units) is logged.

    Args:
        path: a LAMMPS dump or data file, or anything that ASE reads.
        elements: symbol of LAMMPS types 1, 2, ..., for files that do not tell.

    Returns:
        The structures; those of a dump are read when they are asked for.

    Raises:
        InputError: elements are not known, are given for a file that has no types, or contradict
            the file; a LAMMPS file is malformed.
        Exception: whatever ASE's readers raise.
    """
    path = Path(path)

    def note(text: str) -> None:
        _log.warning("%s: %s", path, text)

    if is_dump(path):
        return DumpStructures(path, elements, note)
    if is_data_file(_head(path)):
        return [read_data_file(path, elements, note)]
    if elements is not None:
        raise InputError(
            "expected a LAMMPS dump or data file, which has types that need elements, got "
            f"{path.suffix or 'a file without a suffix'}",
            where=path,
            field="--elements",
            fix="leave the option out: the file names its elements",
        )
    return _read_with_ase(path)


class DumpStructures(Sequence[Atoms]):
    """The frames of a LAMMPS dump as ASE atoms, with velocities and forces where it has them.

    Args:
        path: text dump, plain or compressed.
        elements: symbol of types 1, 2, ...; None where the dump tells.
        note: called with each thing that was concluded rather than read.

    Raises:
        InputError: not a whole text dump, other units than metal or real, or unknown elements.
    """

    def __init__(
        self, path: Path, elements: Sequence[str] | None, note: Callable[[str], None]
    ) -> None:
        self._dump = DumpFile(path)
        self._elements = elements
        self._units = unit_style(self._dump.units or "metal", where=path)
        for problem in self._dump.problems:
            note(problem.message)
        first = self._dump.read(0)
        self._symbols(first)
        if self._dump.units is None and (first.velocities is not None or first.forces is not None):
            note("velocities and forces taken for those of units metal, as the dump has no UNITS")

    def __len__(self) -> int:
        return len(self._dump)

    @overload
    def __getitem__(self, index: int) -> Atoms: ...
    @overload
    def __getitem__(self, index: slice) -> list[Atoms]: ...
    def __getitem__(self, index):
        """Read a frame, or several."""
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        return _atoms_of_frame(frame := self._dump.read(index), self._symbols(frame), self._units)

    def _symbols(self, frame: DumpFrame) -> np.ndarray:
        symbols = elements_of_frame(frame, self._elements)
        if symbols is None:
            raise InputError(
                f"expected a column element, got {' '.join(frame.header.columns)}",
                where=frame.where,
                field=f"frame of step {frame.header.step}",
                fix=GIVE_ELEMENTS,
            )
        return symbols


def _atoms_of_frame(frame: DumpFrame, symbols: np.ndarray, units: UnitStyle) -> Atoms:
    """Turn a frame into ASE atoms in Angstrom, eV and ASE's unit of time."""
    header = frame.header
    atoms = Atoms(
        list(symbols),
        positions=frame.positions(),
        cell=header.cell if any(header.pbc) else None,
        pbc=header.pbc,
        info={"step": header.step},
    )
    if frame.numbers.get("mass") is not None:
        atoms.set_masses(frame.numbers["mass"])
    if frame.velocities is not None:
        atoms.set_velocities(frame.velocities * units.velocity / (1000.0 * fs))
    if frame.forces is not None:
        atoms.calc = SinglePointCalculator(atoms, forces=frame.forces * units.energy)
    return atoms


def _head(path: Path) -> str:
    """Return the first characters of a file, decompressed; empty if it cannot be read."""
    try:
        with open_dump(path) as stream:
            return stream.read(_HEAD).decode("utf-8", errors="replace")
    except (OSError, EOFError, zstandard.ZstdError):
        return ""


def _read_with_ase(path: Path) -> list[Atoms]:
    """Read a file with ASE, unless its reader would make up elements."""
    _refuse_made_up_elements(path)
    if filetype(str(path)) == "extxyz":
        return read_extxyz(path)
    # the name may hold an @, which ASE would take for the number of a frame
    images = ase.io.read(path, index=":", do_not_split_by_at_sign=True)
    if images and path.name.lower().endswith(".cfg"):
        for atoms in images:  # LAMMPS writes C into these, too, where it knows no elements
            check_masses(atoms.get_chemical_symbols(), atoms.get_masses(), where=path)
    return images


def _refuse_made_up_elements(path: Path) -> None:
    """Refuse formats in which ASE takes types for atomic numbers, or everything for hydrogen.

    Raises:
        InputError: a binary dump, or a NetCDF trajectory without atomic numbers.
    """
    try:
        kind = filetype(str(path))
    except (UnknownFileTypeError, OSError):
        return
    if kind in ("lammps-dump-binary", "lammps-dump-text", "lammps-data", "netcdftrajectory"):
        raise InputError(
            f"expected a format that names elements, got {kind}",
            where=path,
            fix="write a text dump with a column element, or extended XYZ",
        )
    if kind == "runnerdata" and "begin" not in _head(path):
        raise InputError(
            "expected a LAMMPS data file (atoms, box, sections) or RuNNer data (begin ... end), "
            "got neither",
            where=path,
            fix="check that the file is whole, or give another suffix",
        )
