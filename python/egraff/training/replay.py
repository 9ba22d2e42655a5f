# SPDX-License-Identifier: GPL-2.0-or-later
"""Data that a model is not to forget, beside those that it is to learn: sets, batches, weights.

    L = L(batch of the new data) + sum over replayed sets of weight x L(batch of the set)

Each step takes as many frames of every replayed set as of the new data, so that a set's size does
not matter, only its weight. An epoch is a pass over the new data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from egraff.data import Frame, check_overlap, split_frames
from egraff.errors import InputError
from egraff.graph import Graph, collate
from egraff.training.config import TrainConfig
from egraff.training.dataset import ShuffledBatches, Splits, read_structures


@dataclass(frozen=True)
class ReplaySet:
    """Frames of one file.

    Attributes:
        path: the file.
        weight: of its loss; zero for a set that is only watched.
        train: frames to train on.
        val: frames whose errors are shown.
    """

    path: Path
    weight: float
    train: list[Frame]
    val: list[Frame]


def read_replay(config: TrainConfig, splits: Splits) -> tuple[list[ReplaySet], list[str]]:
    """Read the replayed sets; return them, and remarks.

    Raises:
        InputError: unusable frames, an element that the model does not know, or frames that are
            validated on elsewhere.
    """
    found, remarks = [], []
    for setting in config.replay:
        frames, isolated, notes = read_structures(setting.data, config, splits.elements)
        remarks += notes
        if isolated:
            remarks.append(f"isolated atoms in replayed data are left out: {setting.data.name}")
        if len(frames) < 2:
            raise InputError(
                f"expected at least 2 frames, one of them to validate on, got {len(frames)}",
                where=setting.data,
                field="replay",
                fix="give more frames",
            )
        share = config.val_fraction
        parts = split_frames(frames, {"train": 1.0 - share, "val": share}, seed=config.seed)
        if setting.weight > 0:
            check_overlap(parts["train"], splits.val, allow=config.allow_overlap)
        check_overlap(splits.train, parts["val"], allow=config.allow_overlap)
        found.append(ReplaySet(setting.data, setting.weight, parts["train"], parts["val"]))
    return found, remarks


class MixedBatches(ShuffledBatches):
    """Batches of ``(set, frame)`` numbers; set 0 is the new data, the others are replayed.

    A replayed set is gone through in one random order after another, wherever epochs end.

    Args:
        sizes: number of frames of each set.
        batch_size: frames per batch and set.
        seed: seed of the orders.
    """

    def __init__(self, sizes: Sequence[int], *, batch_size: int, seed: int) -> None:
        super().__init__(sizes[0], batch_size=batch_size, seed=seed)
        self.sizes = list(sizes)
        self._orders: dict[int, tuple[int, np.ndarray]] = {}

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        start = self.epoch * len(self) * self.batch_size
        for number, batch in enumerate(super().__iter__()):
            first = start + number * self.batch_size
            yield [(0, frame) for frame in batch] + [
                (which, self._frame(which, place))
                for which in range(1, len(self.sizes))
                for place in range(first, first + self.batch_size)
            ]

    def _frame(self, which: int, place: int) -> int:
        passes, within = divmod(place, self.sizes[which])
        if self._orders.get(which, (-1,))[0] != passes:
            generator = np.random.default_rng([self.seed, which, passes])
            self._orders[which] = (passes, generator.permutation(self.sizes[which]))
        return int(self._orders[which][1][within])


class GraphSets:
    """The graphs of several sets, by ``(set, frame)``; what a loader of batches reads."""

    def __init__(self, sets: Sequence[Sequence[Graph]]) -> None:
        self.sets = sets

    def __len__(self) -> int:
        return sum(len(graphs) for graphs in self.sets)

    def __getitem__(self, key: tuple[int, int]) -> tuple[int, Graph]:
        which, frame = key
        return which, self.sets[which][frame]


def collate_sets(items: Sequence[tuple[int, Graph]]) -> list[tuple[int, Graph]]:
    """Put the graphs of each set side by side: one ``(set, graph)`` for each that occurs."""
    by_set: dict[int, list[Graph]] = {}
    for which, graph in items:
        by_set.setdefault(which, []).append(graph)
    return [(which, collate(graphs)) for which, graphs in by_set.items()]
