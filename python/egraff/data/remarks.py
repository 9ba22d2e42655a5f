# SPDX-License-Identifier: GPL-2.0-or-later
"""What is odd about labelled frames, though it may be right: sentences for the user to read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from ase.data import covalent_radii

from egraff.data.frames import Frame
from egraff.data.labels import options_for
from egraff.data.overlap import find_repeats
from egraff.units import EV_PER_ANG3_IN_GPA

_STRETCHED = 1.55  # nearest neighbours over the sum of covalent radii; a length in Bohr is 1.89
_NOBLE_GASES = (2, 10, 18, 36, 54, 86)
_FAR = 12.0  # A; farther from all others than any usual cutoff reaches
_NET_FORCE = 0.01  # eV/A per atom
_FEW_FRAMES = 10  # in fewer, an element that occurs in one frame is nothing strange
_SAME_ENERGY = 1e-4  # eV per atom; copies of one calculation agree to what files round to


def remarks_on(
    frames: Sequence[Frame], neighbours: Sequence[tuple[np.ndarray, np.ndarray]]
) -> list[str]:
    """Return remarks on valid frames; empty when there are none.

    Args:
        frames: frames of one file.
        neighbours: for each frame, distance and index of each atom's nearest neighbour, as
            `egraff.data.distances.nearest_neighbours` gives them.
    """
    file = frames[0].source[0] or "frames"
    found = (
        *_stretched(frames, neighbours),
        *_lost_atoms(frames, neighbours),
        *_forces(frames),
        *_stray_elements(frames),
        *_repeats(frames),
        *_partly_labelled(frames),
        *_stress(frames),
        *_other_keys(frames),
    )
    return [f"{file}: {remark}" for remark in found]


def _numbers(frames: Sequence[Frame], *, most: int = 3) -> str:
    """Name frames by their numbers in the file: ``frame 3`` or ``frames 3, 4, 9, ...``."""
    shown = ", ".join(str(frame.source[1]) for frame in frames[:most])
    more = ", ..." if len(frames) > most else ""
    return f"frame{'s' if len(frames) > 1 else ''} {shown}{more}"


def _stretched(
    frames: Sequence[Frame], neighbours: Sequence[tuple[np.ndarray, np.ndarray]]
) -> Iterator[str]:
    stretch = []
    for frame, (distance, neighbour) in zip(frames, neighbours, strict=True):
        bonded = ~np.isin(frame.numbers, _NOBLE_GASES) & np.isfinite(distance)
        if bonded.any():
            radii = covalent_radii[frame.numbers] + covalent_radii[frame.numbers[neighbour]]
            stretch.append((distance[bonded] / radii[bonded]).min())
    if stretch and np.median(stretch) > _STRETCHED:
        yield (
            f"nearest neighbours are {np.median(stretch):.2f} times the sum of their covalent "
            "radii apart; are the positions in Bohr?"
        )


def _lost_atoms(
    frames: Sequence[Frame], neighbours: Sequence[tuple[np.ndarray, np.ndarray]]
) -> Iterator[str]:
    lost = [
        (frame, int(distance.argmax()), float(distance.max()))
        for frame, (distance, _) in zip(frames, neighbours, strict=True)
        if len(frame) > 1 and distance.max() > _FAR
    ]
    if lost:
        frame, atom, distance = lost[0]
        yield (
            f"atoms far from all others in {_numbers([entry[0] for entry in lost])} (frame "
            f"{frame.source[1]}: atom {atom}, {distance:.4g} A from its nearest neighbour); "
            "is a number wrong?"
        )


def _forces(frames: Sequence[Frame]) -> Iterator[str]:
    labelled = [frame for frame in frames if frame.forces is not None and len(frame) > 1]
    net = [float(np.linalg.norm(frame.forces.sum(axis=0))) / len(frame) for frame in labelled]
    if net and max(net) > _NET_FORCE:
        yield (
            f"forces do not sum to zero (up to {max(net):.3g} eV/A per atom), which no energy of "
            "the atoms alone can give; were atoms held fixed, or an external field used?"
        )
    still = [frame for frame in labelled if not frame.forces.any()]
    if still:
        yield (
            f"{len(still)} frame(s) have forces of exactly zero ({_numbers(still)}); are they "
            "labelled at all?"
        )


def _stray_elements(frames: Sequence[Frame]) -> Iterator[str]:
    if len(frames) < _FEW_FRAMES:
        return
    where: dict[str, list[Frame]] = defaultdict(list)
    for frame in frames:
        for symbol in set(frame.symbols):
            where[symbol].append(frame)
    for symbol, found in sorted(where.items()):
        if len(found) == 1:
            yield (
                f"{symbol} occurs in one of the {len(frames)} frames only ({_numbers(found)}); is "
                "it a slip of the pen?"
            )


def _repeats(frames: Sequence[Frame]) -> Iterator[str]:
    repeats = find_repeats(frames)
    if not repeats:
        return
    first, copy = (frames[k] for k in repeats[0])
    copies = [frames[k] for _, k in repeats]
    yield (
        f"{len(repeats)} of {len(frames)} frames repeat an earlier one ({_numbers(copies)}; frame "
        f"{copy.source[1]} is frame {first.source[1]} again)"
    )
    for i, j in repeats:
        one, other = frames[i].energy, frames[j].energy
        if one is not None and other is not None:
            difference = abs(one - other) / len(frames[i])
            if difference > _SAME_ENERGY:
                yield (
                    f"frames {frames[i].source[1]} and {frames[j].source[1]} are the same "
                    f"structure with other energies ({one:.6g} and {other:.6g} eV): one of the "
                    "two labels cannot be learnt"
                )
                return


def _partly_labelled(frames: Sequence[Frame]) -> Iterator[str]:
    for name in ("energy", "forces", "stress"):
        able = [frame for frame in frames if name != "stress" or frame.pbc.all()]
        without = [frame for frame in able if getattr(frame, name) is None]
        if without and len(without) < len(able):
            yield (
                f"{len(without)} of {len(able)} frames have no {name} ({_numbers(without)}"
                + (
                    f"; they have {', '.join(others)}"
                    if (others := without[0].alternatives.get(name))
                    else ""
                )
                + ")"
            )


def _stress(frames: Sequence[Frame]) -> Iterator[str]:
    unused = [frame for frame in frames if frame.stress is not None and not frame.pbc.all()]
    if unused:
        yield (
            f"the stress of {len(unused)} frames ({_numbers(unused)}) is not used: it needs a "
            "volume, and they are not periodic in all three directions"
        )
    virial = [frame for frame in frames if frame.stress_of_virial]
    if virial:
        largest = max(float(np.abs(frame.stress).max()) for frame in virial)
        yield (
            f"the stress of {len(virial)} frames is -{virial[0].stress_from}/volume (eV; up to "
            f"{largest * EV_PER_ANG3_IN_GPA:.3g} GPa)"
        )


def _other_keys(frames: Sequence[Frame]) -> Iterator[str]:
    for name, key in (("energy", "energy_key"), ("forces", "forces_key")):
        chosen = [frame for frame in frames if getattr(frame, name) is not None]
        others = sorted({other for frame in chosen for other in frame.alternatives.get(name, ())})
        if others:
            yield (
                f"{name} is read from {getattr(chosen[0].keys, key)}; there are other values in "
                f"{', '.join(others)} ({options_for(name, others)})"
            )
    missing = [frame for frame in frames if frame.stress is None and frame.pbc.all()]
    if len(missing) == len(frames):
        others = [
            option
            for name in ("stress", "virial")
            if (
                option := options_for(
                    name, sorted({key for f in frames for key in f.alternatives.get(name, ())})
                )
            )
        ]
        if others:
            yield f"no stress is read; it may be {' or '.join(others)}"
