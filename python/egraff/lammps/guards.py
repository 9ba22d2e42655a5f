# SPDX-License-Identifier: GPL-2.0-or-later
"""Limits at which a run stops itself: what no sound run does, and what its model has never seen.

A trajectory that has left the training data goes on without an error, and a thermostat keeps its
temperature right. Where limits are not given they follow from how far the training data reach,
which exported models tell (:data:`egraff.metadata.VISITED`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations_with_replacement
from os import PathLike
from typing import Any

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from scipy.special import gammainccinv

from egraff.errors import InputError
from egraff.lammps.inputs_ensemble import System
from egraff.lammps.run_settings import RunSettings
from egraff.lammps.structure import LammpsStructure
from egraff.metadata import VISITED, pair_name
from egraff.neighbours import find_edges

CLOSER = 0.7
"""Smallest distance allowed, over the shortest one of the training data.

Steep repulsion: a C-H bond at this fraction of its length costs several eV.
"""

OVERLAP = 0.6
"""Smallest distance allowed, over the sum of covalent radii, of pairs that are not in the data.

The shortest bonds that there are (N2, H2) are longer than 0.75 of it.
"""

STRONGER = 5.0
"""Largest force allowed, over the largest one of the training data."""

LEAST_FORCE_EV_PER_ANG = 20.0
"""Limits on forces are not set below: atoms of a hot solid meet them, whatever was trained on."""

UNKNOWN_FORCE_EV_PER_ANG = 100.0
"""Largest force allowed where the training data's are not known."""

HOTTER = 3.0
"""Largest temperature allowed, over the one that is set."""

_RARE = 1e-12
"""Of few atoms the temperature fluctuates more: probability that it exceeds the limit by chance."""


