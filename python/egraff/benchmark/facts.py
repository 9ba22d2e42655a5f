# SPDX-License-Identifier: GPL-2.0-or-later
"""What the checks of a plan found, for its jobs and their cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from egraff.data import Frame


@dataclass(frozen=True)
class TestFacts:
    """What is known of a test.

    Attributes:
        frames: number of frames.
        atoms: of all frames together.
        largest: its largest frame.
        starts: numbers of the frames in ``starts_from`` at which simulations start.
        start: the first of them; None where nothing is simulated.
        r_max: range of g(r) in Angstrom that the protocol wants, or None.
        offset_open: whether its total energies have an offset that the training frames do not
            determine.
    """

    frames: int
    atoms: int
    largest: Frame
    starts: tuple[int, ...] = ()
    start: Frame | None = None
    r_max: float | None = None
    offset_open: bool = False


@dataclass(frozen=True)
class SetFacts:
    """What is known of a set.

    Attributes:
        train: number of training frames, those set aside for validation among them.
        example: its training frame of median size.
        tests: by name.
        remarks: what readers of the results should know.
        speed: the frame that is timed.
    """

    train: int
    example: Frame
    tests: dict[str, TestFacts]
    remarks: list[str]
    speed: Frame | None = None


@dataclass
class Facts:
    """What the checks found.

    Attributes:
        sets: by name.
        digests: SHA-256 of every file of the plan.
    """

    sets: dict[str, SetFacts] = field(default_factory=dict)
    digests: dict[Path, str] = field(default_factory=dict)
