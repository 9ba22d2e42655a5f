# SPDX-License-Identifier: GPL-2.0-or-later
"""Find and read SevenNet's checkpoints, also those inside the package ``sevenn``, without it.

The package carries pretrained models; neither its code nor what it requires is needed to read them.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy._core.multiarray import _reconstruct

from egraff.errors import InputError, ModelFileError
from egraff.interop.sevennet import convert_state
from egraff.models import ForceField, build

# name -> folder in the package's pretrained_potentials
PRETRAINED = {
    "7net-0": "SevenNet_0__11Jul2024",
    "7net-0_22may2024": "SevenNet_0__22May2024",
    "7net-l3i5": "SevenNet_l3i5",
    "7net-mf-0": "SevenNet_MF_0",
}
VERSION = "0.12.1"
DOWNLOAD = f"pip download --no-deps sevenn=={VERSION}"
# of the package, and so of the models in it
LICENCE = "MIT (SevenNet, file LICENSE of the package sevenn)"
# Beside tensors and plain values the files hold arrays of numbers. These make arrays and call
# nothing else; they are allowed for this one reading.
_ARRAYS = [
    (_reconstruct, "numpy.core.multiarray._reconstruct"),
    _reconstruct,
    np.ndarray,
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "b1")),
]
_NOT_OURS = "give a checkpoint of sevenn (.pth), or the name of one of its pretrained models: "


@dataclass(frozen=True)
class Source:
    """Bytes of a checkpoint and where they came from.

    Attributes:
        where: the file, or the file inside of a wheel.
        content: the bytes.
        licence: terms of use, where they are known.
    """

    where: Path
    content: bytes
    licence: str | None = None


def load_sevennet(source: str | Path) -> tuple[ForceField, dict[str, str]]:
    """Rebuild a SevenNet model as egraff's NequIP.

    Args:
        source: a checkpoint; the name of a pretrained model, which is looked for in an installed
            ``sevenn`` and in ``sevenn-*.whl`` here; or WHEEL/NAME.

    Returns:
        The model, in evaluation mode and in the original's floating-point type, and where it came
        from: ``package``, ``file``, ``sha256`` and, where known, ``licence``.

    Raises:
        InputError: a model that is not there, or something that egraff has no counterpart of.
        ModelFileError: a file that is missing, or is not a checkpoint of sevenn.
    """
    found = find(Path(source))
    config, state = read(found)
    options, weights = convert_state(config, state)
    model = build("nequip", seed=0, **options)
    model.load_state_dict(weights)
    origin = {
        "package": "sevennet",
        "file": found.where.name,
        "sha256": hashlib.sha256(found.content).hexdigest(),
    }
    return model.eval(), origin | ({"licence": found.licence} if found.licence else {})


def find(source: Path) -> Source:
    """Return the checkpoint that a file, a name, or a name in a wheel stands for."""
    if source.suffix == ".whl":
        return _in_wheel(source, None)
    if source.parent.suffix == ".whl":
        return _in_wheel(source.parent, source.name)
    if source.name.lower() not in PRETRAINED or source.is_file():
        if not source.is_file():
            what = "a folder" if source.is_dir() else "no such file"
            raise ModelFileError(
                f"expected a checkpoint of sevenn, found {what}",
                where=source,
                fix=_NOT_OURS + ", ".join(PRETRAINED),
            )
        return Source(source, source.read_bytes())
    folder = PRETRAINED[source.name.lower()]
    package = find_spec("sevenn")  # which does not run its code
    for place in (package.submodule_search_locations or []) if package else []:
        for path in sorted((Path(place) / "pretrained_potentials" / folder).glob("*.pth")):
            return Source(path, path.read_bytes(), LICENCE)
    for wheel in sorted(source.parent.glob("sevenn-*.whl"), reverse=True):
        return _in_wheel(wheel, source.name)
    raise InputError(
        "expected the package sevenn, which has this model, installed or as a wheel in this "
        "folder, found neither",
        field=str(source),
        fix=DOWNLOAD,
    )


def read(source: Source) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return options and weights; nothing in the file is run."""
    try:
        with torch.serialization.safe_globals(_ARRAYS):
            content = torch.load(io.BytesIO(source.content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch's readers fail in many ways on what is not theirs
        raise ModelFileError(
            f"expected a checkpoint of sevenn, could not read it ({type(error).__name__})",
            where=source.where,
            fix=_NOT_OURS + ", ".join(PRETRAINED),
        ) from error
    if not isinstance(content, dict) or not {"config", "model_state_dict"} <= content.keys():
        raise ModelFileError(
            "expected config and model_state_dict, found at most one of them",
            where=source.where,
            fix=_NOT_OURS + ", ".join(PRETRAINED),
        )
    return content["config"], content["model_state_dict"]


def _in_wheel(wheel: Path, name: str | None) -> Source:
    if name is None or name.lower() not in PRETRAINED:
        raise InputError(
            f"expected one of its models ({', '.join(PRETRAINED)}), got {name or 'none'}",
            field=str(wheel),
            fix=f"give {wheel}/7net-0",
        )
    folder = PRETRAINED[name.lower()]
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                if f"pretrained_potentials/{folder}/" in member and member.endswith(".pth"):
                    return Source(Path(member), archive.read(member), LICENCE)
    except (OSError, zipfile.BadZipFile) as error:
        raise ModelFileError(
            f"expected a wheel of sevenn, could not read it: {error}", where=wheel, fix=DOWNLOAD
        ) from error
    raise ModelFileError(
        f"expected {folder} among its pretrained models, found none", where=wheel, fix=DOWNLOAD
    )
