# SPDX-License-Identifier: GPL-2.0-or-later
"""What LAMMPS says when a limit of :mod:`~egraff.lammps.guards` ends a run, as a value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.data import atomic_masses, atomic_numbers

from egraff.data.lammps.dump_file import DumpFile
from egraff.lammps.guards import Guards
from egraff.metadata import pair_name

STOPPED_FILE = "egraff_stopped.lammpstrj"
"""The configuration at which a run was stopped; ``pair_style egraff`` gives it this name."""

TEMPERATURE_FIX = "guard_temperature"
"""ID of the fix that looks at the temperature."""

_N_FASTEST = 3

_ATOM = r"atom (\d+) of type (\d+)"
_DISTANCE = re.compile(
    rf"expected distances of at least min_distance (\S+), got (\S+) at step (\d+) "
    rf"between {_ATOM} .*? and {_ATOM}"
)
_FORCE = re.compile(
    rf"expected forces of at most max_force (\S+), got (\S+) at step (\d+) on {_ATOM}"
)
_COINCIDE = re.compile(
    rf"expected atoms at different places, got .*? between {_ATOM} .*? and {_ATOM} .*?"
    r"at step (\d+)"
)
_NOT_FINITE = re.compile(rf"expected finite energies and forces, .*? at step (\d+).*?{_ATOM}")


@dataclass(frozen=True)
class GuardStop:
    """Why and where a run stopped itself.

    Attributes:
        guard: ``distance``, ``force``, ``temperature``, or ``finite``: numbers that are not.
        stage: ``equilibrate`` or ``production``.
        step: step of that stage.
        atoms: IDs of the atoms concerned, counted from 1 as in dumps.
        reason: what was found, and the limit, in words.
    """

    guard: str
    stage: str
    step: int
    atoms: tuple[int, ...]
    reason: str

    def __str__(self) -> str:
        return f"{self.guard} in step {self.step} of {self.stage}: {self.reason}"


def stop_of_error(
    lines: Sequence[str], *, stage: str, elements: Sequence[str], guards: Guards
) -> GuardStop | None:
    """Return what a message of ``pair_style egraff`` means, None if it is about something else.

    Args:
        lines: LAMMPS's error message.
        stage: the stage that ran.
        elements: element of each atom type.
        guards: the limits.
    """
    text = " ".join(lines)

    def atom(number: str, kind: str) -> str:
        return f"{elements[int(kind) - 1]} {number}"

    if found := _DISTANCE.search(text):
        limit, got, step, *ends = found.groups()
        pair = pair_name(*(elements[int(kind) - 1] for kind in ends[1::2]))
        reason = (
            f"{atom(*ends[:2])} and {atom(*ends[2:])} at {float(got):.3g} A, limit "
            f"{float(limit):.3g} A ({guards.origin_of(pair)})"
        )
        return GuardStop("distance", stage, int(step), (int(ends[0]), int(ends[2])), reason)
    if found := _FORCE.search(text):
        limit, got, step, *end = found.groups()
        reason = (
            f"{float(got):.4g} eV/A on {atom(*end)}, limit {float(limit):.4g} eV/A "
            f"({guards.origins['max_force']})"
        )
        return GuardStop("force", stage, int(step), (int(end[0]),), reason)
    if found := _COINCIDE.search(text):
        *ends, step = found.groups()
        reason = f"{atom(*ends[:2])} and {atom(*ends[2:])} in one place"
        return GuardStop("distance", stage, int(step), (int(ends[0]), int(ends[2])), reason)
    if found := _NOT_FINITE.search(text):
        step, *end = found.groups()
        reason = f"energies or forces that are not finite, first of {atom(*end)}"
        return GuardStop("finite", stage, int(step), (int(end[0]),), reason)
    return None


def stop_of_temperature(
    kelvin: float, step: int, *, stage: str, elements: Sequence[str], guards: Guards, frame: Path
) -> GuardStop:
    """Return what the fix :data:`TEMPERATURE_FIX` means.

    Args:
        kelvin: the temperature that it found.
        step: when.
        stage: the stage that ran.
        elements: element of each atom type.
        guards: the limits.
        frame: the configuration that was saved.
    """
    reason = (
        f"{kelvin:.4g} K, limit {guards.max_temperature:.4g} K "
        f"({guards.origins['max_temperature']})"
    )
    atoms: tuple[int, ...] = ()
    if frame.is_file():
        fastest = _fastest(frame, elements)
        atoms = tuple(fastest)
        reason += f"; the fastest: {', '.join(f'{name} {n}' for n, name in fastest.items())}"
    return GuardStop("temperature", stage, step, atoms, reason)


def _fastest(path: Path, elements: Sequence[str]) -> dict[int, str]:
    """Return the atoms with the largest kinetic energies, by ID."""
    frame = DumpFile(path).read(0)
    types = frame.numbers["type"].astype(int)
    masses = np.array([atomic_masses[atomic_numbers[element]] for element in elements])
    speeds = frame.stack(("vx", "vy", "vz"))
    if speeds is None:
        return {}
    order = np.argsort(-masses[types - 1] * (speeds**2).sum(axis=1))[:_N_FASTEST]
    return {int(frame.numbers["id"][k]): elements[types[k] - 1] for k in order}
