# SPDX-License-Identifier: GPL-2.0-or-later
"""LAMMPS's unit styles, as factors to the units that egraff works in.

Both styles have lengths in Angstrom and masses in g/mol (https://docs.lammps.org/units.html). The
conversions are LAMMPS's own (``update.cpp``), so that both styles of one simulation agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike

from ase.units import kcal, mol

from egraff.errors import InputError


@dataclass(frozen=True)
class UnitStyle:
    """Factors of one unit style.

    Attributes:
        name: as in the command ``units``.
        time: to ps.
        velocity: to Angstrom/ps.
        energy: to eV; also of forces, to eV/Angstrom.
        pressure: to bar.
        default_timestep: in the style's own unit, where an input has no command ``timestep``.
    """

    name: str
    time: float
    velocity: float
    energy: float
    pressure: float
    default_timestep: float


_STYLES = {
    style.name: style
    for style in (
        UnitStyle("metal", 1.0, 1.0, 1.0, 1.0, 0.001),
        UnitStyle("real", 1e-3, 1e3, kcal / mol, 1.01325, 1.0),
    )
}


def unit_style(name: str, *, where: str | PathLike[str]) -> UnitStyle:
    """Return a unit style.

    Args:
        name: of the style.
        where: the file that names it, for messages.

    Raises:
        InputError: a style whose lengths are not Angstrom, or whose other units are not known.
    """
    if name not in _STYLES:
        raise InputError(
            f"expected units {' or '.join(_STYLES)}, got {name}",
            where=where,
            field="units",
            fix="convert the file, or run LAMMPS with 'units metal'",
        )
    return _STYLES[name]
