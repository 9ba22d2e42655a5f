# SPDX-License-Identifier: GPL-2.0-or-later
"""What is to be known of a model before it is used: the card that ``egraff info`` prints.

Everything is read from the file; a checkpoint's network is built to count its weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from egraff.export import MODEL_LICENCE
from egraff.export.prepare import describe
from egraff.files import sha256
from egraff.metadata import is_exported, read_metadata
from egraff.models import build
from egraff.models.registry import find
from egraff.names import IMPORTED
from egraff.training.checkpoint import load_info, load_model
from egraff.training.fine_tuning import FINE_TUNED

_SHOWN_ELSEWHERE = ("elements", "r_max", "dtype", "energy_shift")
_BYTES = {"float32": 4, "float64": 8}


def model_card(path: str | PathLike[str]) -> dict[str, Any]:
    """Return what a checkpoint or an exported model is.

    Args:
        path: the file.

    Returns:
        ``kind`` (``checkpoint`` or ``exported model``), ``architecture``, ``options`` (those that
        differ from the defaults), ``elements``, ``r_max_ang``, ``dtype``, ``n_weights``,
        ``reference_energies_ev``, ``exchanges`` (number per step, and bytes that each ghost atom
        sends and receives), ``training`` (data, errors, and what it was fine-tuned or imported
        from), ``licence``, ``citations``, ``sha256`` of the file and ``weights_sha256``.

    Raises:
        ModelFileError: the file is missing, damaged, or a model of another program.
    """
    path = Path(path)
    if path.is_file() and _is_archive(path) and is_exported(path):
        return _exported(path)
    info = load_info(path)
    model = load_model(path)
    data = info["training_data"]
    imported = data.get(IMPORTED) or {}
    about = describe(model, training_data=data, licence=imported.get("licence") or MODEL_LICENCE)
    shift = model.scale_shift.shift.tolist()
    n_weights = sum(parameter.numel() for parameter in model.parameters())
    return _card("checkpoint", path, about, n_weights=n_weights, shift=shift) | {
        "training": _training(data) | {"epoch": info["epoch"], "errors": info["metrics"]},
    }


def _exported(path: Path) -> dict[str, Any]:
    about = read_metadata(path)
    config = about["config"]
    plain = build(about["architecture"], seed=0, **config)
    n_weights = sum(parameter.numel() for parameter in plain.parameters())
    return _card("exported model", path, about, n_weights=n_weights, shift=None) | {
        "fused": about.get("fused"),
        "torch_version": about["torch_version"],
        "training": _training(about["training_data"]),
    }


def _card(
    kind: str, path: Path, about: Mapping[str, Any], *, n_weights: int, shift: list[float] | None
) -> dict[str, Any]:
    config = about["config"]
    # of a file whose shifts were learnt, the option holds where they began
    learnt = shift is None and config.get("energy_shift_trainable")
    energies = None if learnt else (shift or config["energy_shift"])
    width = sum(about["exchange_widths"])
    return {
        "kind": kind,
        "file": path.name,
        "architecture": about["architecture"],
        "options": changed_options(about["architecture"], config),
        "elements": list(about["elements"]),
        "r_max_ang": about["r_max"],
        "dtype": about["dtype"],
        "n_weights": n_weights,
        "reference_energies_ev": None
        if energies is None
        else dict(zip(about["elements"], energies, strict=True)),
        "exchanges": {
            "per_step": len(about["exchange_widths"]),
            # there on the way forward, and back with the gradient
            "bytes_per_ghost_and_step": 2 * width * _BYTES[about["dtype"]],
        },
        "egraff_version": about["egraff_version"],
        "licence": about["licence"],
        "citations": list(about["citations"]),
        "sha256": sha256(path),
        "weights_sha256": about["weights_sha256"],
    }


def changed_options(architecture: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a model that differ from their defaults."""
    defaults = {
        name: field.get_default(call_default_factory=True)
        for name, field in find(architecture).Config.model_fields.items()
        if not field.is_required()
    }
    return {
        name: value
        for name, value in config.items()
        if name not in _SHOWN_ELSEWHERE and not (name in defaults and _same(value, defaults[name]))
    }


def _same(value: Any, default: Any) -> bool:
    # one value for all elements is written once for each
    each = isinstance(value, list) and isinstance(default, list) and len(default) == 1
    return value == default or (each and set(value) == set(default))


def _training(data: Mapping[str, Any]) -> dict[str, Any]:
    tuned = data.get(FINE_TUNED)
    return {
        "files": data.get("files", []),
        "n_frames": data.get("n_frames"),
        "imported_from": data.get(IMPORTED),
        "fine_tuned_from": None
        if tuned is None
        else {
            name: tuned.get(name)
            for name in ("name", "sha256", "elements_added", "elements_dropped", "before", "after")
        }
        | {"e0": tuned["e0"]["choice"]},
    }


def _is_archive(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4) == b"PK\3\4"
