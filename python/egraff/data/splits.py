# SPDX-License-Identifier: GPL-2.0-or-later
"""Split frames into training, validation and test, and record which frame went where."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np

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
                f"expected at least one frame, got none: {size!r} of {n_frames}",
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
