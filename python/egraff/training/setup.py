# SPDX-License-Identifier: GPL-2.0-or-later
"""From settings and frames to the untrained model, and the record of what it is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from egraff.data import Frame, save_splits
from egraff.errors import InputError
from egraff.files import sha256
from egraff.metadata import VISITED
from egraff.models import ForceField, build
from egraff.models.base import ModelConfig
from egraff.training.checkpoint import KEY
from egraff.training.config import TrainConfig
from egraff.training.dataset import Splits, frame_graph
from egraff.training.options import architecture_options
from egraff.training.replay import ReplaySet
from egraff.training.statistics import (
    check_neighbours,
    energy_baseline,
    energy_scale,
    mean_neighbours,
    reference_energies,
)
from egraff.training.visited import visited


def make_model(config: TrainConfig, splits: Splits) -> tuple[ForceField, str, list[str]]:
    """Build the model with what the training set decides.

    Returns:
        The model, where its reference energies come from, and what a user should know about both.

    Raises:
        InputError: unknown architecture, preset or option, a value out of range, a cutoff within
            which there are no neighbours, or reference energies that cannot be had.
    """
    r_max, options = architecture_options(config)
    geometry = {"elements": splits.elements, "r_max": r_max}
    reference = reference_energies(config, splits.train, splits.elements, splits.isolated)
    try:
        cutoffs = ModelConfig(**geometry, pair_cutoffs=options.get("pair_cutoffs"))
    except ValidationError as error:
        raise InputError(
            error.errors()[0]["msg"],
            where="training settings",
            field="elements, r_max or model_options.pair_cutoffs",
            fix="correct the value",
        ) from error
    table = cutoffs.cutoff_table()
    graphs = [frame_graph(frame, **geometry, pair_cutoffs=table) for frame in splits.train]
    notes = [*reference.notes, *check_neighbours(graphs, splits.train, r_max=r_max)]
    model = build(
        config.model,
        seed=config.seed,
        **geometry,
        dtype=config.dtype,
        avg_num_neighbours=config.avg_num_neighbours or mean_neighbours(graphs),
        energy_scale=energy_scale(config, splits.train, splits.elements),
        energy_shift=reference.values,
        **options,
    )
    return model, reference.source, notes


def describe_data(
    config: TrainConfig, splits: Splits, replay: Sequence[ReplaySet] = ()
) -> dict[str, Any]:
    """Return the identity and reach of the data, and the trivial predictor fitted to them.

    Only file names are kept, no folders: what identifies a file is its SHA-256.
    """
    files = [_identity(config.data, len(splits.train), "train")]
    files.append(_identity(config.val or config.data, len(splits.val), "val"))
    for number, one in enumerate(replay, start=1):
        role = f"{'replay' if one.weight > 0 else 'watched'}-{number}"
        files.append(_identity(one.path, len(one.train), role))
    replayed = [frame for one in replay if one.weight > 0 for frame in one.train]
    r_max, _ = architecture_options(config)
    return {
        "files": files,
        "n_frames": len(splits.train),
        "elements": splits.elements,
        "energy_baseline_ev": energy_baseline(splits.train, splits.elements),
        VISITED: visited(
            [*splits.train, *replayed],
            splits.elements,
            r_max=r_max,
            stress_weight=config.stress_weight,
        ),
    }


def _identity(path: Path, n_frames: int, role: str) -> dict[str, Any]:
    return {"name": path.name, "role": role, "n_frames": n_frames, "sha256": sha256(path)}


def check_same_data(checkpoint: dict[str, Any], data: dict[str, Any], path: Path) -> None:
    """Refuse to continue a training on other data.

    Args:
        checkpoint: content of ``last.ckpt``.
        data: what :func:`describe_data` says of the data as they are now.
        path: the checkpoint's file, for the message.

    Raises:
        InputError: the training or validation file has another content.
    """
    before = {f["role"]: f for f in checkpoint[KEY]["training_data"]["files"]}
    for file in data["files"]:
        old = before[file["role"]]
        if file["sha256"] != old["sha256"]:
            raise InputError(
                f"expected the {file['role']} data of the training that is continued "
                f"({old['name']}, SHA-256 {old['sha256'][:12]}...), got {file['name']} with "
                f"{file['sha256'][:12]}...",
                where=path,
                field="--resume",
                fix="restore the file, or train anew with another --out",
            )


def write_splits(config: TrainConfig, splits: Splits, folder: Path) -> None:
    """Record which frames of which file were trained on and validated on."""
    folder.mkdir(parents=True, exist_ok=True)
    if config.val is None:
        both = {"train": splits.train, "val": splits.val}
        save_splits(folder / "splits.json", both, seed=config.seed)
        return
    for name, frames in (("train", splits.train), ("val", splits.val)):
        save_splits(folder / f"{name}.json", {name: frames}, method="whole file")


def check_structure(frames: Sequence[Frame]) -> dict[str, Any]:
    """Return the smallest frame that is not a single atom, to verify exports with."""
    several = [frame for frame in frames if len(frame) > 1] or list(frames)
    frame = min(several, key=len)
    return {
        "symbols": frame.symbols,
        "positions": frame.positions.tolist(),
        "cell": frame.cell.tolist(),
        "pbc": frame.pbc.tolist(),
    }
