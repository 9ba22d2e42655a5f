# SPDX-License-Identifier: GPL-2.0-or-later
"""LAMMPS data files, as `write_data` and people write them (https://docs.lammps.org/read_data.html).

Only what a structure needs is read: box, masses, atoms, velocities. Elements are those that the
user gives, type labels or comments behind the masses that are symbols, or the masses themselves
where they belong to one element only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.units import fs

from egraff.data.lammps.elements import (
    GIVE_ELEMENTS,
    check_masses,
    check_symbols,
    element_of_mass,
    elements_of_types,
)
from egraff.data.lammps.unit_styles import unit_style
from egraff.errors import InputError

STYLES = {
    "atomic": ("id", "type", "x", "y", "z"),
    "charge": ("id", "type", "q", "x", "y", "z"),
    "bond": ("id", "molecule", "type", "x", "y", "z"),
    "angle": ("id", "molecule", "type", "x", "y", "z"),
    "molecular": ("id", "molecule", "type", "x", "y", "z"),
    "full": ("id", "molecule", "type", "q", "x", "y", "z"),
}
"""Columns of the section Atoms of each atom style; three image flags may follow."""

_ATOMS = re.compile(r"^\s*\d+\s+atoms\s*(#.*)?$", re.MULTILINE)
_BOX = re.compile(r"\b(xlo\s+xhi|avec)\b")
_SECTION = re.compile(r"^[A-Z][A-Za-z0-9]*( [A-Z][A-Za-z0-9]*)*$")
_UNITS = re.compile(r"\bunits = (\w+)")


def is_data_file(head: str) -> bool:
    """Tell whether a file begins like a LAMMPS data file: with a number of atoms and a box."""
    return bool(_ATOMS.search(head) and _BOX.search(head))


@dataclass
class _Content:
    """The lines of a data file: words of the header by keyword, rows and comments by section."""

    where: str
    title: str
    header: dict[str, list[float]] = field(default_factory=dict)
    rows: dict[str, list[list[str]]] = field(default_factory=dict)
    comments: dict[str, list[str]] = field(default_factory=dict)
    style: str | None = None


def read_data_file(
    path: str | PathLike[str],
    elements: Sequence[str] | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> Atoms:
    """Read the structure of a LAMMPS data file.

    Args:
        path: the file.
        elements: symbol of types 1, 2, ...; None where the file tells.
        note: called with each thing that was concluded rather than read.

    Returns:
        Atoms in order of id, periodic in all directions (a data file does not say), positions in
        Angstrom as they stand in the file.

    Raises:
        InputError: the file is cut short or malformed, its units or atom style are not known, or
            the elements are not known or contradict the masses.
    """
    path = Path(path)
    content = _split(path.read_text(encoding="utf-8", errors="replace"), str(path))
    n_atoms = int(content.header["atoms"][0])
    stated = _UNITS.search(content.title)
    units = unit_style(stated[1] if stated else "metal", where=path)
    columns = _table(content, n_atoms)
    types = _types(columns["type"], content)
    masses = _masses(content)
    symbols = _elements(content, types, masses, elements, note)
    order = np.argsort(columns["id"].astype(np.int64), kind="stable")
    ids = columns["id"].astype(np.int64)[order]
    if np.any(np.diff(ids) == 0):
        raise InputError(f"atom id {ids[:-1][np.diff(ids) == 0][0]} occurs twice", where=path)
    positions = np.stack([_numbers(columns[axis], content) for axis in "xyz"], axis=1)
    atoms = Atoms(symbols[order], positions=positions[order], cell=_cell(content), pbc=True)
    if masses:
        atoms.set_masses([masses[number] for number in types[order]])
    if "Velocities" in content.rows:
        velocities = _velocities(content, ids) * units.velocity
        atoms.set_velocities(velocities / (1000.0 * fs))  # per ps in ASE's unit of time
    note("periodic in all directions, which a data file does not say")
    return atoms


def _split(text: str, where: str) -> _Content:
    """Sort the lines of a file into header and sections."""
    lines = text.splitlines()
    content = _Content(where, lines[0] if lines else "")
    section = None
    for line in lines[1:]:
        bare, _, comment = line.partition("#")
        bare, comment = bare.strip(), comment.strip()
        if not bare:
            continue
        if _SECTION.match(bare):
            section = bare
            content.rows.setdefault(section, [])
            content.comments.setdefault(section, [])
            if section == "Atoms" and comment:
                content.style = comment
        elif section is not None:
            content.rows[section].append(bare.split())
            content.comments[section].append(comment)
        else:
            words = bare.split()
            n_numbers = next((i for i, word in enumerate(words) if not _is_number(word)), 0)
            content.header[" ".join(words[n_numbers:])] = [float(w) for w in words[:n_numbers]]
    missing = {"atoms", "atom types"} - content.header.keys() | {"Atoms"} - content.rows.keys()
    if missing:
        raise InputError(
            f"expected a line or section {' and '.join(sorted(missing))}, got none",
            where=where,
            fix="give a whole LAMMPS data file",
        )
    return content


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _table(content: _Content, n_atoms: int) -> dict[str, np.ndarray]:
    """Columns of the section Atoms by name, as words."""
    rows = content.rows["Atoms"]
    widths = {len(row) for row in rows}
    if len(rows) != n_atoms or len(widths) > 1:
        got = f"{len(rows)} lines of {' and '.join(map(str, sorted(widths)))} words"
        raise InputError(
            f"expected {n_atoms} lines of one length, got {got}",
            where=content.where,
            field="Atoms",
            fix="give a whole LAMMPS data file",
        )
    names = _columns(content, widths.pop() if widths else 0)
    table = np.array(rows, dtype=object)
    return {name: table[:, index] for index, name in enumerate(names)}


def _columns(content: _Content, width: int) -> tuple[str, ...]:
    """Names of the columns, from the style that the file names, or the only one that fits."""
    fitting = {columns for columns in STYLES.values() if width in (len(columns), len(columns) + 3)}
    if content.style is not None:
        fitting &= {STYLES.get(content.style.split()[0], ())}
    if len(fitting) != 1:
        named = f"the style {content.style}" if content.style else "no style"
        raise InputError(
            f"expected an atom style of {', '.join(STYLES)}, got {named} and {width} columns",
            where=content.where,
            field="Atoms",
            fix="write the style behind the section's name, for example `Atoms # charge`",
        )
    return fitting.pop()


def _numbers(words: np.ndarray, content: _Content, what: str = "Atoms") -> np.ndarray:
    try:
        return words.astype(np.float64)
    except ValueError as error:
        raise InputError(f"expected numbers: {error}", where=content.where, field=what) from None


def _types(words: np.ndarray, content: _Content) -> np.ndarray:
    """Return the type number of each atom; labels are looked up in their section."""
    labels = {row[1]: row[0] for row in content.rows.get("Atom Type Labels", [])}
    numbers = np.array([labels.get(word, word) for word in words], dtype=object)
    types = _numbers(numbers, content).astype(np.int64)
    n_types = int(content.header.get("atom types", [0])[0])
    if types.size and not 1 <= types.min() <= types.max() <= n_types:
        raise InputError(
            f"expected types from 1 to {n_types}, got {types.min()} to {types.max()}",
            where=content.where,
            field="Atoms",
            fix="check the number of atom types and the atom style",
        )
    return types


def _masses(content: _Content) -> dict[int, float]:
    """Return the mass of each type in amu; none where the file has none."""
    rows = content.rows.get("Masses", [])
    labels = {row[1]: row[0] for row in content.rows.get("Atom Type Labels", [])}
    return {int(labels.get(row[0], row[0])): float(row[1]) for row in rows}


def _elements(
    content: _Content,
    types: np.ndarray,
    masses: dict[int, float],
    given: Sequence[str] | None,
    note: Callable[[str], None],
) -> np.ndarray:
    """Return the symbol of each atom."""
    n_types = int(content.header["atom types"][0])
    named = _named(content, n_types)
    symbols = given or named
    if symbols is None:
        by_mass = {number: element_of_mass(mass) for number, mass in masses.items()}
        unknown = [n for n in sorted(set(types.tolist())) if by_mass.get(n) is None]
        if unknown:
            got = ", ".join(f"{n} (mass {masses[n]:g})" if n in masses else str(n) for n in unknown)
            raise InputError(
                f"expected the elements of types, got none of {got}",
                where=content.where,
                field="Masses",
                fix=GIVE_ELEMENTS,
            )
        symbols = [by_mass.get(number) or "X" for number in range(1, n_types + 1)]
        told = ", ".join(f"{by_mass[n]} ({masses[n]:g})" for n in sorted(set(types.tolist())))
        note(f"elements told from masses: {told}")
    else:
        check_symbols(symbols, where=content.where, field="elements")
        of_masses = [number for number in masses if number <= len(symbols)]
        check_masses(
            [symbols[number - 1] for number in of_masses],
            [masses[number] for number in of_masses],
            where=content.where,
            field="Masses",
        )
    return elements_of_types(types, symbols, where=content.where)


def _named(content: _Content, n_types: int) -> list[str] | None:
    """Return the symbols of types 1, 2, ... that labels or comments behind masses name, or None."""
    labels = {int(row[0]): row[1] for row in content.rows.get("Atom Type Labels", [])}
    behind = zip(content.rows.get("Masses", []), content.comments.get("Masses", []), strict=True)
    comments = {int(row[0]): text for row, text in behind if row[0].isdigit()}
    for names in (labels, comments):
        symbols = [names.get(number) for number in range(1, n_types + 1)]
        if set(symbols) <= set(chemical_symbols[1:]):
            return symbols
    return None


def _cell(content: _Content) -> np.ndarray:
    """Return the box vectors as rows, ``[3, 3]``."""
    header = content.header
    try:
        if "avec" in header:
            return np.array([header[name] for name in ("avec", "bvec", "cvec")])
        low, high = np.array([header[f"{axis}lo {axis}hi"] for axis in "xyz"]).T
    except KeyError as error:
        raise InputError(
            f"expected a line that ends in {error.args[0]}, got none", where=content.where
        ) from None
    cell = np.diag(high - low)
    cell[1, 0], cell[2, 0], cell[2, 1] = header.get("xy xz yz", (0.0, 0.0, 0.0))
    return cell


def _velocities(content: _Content, ids: np.ndarray) -> np.ndarray:
    """Return the velocities in the file's unit, ``[n_atoms, 3]``, in order of id."""
    rows = {int(row[0]): row[1:4] for row in content.rows["Velocities"]}
    if sorted(rows) != ids.tolist():
        raise InputError(
            f"expected velocities of the {len(ids)} atoms, got {len(rows)}",
            where=content.where,
            field="Velocities",
            fix="give a whole LAMMPS data file",
        )
    return _numbers(np.array([rows[number] for number in ids.tolist()]), content, "Velocities")