@dataclass(frozen=True)
class Guards:
    """The limits of a run; None: there is no such limit.

    Attributes:
        min_distance: smallest distance in Angstrom, by pair of elements.
        max_force: largest force on an atom in eV/A.
        max_temperature: largest temperature in K.
        origins: by setting, where its value comes from, in words; also by pair.
        remarks: what is not known of the model, for the user.
    """

    min_distance: dict[str, float] | None = None
    max_force: float | None = None
    max_temperature: float | None = None
    origins: dict[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def origin_of(self, pair: str) -> str:
        """Say where the smallest distance of a pair comes from."""
        return self.origins.get(pair, self.origins.get("min_distance", ""))

    def lines(self) -> list[str]:
        """Say what the limits are."""
        values = {}
        limits = sorted((limit, pair) for pair, limit in (self.min_distance or {}).items() if limit)
        if limits:
            (low, low_pair), (high, high_pair) = limits[0], limits[-1]
            ends = f"{low:.3g} A"
            if low < high:
                ends += f" ({low_pair}) to {high:.3g} A ({high_pair})"
            values["min_distance"] = f"distances below {ends}"
        if self.max_force is not None:
            values["max_force"] = f"forces above {self.max_force:.4g} eV/A"
        if self.max_temperature is not None:
            values["max_temperature"] = f"temperatures above {self.max_temperature:.4g} K"
        return [f"{text}: {self.origins[name]}" for name, text in values.items()]


def choose_guards(settings: RunSettings, system: System, metadata: Mapping[str, Any]) -> Guards:
    """Return the limits of a run.

    Args:
        settings: the settings of the run.
        system: what the structure is like.
        metadata: what the model says about itself.

    Raises:
        InputError: ``min_distance`` names an element that the model does not know.
    """
    seen = (metadata.get("training_data") or {}).get(VISITED)
    distances, origins = _distances(settings, system, metadata["elements"], seen)
    force, origins["max_force"] = _force(settings, seen)
    temperature, origins["max_temperature"] = _temperature(settings, system)
    remarks = []
    automatic = [name for name in ("min_distance", "max_force") if _automatic(settings, name)]
    if seen is None and automatic:
        general = {
            "min_distance": f"distances of {OVERLAP:g} x the sum of covalent radii",
            "max_force": f"forces of {UNKNOWN_FORCE_EV_PER_ANG:g} eV/A",
        }
        remarks.append(
            "the model's file does not tell distances and forces of its training data; the run is "
            f"guarded by general limits, {' and '.join(general[name] for name in automatic)}"
        )
    return Guards(distances, force, temperature, origins, tuple(remarks))


def check_start(
    guards: Guards, structure: LammpsStructure, *, where: str | PathLike[str] | None = None
) -> None:
    """Refuse a structure that begins beyond the limits on distances.

    Args:
        guards: the limits.
        structure: where the run would start.
        where: the structure file, for the message.

    Raises:
        InputError: two atoms are closer than the limit of their pair.
    """
    by_pair = guards.min_distance or {}
    elements = structure.elements
    limits = np.array(
        [[by_pair.get(pair_name(one, other), 0.0) for one in elements] for other in elements]
    )
    if not limits.any():
        return
    species = structure.types - 1
    box = structure.box
    edges = find_edges(structure.positions, box.matrix, box.pbc, r_max=limits.max())
    distances = np.linalg.norm(edges.vector, axis=1)
    smallest = limits[tuple(species[edges.index])]
    if (distances < smallest).any():
        worst = int(np.argmin(distances / np.where(smallest > 0, smallest, np.inf)))
        i, j = sorted(edges.index[:, worst].tolist())
        pair = pair_name(*(elements[species[k]] for k in (i, j)))
        raise InputError(
            f"expected {pair} distances of at least {smallest[worst]:.4g} A "
            f"({guards.origin_of(pair)}), got atoms {i} and {j} at "
            f"{distances[worst]:.4g} A",
            where=where,
            field="--min-distance",
            fix="start from another structure; or, if the model is right there, give another "
            "--min-distance or --no-guard-distance",
        )


def _automatic(settings: RunSettings, name: str) -> bool:
    """Tell whether a limit, or a part of it, is left to us."""
    value = getattr(settings, name)
    return value == "auto" or isinstance(value, dict)


def _distances(
    settings: RunSettings,
    system: System,
    known: list[str],
    seen: Mapping[str, Any] | None,
) -> tuple[dict[str, float] | None, dict[str, str]]:
    """Return the smallest distance of every pair, and where they come from."""
    given = settings.min_distance
    if given is None:
        return None, {"min_distance": "turned off"}
    pairs = [pair_name(*pair) for pair in combinations_with_replacement(system.elements, 2)]
    if isinstance(given, float):
        return dict.fromkeys(pairs, given), {"min_distance": "given"}
    by_hand = {} if given == "auto" else given
    unknown = sorted({one for pair in by_hand for one in pair.split("-")} - set(known))
    if unknown:
        raise InputError(
            f"expected elements that the model knows ({', '.join(known)}), got "
            f"{', '.join(unknown)}",
            field="--min-distance",
            fix="correct the element",
        )
    found, origins = {}, {}
    shortest = (seen or {}).get("shortest_distances_ang", {})
    general = f"{OVERLAP:g} x the sum of covalent radii"
    for pair in pairs:
        if pair in by_hand:
            found[pair], origins[pair] = by_hand[pair], "given"
        elif pair in shortest:
            found[pair] = CLOSER * shortest[pair]
            origins[pair] = f"{CLOSER:g} x the {shortest[pair]:.3g} A of the training data"
        else:
            radii = sum(covalent_radii[atomic_numbers[element]] for element in pair.split("-"))
            found[pair], origins[pair] = OVERLAP * float(radii), general
    used = ["given"] if by_hand else []
    if shortest:
        used.append(f"{CLOSER:g} x the shortest of the training data")
    if general in origins.values():
        used.append(f"{general} of pairs that are not in it" if shortest else general)
    return found, {"min_distance": ", or ".join(used), **origins}


def _force(settings: RunSettings, seen: Mapping[str, Any] | None) -> tuple[float | None, str]:
    """Return the largest force in eV/A, and where it comes from."""
    if settings.max_force is None:
        return None, "turned off"
    if settings.max_force != "auto":
        return settings.max_force, "given"
    if seen is None:
        return UNKNOWN_FORCE_EV_PER_ANG, "a general limit"
    limit = STRONGER * seen["largest_force_ev_per_ang"]
    if limit < LEAST_FORCE_EV_PER_ANG:
        return LEAST_FORCE_EV_PER_ANG, "more than any atom of a hot solid feels"
    return limit, f"{STRONGER:g} x the largest of the training data"


def _temperature(settings: RunSettings, system: System) -> tuple[float | None, str]:
    """Return the largest temperature in K, and where it comes from."""
    if settings.max_temperature is None:
        return None, "turned off"
    if settings.max_temperature != "auto":
        return settings.max_temperature, "given"
    if not settings.sets_temperature:
        return None, "no temperature is set"
    dof = max(3 * system.n_atoms - system.rigid_dof, 1)
    by_chance = 2.0 * float(gammainccinv(dof / 2.0, _RARE)) / dof  # chi-squared over its mean
    if by_chance > HOTTER:
        limit = by_chance * settings.temperature
        return limit, f"{by_chance:.3g} x the one that is set, as few atoms fluctuate"
    return HOTTER * settings.temperature, f"{HOTTER:g} x the one that is set"
