# SPDX-License-Identifier: GPL-2.0-or-later
"""Which element an atom of LAMMPS is: types are numbers that mean nothing by themselves.

Elements come from the file's own symbols, from the user, or from masses that belong to one element
only; what contradicts is refused, and a type number is never taken for an atomic number. LAMMPS
writes ``C`` for every atom unless ``dump_modify ... element`` says otherwise, so a file in which
every atom is ``C`` says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike

import numpy as np
from ase.data import atomic_masses, chemical_symbols
from numpy.typing import ArrayLike

from egraff.data.lammps.dump_format import DumpFrame
from egraff.errors import InputError

DEFAULT_SYMBOL = "C"
"""What LAMMPS writes as the element of any atom when it was not told."""

MASS_TOLERANCE = 0.1
"""Masses in inputs are often rounded (16.0, 58.7); closer elements than this are told apart."""

GIVE_ELEMENTS = (
    'give --elements "EL1 EL2 ..." to run, check or analyse, one for each atom type, or write '
    "symbols into the file (dump_modify ID element EL1 EL2 ...; behind masses of a data file: # EL)"
)
"""What to do about types whose elements are not known."""

# without a standard atomic weight (IUPAC): a mass does not point to these
_NO_WEIGHT = {"Tc", "Pm", "Po", "At", "Rn", "Fr", "Ra", "Ac"}
_WEIGHTS = {
    symbol: float(atomic_masses[number])
    for number, symbol in enumerate(chemical_symbols[:93])
    if number and symbol not in _NO_WEIGHT
}


def parse_elements(text: str) -> list[str]:
    """Return the symbols of an option such as ``"O H"`` or ``O,H``.

    Raises:
        InputError: none, or a word that is no symbol.
    """
    symbols = text.replace(",", " ").split()
    check_symbols(symbols, field="--elements", fix='give symbols such as "O H"')
    if not symbols:
        raise InputError(
            "expected element symbols, got none", field="--elements", fix='give for example "O H"'
        )
    return symbols


def check_symbols(
    symbols: Sequence[str],
    *,
    where: str | PathLike[str] | None = None,
    field: str = "element",
    fix: str = GIVE_ELEMENTS,
) -> None:
    """Refuse words that are not element symbols.

    Raises:
        InputError: a word is not one; type numbers (``1``) are not.
    """
    unknown = sorted(set(symbols) - set(chemical_symbols[1:]))
    if unknown:
        raise InputError(
            f"expected element symbols, got {', '.join(unknown)}", where=where, field=field, fix=fix
        )


def element_of_mass(mass: float) -> str | None:
    """Return the only element whose standard atomic weight is a mass in amu, or None."""
    near = [symbol for symbol, weight in _WEIGHTS.items() if abs(weight - mass) <= MASS_TOLERANCE]
    return near[0] if len(near) == 1 else None


def check_masses(
    symbols: Sequence[str], masses: ArrayLike, *, where: str | PathLike[str], field: str = "element"
) -> None:
    """Refuse symbols next to masses that belong to other elements.

    A mass that belongs to no element (an isotope, a repartitioned hydrogen) contradicts nothing.

    Raises:
        InputError: a mass belongs to another element.
    """
    pairs = dict.fromkeys(zip(symbols, np.asarray(masses, dtype=float).tolist(), strict=True))
    for symbol, mass in pairs:
        other = element_of_mass(mass)
        if other not in (None, symbol):
            raise InputError(
                f"expected the mass of {symbol}, got {mass:g}, which is that of {other}",
                where=where,
                field=field,
                fix=f"correct the symbols or the masses; {GIVE_ELEMENTS}",
            )


def elements_of_masses(masses: ArrayLike) -> np.ndarray | None:
    """Return the symbol of each mass, None where one belongs to no element or to several."""
    masses = np.asarray(masses, dtype=float)
    found = {mass: element_of_mass(mass) for mass in set(masses.tolist())}
    if not found or None in found.values():
        return None
    return np.array([found[mass] for mass in masses.tolist()], dtype=object)


def elements_of_types(
    types: np.ndarray,
    given: Sequence[str],
    *,
    where: str | PathLike[str],
) -> np.ndarray:
    """Return the symbol of each atom, ``[n_atoms]``, from its type (from 1).

    Raises:
        InputError: more types than elements.
    """
    if types.max(initial=0) > len(given):
        raise InputError(
            f"expected an element for each of {types.max()} atom types, got {len(given)}",
            where=where,
            field="elements",
            fix=GIVE_ELEMENTS,
        )
    return np.array(given, dtype=object)[types - 1]


def elements_of_frame(frame: DumpFrame, given: Sequence[str] | None = None) -> np.ndarray | None:
    """Return the symbol of each atom of a dump's frame, ``[n_atoms]``, or None: nothing tells.

    Args:
        frame: with its columns ``element``, ``typelabel``, ``type`` and ``mass``, if any.
        given: the user's symbols of types 1, 2, ...

    Raises:
        InputError: symbols, masses and what was given contradict each other; every atom is the
            ``C`` that LAMMPS writes by default, and neither masses nor ``given`` agree.
    """
    symbols, masses = frame.words.get("element"), frame.numbers.get("mass")
    labels = frame.words.get("typelabel")
    by_mass = None if masses is None else elements_of_masses(masses)
    if symbols is None and labels is not None and set(labels) <= set(chemical_symbols[1:]):
        symbols = labels
    by_default = symbols is not None and set(symbols) == {DEFAULT_SYMBOL}
    if given is not None:
        symbols = _given(frame, given, None if by_default else symbols)
    elif by_default and by_mass is None:
        raise InputError(
            f"expected the elements of the atoms, got {DEFAULT_SYMBOL} for every atom, which "
            "LAMMPS writes when it does not know them",
            where=frame.where,
            field="element",
            fix=GIVE_ELEMENTS,
        )
    elif symbols is None:
        symbols = by_mass
    if symbols is None:
        return None
    check_symbols(symbols, where=frame.where)
    if masses is not None:
        check_masses(symbols, masses, where=frame.where)
    return symbols


def _given(frame: DumpFrame, given: Sequence[str], symbols: np.ndarray | None) -> np.ndarray:
    """Return the user's symbols of all atoms; those of the file must be the same."""
    types = frame.numbers.get("type")
    if types is None and symbols is not None and set(symbols) <= set(given):
        return symbols
    if types is None and len(given) > 1:
        raise InputError(
            f"expected a column type or element, got {' '.join(frame.header.columns)}",
            where=frame.where,
            fix="add one of them to the dump command",
        )
    n_atoms = frame.header.n_atoms
    types = np.ones(n_atoms, np.int64) if types is None else types.astype(np.int64)
    of_types = elements_of_types(types, given, where=frame.where)
    if symbols is not None and np.any(symbols != of_types):
        bad = int(np.flatnonzero(symbols != of_types)[0])
        raise InputError(
            f"expected element {of_types[bad]} of type {types[bad]}, got {symbols[bad]}",
            where=frame.where,
            field="element",
            fix="set the symbols with 'dump_modify ... element', or leave the column out",
        )
    return of_types
