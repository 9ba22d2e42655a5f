# SPDX-License-Identifier: GPL-2.0-or-later
"""Checkpoints: a model with its weights and its history, in tensors and plain values only.

A checkpoint is a file of ``torch.save`` that ``torch.load(weights_only=True)`` reads. Under the key
``egraff`` it holds

    format            version of this layout
    egraff_version    what wrote it
    architecture      name for :func:`egraff.models.build`
    config            the model's options
    weights           the model's state: the averaged weights, for use
    training_data     identity of the data, and the trivial predictor fitted to it
    metrics           errors on the validation set, when it was trained here
    epoch             epochs behind the weights, or None
    check_structure   a structure of the training set, with which an export is verified
    settings          the settings of the training, or None

``last.ckpt`` has, beside it, what Lightning needs to continue the training.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from egraff import __version__, _model_file
from egraff.errors import ModelFileError
from egraff.files import atomic_path
from egraff.metadata import is_exported
from egraff.models import ForceField, build

FORMAT = 1
KEY = "egraff"
_FIRST_BYTES = 4096  # enough to tell what a file is that is no archive
_NOT_OURS = "give a checkpoint written by egraff train or egraff import"


def make_payload(
    model: ForceField,
    *,
    weights: Mapping[str, Tensor] | None = None,
    training_data: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    epoch: int | None = None,
    check_structure: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what goes under the key ``egraff``; see the module's text.

    Args:
        model: the model.
        weights: tensors that replace those of the model's state (averaged weights).
        training_data: identity of the training data.
        metrics: validation errors.
        epoch: epochs trained.
        check_structure: ``symbols``, ``positions`` (Angstrom), ``cell``, ``pbc``.
        settings: settings of the training.
    """
    state = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
    for name, tensor in (weights or {}).items():
        state[name] = tensor.detach().cpu().clone()
    return {
        "format": FORMAT,
        "egraff_version": __version__,
        "architecture": model.architecture,
        "config": model.config.model_dump(mode="json"),
        "weights": state,
        "training_data": dict(training_data or {}),
        "metrics": dict(metrics or {}),
        "epoch": epoch,
        "check_structure": dict(check_structure) if check_structure else None,
        "settings": dict(settings) if settings else None,
    }


def save_model(path: str | PathLike[str], model: ForceField, **content: Any) -> None:
    """Write a checkpoint for use (not for continuing a training).

    Args:
        path: file to write.
        model: the model.
        **content: see :func:`make_payload`.
    """
    with atomic_path(path) as partial:
        torch.save({KEY: make_payload(model, **content)}, partial)


def load_info(path: str | PathLike[str]) -> dict[str, Any]:
    """Return what a checkpoint says of itself: everything but the weights.

    Raises:
        ModelFileError: the file is missing, damaged, not a checkpoint of egraff, or newer than
            this version understands.
    """
    payload = _read(path)
    return {name: value for name, value in payload.items() if name != "weights"}


def load_model(path: str | PathLike[str], *, dtype: str | None = None) -> ForceField:
    """Rebuild the model of a checkpoint, with the averaged weights, in evaluation mode.

    Args:
        path: ``best.ckpt``, ``last.ckpt`` or an imported checkpoint.
        dtype: ``float32`` or ``float64``; default: as trained. The model is built anew in this
            type, so constants are exact in it, and the weights are converted.

    Raises:
        ModelFileError: as for :func:`load_info`, or weights that do not fit the architecture.
        InputError: the model's options are not valid in this version.
    """
    payload = _read(path)
    config = dict(payload["config"])
    if dtype is not None:
        config["dtype"] = dtype
    model = build(payload["architecture"], seed=0, **config)
    try:
        model.load_state_dict(payload["weights"])
    except RuntimeError as error:
        raise ModelFileError(
            f"the weights do not fit {payload['architecture']} of egraff {__version__}: {error}",
            where=path,
            field="weights",
            fix=f"use egraff {payload['egraff_version']}, which wrote the file",
        ) from error
    return model.eval()


def load_raw(path: str | PathLike[str]) -> dict[str, Any]:
    """Return the whole content of a checkpoint, Lightning's part included.

    Raises:
        ModelFileError: as for :func:`load_info`.
    """
    path = Path(path)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise ModelFileError(f"expected a checkpoint, found {found}", where=path, fix=_NOT_OURS)
    if _is_exported(path):
        if not is_exported(path):
            _refuse_foreign(path)
        raise ModelFileError(
            "expected a checkpoint, got an exported model",
            where=path,
            fix="give best.ckpt, from which it was exported",
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's readers fail in many ways on what is not theirs
        _refuse_foreign(path)
        raise ModelFileError(
            f"expected a checkpoint, could not read it ({type(error).__name__})",
            where=path,
            fix=f"{_NOT_OURS}; a truncated copy has to be copied again",
        ) from error
    payload = content.get(KEY) if isinstance(content, dict) else None
    if not isinstance(payload, dict) or "weights" not in payload:
        _refuse_foreign(path)
        raise ModelFileError(
            f"not a checkpoint of egraff: it has no {KEY!r}", where=path, fix=_NOT_OURS
        )
    if payload["format"] > FORMAT:
        raise ModelFileError(
            f"expected layout {FORMAT} or older, got {payload['format']}",
            where=path,
            field="format",
            fix=f"install egraff {payload['egraff_version']} or newer",
        )
    return content


def _read(path: str | PathLike[str]) -> dict[str, Any]:
    return load_raw(path)[KEY]


def _refuse_foreign(path: Path) -> None:
    """Refuse a model of another program by its name; return where it is none that is known.

    Raises:
        ModelFileError: it is one.
    """
    with path.open("rb") as stream:
        first = stream.read(_FIRST_BYTES)
    if first.startswith(b"PK\3\4"):
        try:
            what, fix = _model_file.foreign(os.fsencode(path))
        except ModelFileError:  # incomplete, of which the caller tells
            return
    else:
        what, fix = _model_file.foreign_bytes(first)
    if what:
        raise ModelFileError(f"expected a checkpoint of egraff, got {what}", where=path, fix=fix)


def _is_exported(path: Path) -> bool:
    """Tell whether a file is a TorchScript archive, which torch.load would only warn about."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())
