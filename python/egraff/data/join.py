# SPDX-License-Identifier: GPL-2.0-or-later
"""One file of frames from several, thinned out, without those that another file holds."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from egraff.data.frames import Frame, read_frames, read_images
from egraff.data.isolated_atoms import separate_isolated_atoms
from egraff.data.labels import LabelKeys
from egraff.data.overlap import find_overlap
from egraff.errors import InputError
from egraff.files import atomic_path


def join_frames(
    files: Sequence[str | PathLike[str]],
    *,
    frames_per_file: int | None = None,
    without: Sequence[str | PathLike[str]] = (),
    keys: LabelKeys | None = None,
) -> list[Frame]:
    """Choose frames of several files; isolated atoms, which give E0, are all kept.

    Args:
        files: in the order of the result.
        frames_per_file: at most so many of each file, evenly spaced; None for all.
        without: files whose geometries (see `egraff.data.overlap.find_overlap`) are left out before
            frames are counted.
        keys: names, unit and sign of the labels.

    Returns:
        The frames; ``source`` says where each came from.

    Raises:
        InputError: a file cannot be read, or nothing of it is left.
    """
    left_out = [frame for path in without for frame in read_frames(path, keys=keys)]
    chosen: list[Frame] = []
    for path in files:
        frames, isolated = separate_isolated_atoms(read_frames(path, keys=keys))
        repeated = {there for _, there in find_overlap(left_out, frames)}
        frames = [frame for number, frame in enumerate(frames) if number not in repeated]
        if not frames and repeated:
            raise InputError(
                f"expected frames that are not in {', '.join(map(str, without))}, got none",
                where=path,
                fix="leave the file out",
            )
        if frames_per_file is not None and frames_per_file < len(frames):
            # the first and the last are among them
            spread = np.linspace(0, len(frames) - 1, frames_per_file).round().astype(int)
            frames = [frames[number] for number in spread]
        chosen += [*isolated, *frames]
    return chosen


def write_joined(
    target: str | PathLike[str],
    files: Sequence[str | PathLike[str]],
    *,
    frames_per_file: int | None = None,
    without: Sequence[str | PathLike[str]] = (),
    keys: LabelKeys | None = None,
) -> int:
    """Write the frames that :func:`join_frames` chooses as extended XYZ; return their number.

    Everything that the files say about a frame is kept, under its own names.

    Raises:
        InputError: see :func:`join_frames`.
        OutputError: ``target`` cannot be written.
    """
    import ase.io

    frames = join_frames(files, frames_per_file=frames_per_file, without=without, keys=keys)
    images = {str(path): read_images(path) for path in files}
    with atomic_path(Path(target)) as partial:
        chosen = [images[frame.source[0]][frame.source[1]] for frame in frames]
        ase.io.write(partial, chosen, format="extxyz")
    return len(frames)
