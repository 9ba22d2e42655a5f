# SPDX-License-Identifier: GPL-2.0-or-later
"""Split frames into training, validation and test, and prove that they do not overlap."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.spatial import cKDTree

from egraff.data.frames import Frame
from egraff.errors import InputError
from egraff.files import sha256, write_json


def split_frames(
    frames: Sequence[Frame],
    sizes: Mapping[str, float | int],
    *,
    seed: int = 0,
    method: Literal["random", "blocks"] = "random",
) -> dict[str, list[Frame]]:
    """Decide which frame goes where.

    Random splitting of a finely sampled trajectory puts near-copies of training frames into the
    test set; ``blocks`` cuts it into consecutive pieces instead.

    Args:
        frames: all frames.
        sizes: for each split a number of frames (int) or a fraction of all (float up to 1).
            Fractions that add up to 1 use every frame.
        seed: seed of the random choice.
        method: ``random``, or ``blocks`` in the order given.

    Returns:
        For each split its frames, in the order given. No frame is in two.

    Raises:
        InputError: a size is not positive, gives no frame, or all add up to more than there is.
    """
    counts = _counts(len(frames), sizes)
    if method == "random":
        order = np.random.default_rng(seed).permutation(len(frames))
    elif method == "blocks":
        order = np.arange(len(frames))
    else:
        raise InputError(
            f"expected random or blocks, got {method!r}", where="method", fix="choose one of them"
        )
    splits, start = {}, 0
    for name, count in counts.items():
        splits[name] = [frames[i] for i in sorted(order[start : start + count])]
        start += count
    return splits


def _counts(n_frames: int, sizes: Mapping[str, float | int]) -> dict[str, int]:
    counts = {}
    fractions = 0.0
    taken_before = 0
    for name, size in sizes.items():
        if isinstance(size, float) and 0.0 < size <= 1.0:
            # rounding the running sum, not each part, so that fractions of 1 use every frame
            fractions += size
            up_to = round(fractions * n_frames)
            counts[name] = up_to - taken_before
            taken_before = up_to
        elif isinstance(size, int) and size > 0:
            counts[name] = size
        else:
            raise InputError(
                f"expected a number of frames or a fraction up to 1, got {size!r}",
                where=f"size of {name}",
                fix="give, for example, 100 or 0.1",
            )
        if counts[name] == 0:
            raise InputError(
                f"{size!r} of {n_frames} frames is none",
                where=f"size of {name}",
                fix="give a larger fraction",
            )
    if sum(counts.values()) > n_frames:
        asked = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise InputError(
            f"asked for {sum(counts.values())} frames ({asked}), there are {n_frames}",
            where="split sizes",
            fix="make them smaller",
        )
    return counts


def save_splits(
    path: str | PathLike[str],
    splits: Mapping[str, Sequence[Frame]],
    *,
    seed: int | None = None,
    method: str = "random",
) -> None:
    """Write which frames of their file went where, as JSON, with the SHA-256 of that file.

    Args:
        path: file to write.
        splits: result of `split_frames`.
        seed: seed used.
        method: method used.

    Raises:
        InputError: the frames come from several files, or from none.
    """
    sources = sorted({frame.source[0] for frames in splits.values() for frame in frames})
    if len(sources) != 1 or not sources[0]:
        raise InputError(
            f"a split file is about the frames of one file, these are from {sources}",
            where=path,
            fix="split each file on its own",
        )
    content = {
        "source": Path(sources[0]).name,
        "source_sha256": sha256(sources[0]),
        "method": method,
        "seed": seed,
        "splits": {name: [frame.source[1] for frame in frames] for name, frames in splits.items()},
    }
    write_json(path, content)


def load_splits(path: str | PathLike[str], source: str | PathLike[str]) -> dict[str, list[int]]:
    """Read what `save_splits` wrote, and check that ``source`` is the file it was made for.

    Returns:
        For each split the frame numbers in ``source``.

    Raises:
        InputError: ``path`` is not a split file, or ``source`` has another content.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        splits = {name: [int(i) for i in frames] for name, frames in content["splits"].items()}
        expected = content["source_sha256"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"not a split file ({type(error).__name__}: {error})",
            where=path,
            fix="write one with egraff data split",
        ) from error
    found = sha256(source)
    if found != expected:
        raise InputError(
            f"made for other content of {Path(source).name}: expected SHA-256 "
            f"{expected[:12]}..., got {found[:12]}...",
            where=path,
            field="source_sha256",
            fix="use the original file, or split again",
        )
    return splits


def find_overlap(
    first: Sequence[Frame], second: Sequence[Frame], *, tolerance: float = 1e-4
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
