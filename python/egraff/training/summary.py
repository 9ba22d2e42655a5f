# SPDX-License-Identifier: GPL-2.0-or-later
"""What ``summary.json`` of a training holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from egraff import provenance
from egraff.models import ForceField
from egraff.training.config import TrainConfig
from egraff.training.module import ForceFieldTraining


def describe_model(model: ForceField, *, reference_energies_from: str) -> dict[str, Any]:
    """Return what the summary says about the model."""
    config = model.config
    return {
        "architecture": model.architecture,
        "config": config.model_dump(mode="json"),
        "n_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "reference_energies_ev": dict(zip(model.elements, config.energy_shift, strict=True)),
        "reference_energies_from": reference_energies_from,
        "energy_scale_ev": dict(zip(model.elements, config.energy_scale, strict=True)),
        "avg_num_neighbours": config.avg_num_neighbours,
        "citations": model.cited(),
    }


def progress(
    training: ForceFieldTraining, *, threads: int, device: str, stopped_because: str | None
) -> dict[str, Any]:
    """Return the progress of the training."""
    return {
        "epochs": training.epochs_done,
        "steps": training.steps_done,
        "best_epoch": training.best_epoch,
        "best_val_loss": training.best_loss if training.best_epoch else None,
        "wall_time_s": round(training.seconds, 2),
        "threads": threads,
        "device": device,
        "stopped_because": stopped_because,
    }


def validation(
    model: Mapping[str, float], trivial: Mapping[str, float], ratio: Mapping[str, float]
) -> dict[str, Any]:
    """Return errors beside those of the trivial predictor, by metric."""
    return {
        name: {"value": value, "trivial": trivial[name], "ratio": ratio.get(name)}
        for name, value in model.items()
    }


def head(config: TrainConfig, *, remarks: list[str], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of the summary that is known before training."""
    return {
        "kind": "training",
        "status": "running",
        "started": provenance.now(),
        "settings": config.plain(),
        "data": dict(data),
        "remarks": remarks,
        "versions": provenance.versions(),
    }
