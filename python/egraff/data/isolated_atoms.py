# SPDX-License-Identifier: GPL-2.0-or-later
"""Isolated atoms among labelled frames: they are the reference energies E0, nothing to learn.

Every model of egraff gives an atom without neighbours exactly E0, so no training can bring it
closer to the label of such a frame. Files made for other programs often hold them, marked
``config_type=IsolatedAtom`` or not.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from egraff.data.distances import shortest_distance
from egraff.data.frames import Frame, refuse
from egraff.data.labels import options_for
from egraff.errors import InputError

UNBONDED = 8.0
"""In Angstrom. Atoms of no crystal of one atom per cell are so far apart, and boxes around single
atoms are seldom smaller: where no model says its cutoff, this divides the two."""

SAME_ENERGY = 1e-3
"""In eV; what the settings of one method leave open."""

_CLOSE = 5.5  # A; nearest neighbours in caesium, the widest metal, have 5.2
_MARK = re.compile(r"^isolatedatoms?$")


def is_marked(frame: Frame) -> bool:
    """Tell whether ``config_type`` says isolated atom, in any spelling."""
    mark = str(frame.info.get("config_type", ""))
    return bool(_MARK.match(re.sub(r"[^a-z]", "", mark.lower())))


def separate_isolated_atoms(
    frames: Sequence[Frame], *, cutoff: float = UNBONDED
) -> tuple[list[Frame], list[Frame]]:
    """Set isolated atoms apart: marked ones, and single atoms without a neighbour in the cutoff.

    Args:
        frames: frames as `egraff.data.frames.read_frames` gives them.
        cutoff: of the model, in Angstrom.

    Returns:
        The other frames and the isolated atoms, each in file order.

    Raises:
        InputError: a frame is marked but has several atoms, or images of its atom close by.
    """
    others, isolated = [], []
    for frame in frames:
        marked = is_marked(frame)
        if len(frame) != 1:
            if marked:
                refuse(
                    frame,
                    "config_type",
                    f"expected one atom in a frame marked as isolated atom, got {len(frame)}",
                    "correct the mark, or remove the frame",
                )
            others.append(frame)
            continue
        nearest = shortest_distance(frame) if frame.pbc.any() else float("inf")
        if marked and nearest < _CLOSE:
            refuse(
                frame,
                "config_type",
                f"marked as isolated atom, but its periodic image is {nearest:.2f} A away",
                "remove the mark, or label the atom without periodic boundaries",
            )
        (isolated if marked or nearest > cutoff else others).append(frame)
    return others, isolated


def isolated_energies(isolated: Sequence[Frame]) -> dict[str, float]:
    """Return the energy of the isolated atom of each element in eV.

    Args:
        isolated: single atoms, of one or several files; an element may come again with the same
            energy (to 1 meV).

    Raises:
        InputError: an energy is missing, or two frames of an element contradict each other.
    """
    first: dict[str, Frame] = {}
    for frame in isolated:
        symbol = frame.symbols[0]
        if frame.energy is None:
            choice = options_for("energy", frame.alternatives.get("energy", ()))
            refuse(
                frame,
                "energy",
                f"missing for this isolated atom of {symbol}",
                f"name the right key: {choice or '--energy-key NAME'}; or remove the frame",
            )
        earlier = first.setdefault(symbol, frame)
        if abs(earlier.energy - frame.energy) > SAME_ENERGY:
            raise InputError(
                f"expected one energy of an isolated atom of {symbol}, got {earlier.energy:.6g} eV "
                f"in {_place(earlier)} and {frame.energy:.6g} eV here",
                where=frame.source[0] or None,
                field=f"frame {frame.source[1]}, energy",
                fix="keep the one that is right (one method, the spin of the ground state); if "
                "these are crystals stretched beyond the cutoff, raise it or remove them",
            )
    return {symbol: float(frame.energy) for symbol, frame in first.items()}


def describe_isolated(isolated: Sequence[Frame]) -> str:
    """Name the elements and frames of isolated atoms, for example ``H (frame 0), C (frame 1)``."""
    numbers: dict[str, list[str]] = defaultdict(list)
    for frame in isolated:
        numbers[frame.symbols[0]].append(str(frame.source[1]))
    return ", ".join(
        f"{symbol} (frame{'s' if len(found) > 1 else ''} {', '.join(found)})"
        for symbol, found in numbers.items()
    )


def _place(frame: Frame) -> str:
    file, number = frame.source
    return f"frame {number} of {file}" if file else f"frame {number}"
