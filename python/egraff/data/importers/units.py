# SPDX-License-Identifier: GPL-2.0-or-later
"""In which units the numbers of a source are: stated, checked against their size, never guessed.

Total energies of calculations with all electrons give themselves away: they are 0.6 to 1.05 times
the Thomas-Fermi energy of the atoms, in whatever unit. With pseudopotentials they can be anything
below, so a unit that nobody states is asked for rather than concluded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase.units import Bohr, Hartree, Rydberg

from egraff.data.frames import Frame
from egraff.data.importers.registry import ImportOptions, Part
from egraff.errors import InputError
from egraff.units import EV_IN_JOULE

_PER_MOL = 6.02214076e23 * EV_IN_JOULE  # J/mol in an eV

ENERGIES = {
    "eV": 1.0,
    "meV": 1e-3,
    "kcal/mol": 4184.0 / _PER_MOL,
    "kJ/mol": 1000.0 / _PER_MOL,
    "Hartree": Hartree,
    "Ry": Rydberg,
}
"""Units of energy, in eV."""

LENGTHS = {"A": 1.0, "Bohr": Bohr, "nm": 10.0}
"""Units of length, in Angstrom."""

_SPELLINGS = {
    "angstrom": "A",
    "ang": "A",
    "å": "A",
    "a0": "Bohr",
    "ha": "Hartree",
    "rydberg": "Ry",
    **{name.lower(): name for name in (*ENERGIES, *LENGTHS)},
}

_TELLING = ("eV", "kcal/mol", "kJ/mol")
"""Units that the size of an energy can tell apart: a factor of four and more lies between them,
and all are far from what pseudopotentials leave of an energy in a larger unit."""

# Of the energy over the Thomas-Fermi energy, -20.92 Z^(7/3) eV per atom. It is 0.65 for hydrogen,
# 0.75 from lithium to neon, 0.8 for sulphur, 0.95 for uranium with relativity.
_ALL_ELECTRONS = 0.6, 1.05
_THOMAS_FERMI_EV = 20.92


@dataclass(frozen=True)
class Units:
    """Units of a part, and who says so."""

    energy: str
    length: str
    force: str
    said_by: str

    @property
    def energy_in_ev(self) -> float:
        """One unit of energy in eV."""
        return ENERGIES[self.energy]

    @property
    def length_in_ang(self) -> float:
        """One unit of length in Angstrom."""
        return LENGTHS[self.length]

    @property
    def force_in_ev_per_ang(self) -> float:
        """One unit of force in eV/Angstrom."""
        energy, length = self.force.rsplit("/", 1)
        return ENERGIES[energy] / LENGTHS[length]


def unit(text: str, kind: str, *, where: str) -> str:
    """Return the name of a unit, whatever its spelling.

    Args:
        text: such as ``Ang``.
        kind: ``energy``, ``length`` or ``force`` (energy/length).
        where: file or option, for messages.

    Raises:
        InputError: it is none that is known.
    """
    plain = _SPELLINGS.get(text.strip().lower(), "")
    energy, _, length = (part.strip().lower() for part in text.rpartition("/"))
    energy, length = _SPELLINGS.get(energy, ""), _SPELLINGS.get(length, "")
    known = {"energy": plain in ENERGIES, "length": plain in LENGTHS}
    if known.get(kind):
        return plain
    if kind == "force" and energy in ENERGIES and length in LENGTHS:
        return f"{energy}/{length}"
    names = {
        "energy": ", ".join(ENERGIES),
        "length": ", ".join(LENGTHS),
        "force": "energy/length, such as eV/A or kcal/mol/A",
    }
    raise InputError(
        f"expected a unit of {kind} ({names[kind]}), got {text!r}",
        where=where,
        fix=f"give it as --{kind}-unit",
    )


def settle(part: Part, options: ImportOptions) -> Units:
    """Decide in which units a part is: what the user states, or else what the source states.

    Raises:
        InputError: nobody states the unit, source and user contradict each other, or the source's
            own statement does not fit the size of the energies.
    """
    stated = part.stated
    labelled = [frame for frame in part.frames if frame.energy is not None]
    looks = telling_unit(labelled)
    energy = _one(part, "energy", stated.energy, options.energy_unit)
    force = _one(part, "force", stated.force, options.force_unit)
    if energy is None:
        if labelled or (force is None and any(f.forces is not None for f in part.frames)):
            hint = f"; their size is that of energies in {looks}" if looks else ""
            raise InputError(
                f"expected a statement of the unit of energy, found none{hint}",
                where=part.source,
                fix=f"state it: --energy-unit {looks or 'UNIT'} (and --force-unit, if forces are "
                "not in it per Angstrom)",
            )
        energy = "eV"
    if looks not in (None, energy) and options.energy_unit is None:
        raise InputError(
            f"expected energies in {energy} ({stated.by}), got numbers of the size of energies "
            f"in {looks}: {labelled[0].energy:.6g} for {len(labelled[0])} atoms",
            where=part.source,
            fix=f"state the unit: --energy-unit {looks} or --energy-unit {energy}",
        )
    length = _one(part, "length", stated.length, options.length_unit) or "A"
    mine = [options.energy_unit, options.force_unit, options.length_unit]
    said_by = " and ".join(filter(None, [stated.by, "the command line" if any(mine) else ""]))
    return Units(energy, length, force or f"{energy}/{length}", said_by)


def telling_unit(frames: Sequence[Frame]) -> str | None:
    """Return the unit that the size of the energies betrays; None where it could be several."""
    frames = [frame for frame in frames if frame.energy is not None]
    if not frames:
        return None
    ratios = [
        -frame.energy / (_THOMAS_FERMI_EV * float(np.sum(frame.numbers ** (7.0 / 3.0))))
        for frame in frames[:: max(1, len(frames) // 100)]
    ]
    low, high = _ALL_ELECTRONS
    for name in _TELLING:
        if low <= float(np.median(ratios)) * ENERGIES[name] <= high:
            return name
    return None


def convert(frames: Sequence[Frame], units: Units) -> list[Frame]:
    """Return frames in eV and Angstrom."""
    energy, length, force = units.energy_in_ev, units.length_in_ang, units.force_in_ev_per_ang
    return [
        replace(
            frame,
            positions=frame.positions * length,
            cell=frame.cell * length,
            energy=None if frame.energy is None else frame.energy * energy,
            forces=None if frame.forces is None else frame.forces * force,
            stress=None if frame.stress is None else frame.stress * (energy / length**3),
        )
        for frame in frames
    ]


def _one(part: Part, name: str, stated: str | None, given: str | None) -> str | None:
    given = given and unit(given, name, where=f"--{name}-unit")
    stated = stated and unit(stated, name, where=str(part.source))
    if given and part.stated.in_file and stated not in (None, given):
        raise InputError(
            f"the file states {stated}, --{name}-unit {given}",
            where=part.source,
            fix="leave the option out, or correct it",
        )
    return given or stated
