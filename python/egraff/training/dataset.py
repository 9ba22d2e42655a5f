# SPDX-License-Identifier: GPL-2.0-or-later
"""Labelled frames as graphs in memory, and the order in which they are visited.

Edge vectors, not positions, are what a model is differentiated by, so a frame's graph is built
once and never again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from egraff.data import (
    Frame,
    check_overlap,
    read_frames,
    separate_isolated_atoms,
    split_frames,
    validate_frames,
)
from egraff.data.labels import options_for
from egraff.errors import InputError
from egraff.graph import Graph, build_graph, collate
from egraff.models import ForceField
from egraff.training.config import TrainConfig
from egraff.training.options import architecture_options


@dataclass(frozen=True)
class Splits:
    """Frames to learn from and frames to validate on.

    Attributes:
        train: training frames.
        val: validation frames.
        elements: chemical symbols that the model is to know.
        remarks: oddities of the data that a user should read.
        isolated: isolated atoms found among the frames, which are in neither of the two.
    """

    train: list[Frame]
    val: list[Frame]
    elements: list[str]
    remarks: list[str]
    isolated: list[Frame] = field(default_factory=list)


def read_splits(config: TrainConfig, *, known: Sequence[str] = ()) -> Splits:
    """Read, check and split the frames that the settings name.

    Args:
        config: settings of the training.
        known: elements that the model knows without the training frames.

    Raises:
        InputError: unusable frames, an element outside ``elements``, or validation frames that
            are also training frames.
    """
    train, isolated, remarks = read_structures(config.data, config, config.elements)
    new = [element for element in elements_of(train) if element not in known]
    elements = config.elements or [*known, *new]
    if config.val is not None:
        val, more, others = read_structures(config.val, config, elements)
        isolated += more
        remarks += others
    else:
        share = config.val_fraction
        parts = split_frames(train, {"train": 1.0 - share, "val": share}, seed=config.seed)
        train, val = parts["train"], parts["val"]
    common = check_overlap(train, val, allow=config.allow_overlap)
    if common:
        remarks.append(f"{len(common)} of {len(val)} validation frames are also training frames")
    if config.stress_weight > 0:
        _check_stress(config, train)
    return Splits(train, val, elements, remarks, isolated)


def read_structures(
    path: Path, config: TrainConfig, elements: Sequence[str] | None
) -> tuple[list[Frame], list[Frame], list[str]]:
    """Return the frames of a file, the isolated atoms in it, and remarks.

    Raises:
        InputError: unusable frames, or an element outside ``elements``.
    """
    cutoff, _ = architecture_options(config)
    frames, isolated = separate_isolated_atoms(read_frames(path, keys=config.labels), cutoff=cutoff)
    if not frames:
        raise InputError(
            f"expected structures to learn from, got {len(isolated)} isolated atoms only",
            where=path,
            fix="give the frames with several atoms here, and this file as --isolated-atoms",
        )
    if isolated:
        validate_frames(isolated, require=("energy",))
    return frames, isolated, validate_frames(frames, elements=elements)


def _check_stress(config: TrainConfig, train: Sequence[Frame]) -> None:
    """Refuse a weight of the stress where there is none to learn."""
    labelled = [frame for frame in train if frame.stress is not None]
    if any(frame.pbc.all() for frame in labelled):
        return
    if labelled:
        problem = (
            f"the {len(labelled)} training frames with a stress are not periodic in all three "
            "directions, so that it has no volume"
        )
        fix = "set stress_weight to 0, or pbc to T T T where the frames are periodic"
    else:
        problem = "no training frame has a stress"
        others = [
            options_for(name, train[0].alternatives.get(name, ())) for name in ("stress", "virial")
        ]
        choice = " or ".join(option for option in others if option)
        fix = f"name the right key{f': {choice}' if choice else ''}; or set stress_weight to 0"
    raise InputError(
        f"stress_weight is {config.stress_weight:g}, but {problem}",
        where=config.data,
        field=config.stress_key,
        fix=fix,
    )


def elements_of(frames: Sequence[Frame]) -> list[str]:
    """Return the chemical symbols that occur, by atomic number."""
    symbols = {symbol for frame in frames for symbol in frame.symbols}
    return sorted(symbols, key=lambda symbol: atomic_numbers[symbol])


def frame_graph(
    frame: Frame,
    *,
    elements: Sequence[str],
    r_max: float,
    pair_cutoffs: Sequence[Sequence[float]] | None = None,
) -> Graph:
    """Make the graph of a frame, with NaN for each label that the frame lacks.

    NaN keeps the labels of differently labelled frames together in one batch; the loss and the
    errors leave NaN out. The stress of a frame that is not periodic in all directions counts as
    missing.

    Raises:
        InputError: an element that is not among ``elements``.
    """
    has_stress = frame.stress is not None and frame.pbc.all()
    return build_graph(
        frame.symbols,
        frame.positions,
        frame.cell,
        frame.pbc,
        elements=elements,
        r_max=r_max,
        pair_cutoffs=pair_cutoffs,
        energy=np.nan if frame.energy is None else frame.energy,
        forces=np.full((len(frame), 3), np.nan) if frame.forces is None else frame.forces,
        stress=frame.stress if has_stress else np.full((3, 3), np.nan),
    )


def model_graphs(frames: Sequence[Frame], model: ForceField) -> list[Graph]:
    """Make the graphs of frames as a model needs them."""
    return [
        frame_graph(
            frame, elements=model.elements, r_max=model.r_max, pair_cutoffs=model.pair_cutoffs
        )
        for frame in frames
    ]


def join_graphs(graphs: Iterable[Graph], *, max_atoms: int = 512) -> Iterator[Graph]:
    """Put graphs side by side, in order, up to ``max_atoms`` atoms at a time (at least one graph).

    512 atoms keep a core busy and need little memory.
    """
    waiting: list[Graph] = []
    for graph in graphs:
        if waiting and sum(g.n_atoms for g in waiting) + graph.n_atoms > max_atoms:
            yield collate(waiting)
            waiting = []
        waiting.append(graph)
    if waiting:
        yield collate(waiting)


class ShuffledBatches:
    """Batches of frame numbers in an order that depends on the seed and the epoch alone.

    A continued training therefore meets the frames in the order in which the uninterrupted one
    would have. The last batch of an epoch may be smaller.

    Args:
        n_frames: number of frames.
        batch_size: frames per batch.
        seed: seed of the order.
    """

    def __init__(self, n_frames: int, *, batch_size: int, seed: int) -> None:
        self.n_frames = n_frames
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0, of the next pass."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.n_frames // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.n_frames).tolist()
        for start in range(0, self.n_frames, self.batch_size):
            yield order[start : start + self.batch_size]
