# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames of a plan, read as its jobs will read them; what is wrong is told at its line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from egraff.benchmark.entries import FramesEntry
from egraff.benchmark.facts import Facts
from egraff.benchmark.plan import Place, PlanFile
from egraff.data import (
    Frame,
    LabelKeys,
    find_overlap,
    read_frames,
    separate_isolated_atoms,
    validate_frames,
)
from egraff.data.join import join_frames
from egraff.errors import EgraffError, InputError
from egraff.files import sha256


class told_at:
    """Turn errors inside the block into refusals of an entry of the plan."""

    def __init__(self, file: PlanFile, place: Place) -> None:
        self.file, self.place = file, place

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, InputError):
            inside = ": ".join(part for part in (error.where, error.field) if part)
            problem = f"{inside}: {error.problem}" if inside else error.problem
            self.file.refuse(self.place, problem, fix=error.fix or "correct it")
        if isinstance(error, EgraffError):
            self.file.refuse(self.place, str(error), fix="correct it")


def checked_file(file: PlanFile, facts: Facts, path: Path, place: Place) -> Path:
    """Return where a file of the plan is; its digest becomes one of the facts.

    Raises:
        InputError: there is none.
    """
    found = file.data(path)
    if not found.is_file():
        root = file.data(Path("."))
        file.refuse(
            place, f"expected a file {path} in {root}, found none", fix="correct it, or data_root"
        )
    if found not in facts.digests:
        facts.digests[found] = sha256(found)
    return found


def read_test(
    file: PlanFile,
    facts: Facts,
    path: Path,
    keys: LabelKeys,
    place: Place,
    *,
    labelled: bool = True,
) -> list[Frame]:
    """Return frames to test with or to start from.

    Args:
        file: the plan.
        facts: where the digest of the file goes.
        path: the file.
        keys: names, units and signs of its labels.
        place: its entry in the plan.
        labelled: whether energies and forces are needed.

    Raises:
        InputError: the file is missing or unusable.
    """
    found = checked_file(file, facts, path, place)
    with told_at(file, place):
        frames, _ = separate_isolated_atoms(read_frames(found, keys=keys))
        if not frames:
            raise InputError("expected structures, got isolated atoms only", where=path)
        if labelled:
            validate_frames(frames, require=("energy", "forces"))
    return frames


def read_training(
    file: PlanFile, facts: Facts, entry: FramesEntry, keys: LabelKeys, place: Place
) -> list[Frame]:
    """Return the frames of an entry, put together as its job will.

    Raises:
        InputError: a file is missing or unusable.
    """
    files = [checked_file(file, facts, path, place) for path in entry.files]
    without = [checked_file(file, facts, path, place) for path in entry.without]
    with told_at(file, place):
        frames = join_frames(files, frames_per_file=entry.frames, without=without, keys=keys)
        frames, _ = separate_isolated_atoms(frames)
        if not frames:
            raise InputError("expected structures to learn from, got isolated atoms only")
        validate_frames(frames)
    return frames


def refuse_overlap(
    file: PlanFile,
    train: Sequence[Frame],
    frames: Sequence[Frame],
    place: Place,
    *,
    fix: str = "leave them out of the training with `train: {files: [...], without: [...]}`",
) -> None:
    """Refuse frames that are also training frames, by geometry.

    Raises:
        InputError: some are.
    """
    pairs = find_overlap(train, frames)
    if pairs:
        ours, theirs = train[pairs[0][0]].source, frames[pairs[0][1]].source
        file.refuse(
            place,
            f"{len(pairs)} of {len(frames)} frames are also training frames; the first is frame "
            f"{theirs[1]}, which is frame {ours[1]} of {ours[0]}",
            fix=fix,
        )


def refuse_unknown_elements(
    file: PlanFile, elements: set[str], frames: Sequence[Frame], place: Place
) -> None:
    """Refuse frames with elements that are not learnt.

    Raises:
        InputError: there are some.
    """
    unknown = {symbol for frame in frames for symbol in set(frame.symbols)} - elements
    if unknown:
        file.refuse(
            place,
            f"expected elements of the training frames ({', '.join(sorted(elements))}), got also "
            f"{', '.join(sorted(unknown))}, for which there is no E0 and nothing learnt",
            fix="add training frames that hold them, or take the test out",
        )
