# SPDX-License-Identifier: GPL-2.0-or-later
"""Write a model as TorchScript, which runs wherever torch does."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from os import PathLike
from typing import Any

import torch
from ase import Atoms
from e3nn.util import jit

from egraff.export.archive import write_archive
from egraff.export.prepare import MODEL_LICENCE, prepare
from egraff.export.written import check_written
from egraff.files import atomic_path
from egraff.models.base import ForceField


def export_torchscript(
    model: ForceField,
    target: str | PathLike[str],
    *,
    structure: Atoms | None = None,
    training_data: Mapping[str, Any] | None = None,
    licence: str = MODEL_LICENCE,
    fuse: bool | None = False,
) -> dict[str, Any]:
    """Write ``model`` to ``target``.

    Args:
        model: an eager model; its dtype is the file's.
        target: the file to write, by convention ``NAME.egraff.pt``.
        structure: a frame like those the model will see, stored for verification; a made-up one
            is used when it is missing or too large (:mod:`egraff.export.prepare`).
        training_data: what the model was trained on (names, hashes, numbers of frames).
        licence: terms under which the model's weights may be used.
        fuse: use fused operators, which run on the CPU only (:mod:`egraff.fusion`); None uses them
            where there are any for the model.

    Returns:
        The metadata in the file.

    Raises:
        DisagreementError: the exported model differs from the eager one, or rounding makes it
            impossible to tell; nothing is written.
        EgraffError: fused operators were asked for, and there are none for this model.
    """
    prepared = prepare(
        model, structure=structure, training_data=training_data, licence=licence, fuse=fuse
    )
    prepared.metadata["format"] = "torchscript"
    with warnings.catch_warnings(), atomic_path(target) as partial:
        # every release of torch tells that TorchScript is deprecated; it still loads anywhere
        warnings.simplefilter("ignore", DeprecationWarning)
        # in place, e3nn would leave TorchScript inside the caller's model
        scripted = jit.script(prepared.written, in_place=False)
        archive = io.BytesIO()
        torch.jit.save(scripted, archive)
        write_archive(partial, archive, prepared.metadata)
        check_written(prepared, partial, what="exported and eager model")
    return prepared.metadata
