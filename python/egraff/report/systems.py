# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs of one system: what belongs into one figure and can be compared."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from egraff.report.collect import Simulation
from egraff.report.parts import Drawing, Section
from egraff.report.style import Palette


@dataclass(frozen=True)
class System:
    """Runs that began from one structure, or are compared with one reference.

    Attributes:
        name: elements and number of atoms.
        simulations: in the order of the report.
    """

    name: str
    simulations: list[Simulation]


def systems(simulations: Iterable[Simulation]) -> list[System]:
    """The systems, in the order of their first run.

    Starting structures are told apart by their hash; those that share a reference are one system.
    """
    found: list[tuple[set[Hashable], list[Simulation]]] = []
    simulations = list(simulations)
    for one in simulations:
        keys = _keys(one)
        # a run may join systems that had nothing in common before it
        joined = [entry for entry in found if entry[0] & keys]
        found = [entry for entry in found if not entry[0] & keys]
        found.append((keys.union(*(known for known, _ in joined)), [one]))
        for _, members in joined:
            found[-1][1].extend(members)
    position = {id(one): index for index, one in enumerate(simulations)}
    groups = [sorted(members, key=lambda one: position[id(one)]) for _, members in found]
    groups.sort(key=lambda members: position[id(members[0])])
    return [System(_name(members[0]), members) for members in groups]


def _keys(one: Simulation) -> set[Hashable]:
    record = one.run.record
    elements = tuple(sorted(record.get("elements", ())))
    keys: set[Hashable] = {(record.get("structure_sha256"), elements, record.get("n_atoms"))}
    if one.reference_sha256 is not None:
        keys.add(one.reference_sha256)
    return keys


def _name(one: Simulation) -> str:
    elements = ", ".join(one.run.record.get("elements", ())) or "unknown elements"
    return f"{elements}; {one.run.record.get('n_atoms', '?')} atoms"


def draw_each(
    section: Section,
    simulations: Iterable[Simulation],
    name: str,
    caption: str,
    draw: Callable[[Sequence[Simulation], Palette], Figure],
) -> None:
    """Add a drawing for each system to a section; its caption begins with the system's name."""
    found = systems(simulations)
    for index, system in enumerate(found, start=1):
        section.drawings.append(
            Drawing(
                f"{name}-{index}",
                f"{system.name}: {caption[0].lower()}{caption[1:]}" if len(found) > 1 else caption,
                lambda palette, system=system: draw(system.simulations, palette),
            )
        )
