# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames of the same geometry: within one set, and in two that must not overlap."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.spatial import cKDTree

from egraff.data.frames import Frame
from egraff.errors import InputError

TOLERANCE = 1e-4
"""Largest difference in a coordinate, in Angstrom, between copies: files round to more digits."""
_PROJECTIONS = 8


def find_overlap(
    first: Sequence[Frame], second: Sequence[Frame], *, tolerance: float = TOLERANCE
) -> list[tuple[int, int]]:
    """Find frames of ``second`` whose geometry is also in ``first``.

    Two frames are the same when their atoms are the same in the same order, and no coordinate
    relative to the first atom differs by more than ``tolerance`` Angstrom. A shift of the whole
    structure and wrapping into the cell do not matter. Rotated or re-ordered copies are not found.

    Returns:
        Pairs (position in ``first``, position in ``second``), one for each frame of ``second``
        that has a copy.
    """
    groups: dict[bytes, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for side, frames in enumerate((first, second)):
        for position, frame in enumerate(frames):
            groups[frame.numbers.tobytes() + frame.pbc.tobytes()][side].append(position)
    pairs = []
    for ours, theirs in groups.values():
        if not ours or not theirs:
            continue
        tree = cKDTree(np.stack([_fingerprint(first[i]) for i in ours]))
        probes = np.stack([_fingerprint(second[j]) for j in theirs])
        # the largest of the differences counts, hence the maximum norm
        distance, found = tree.query(probes, p=np.inf, distance_upper_bound=tolerance)
        pairs += [
            (ours[i], j) for i, j, d in zip(found, theirs, distance, strict=True) if np.isfinite(d)
        ]
    return sorted(pairs, key=lambda pair: pair[1])


def find_repeats(frames: Sequence[Frame], *, tolerance: float = TOLERANCE) -> list[tuple[int, int]]:
    """Find frames whose geometry an earlier frame has already.

    Returns:
        Pairs (position of the first such frame, position of its copy), by the copy. What counts as
        the same is said at `find_overlap`.
    """
    groups: dict[bytes, list[int]] = defaultdict(list)
    for position, frame in enumerate(frames):
        groups[frame.numbers.tobytes() + frame.pbc.tobytes()].append(position)
    first_of: dict[int, int] = {}
    for group in groups.values():
        for i, j in _close_pairs([frames[position] for position in group], tolerance):
            first, copy = group[i], group[j]
            # a copy of a copy is one of the original, too
            if first in first_of or copy in first_of:
                continue
            if _same(frames[first], frames[copy], tolerance):
                first_of[copy] = first
    return sorted(((first, copy) for copy, first in first_of.items()), key=lambda pair: pair[1])


def _close_pairs(frames: Sequence[Frame], tolerance: float) -> Iterator[tuple[int, int]]:
    """Yield all pairs of frames of one kind that could be the same, and few others, in order.

    Compared are a few random projections of the fingerprints, which take less memory than all
    fingerprints of a large set at once.
    """
    if len(frames) < 2:
        return
    size = len(_fingerprint(frames[0]))
    directions = np.random.default_rng(0).uniform(-1.0, 1.0, size=(size, _PROJECTIONS))
    tree = cKDTree(np.stack([_fingerprint(frame) @ directions for frame in frames]))
    reach = tolerance * float(np.abs(directions).sum(axis=0).max())
    pairs = tree.query_pairs(reach, p=np.inf, output_type="ndarray")
    for i, j in pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]:
        yield int(i), int(j)


def _same(first: Frame, second: Frame, tolerance: float) -> bool:
    difference = np.abs(_fingerprint(first) - _fingerprint(second))
    return bool(difference.max(initial=0.0) <= tolerance)


def _fingerprint(frame: Frame) -> np.ndarray:
    """Return the geometry as one vector in Angstrom, the same for shifted and wrapped copies."""
    relative = frame.positions - frame.positions[:1]
    if not frame.pbc.all():
        return np.concatenate([frame.cell[frame.pbc].ravel(), relative.ravel()])
    # a point on a circle per lattice direction: continuous where wrapped coordinates jump
    angle = 2.0 * np.pi * relative @ np.linalg.inv(frame.cell)
    radius = np.linalg.norm(frame.cell, axis=1) / (2.0 * np.pi)
    circles = [np.cos(angle) * radius, np.sin(angle) * radius]
    return np.concatenate([frame.cell.ravel(), *(circle.ravel() for circle in circles)])


def check_overlap(
    train: Sequence[Frame],
    other: Sequence[Frame],
    *,
    name: str = "validation",
    allow: bool = False,
) -> list[tuple[int, int]]:
    """Refuse a validation or test set that repeats training frames.

    Args:
        train: the training frames.
        other: the frames that must not be among them.
        name: what ``other`` is, for the message.
        allow: return the pairs instead of refusing.

    Returns:
        Pairs as `find_overlap` gives them; empty unless ``allow``.

    Raises:
        InputError: there are common frames.
    """
    pairs = find_overlap(train, other)
    if pairs and not allow:
        ours, theirs = train[pairs[0][0]].source, other[pairs[0][1]].source
        raise InputError(
            f"{len(pairs)} of {len(other)} {name} frames are also training frames; the first is "
            f"frame {ours[1]} of {ours[0] or 'the training set'}",
            where=theirs[0] or None,
            field=f"frame {theirs[1]}",
            fix="remove them, or allow the overlap explicitly: errors would look too small",
        )
    return pairs
