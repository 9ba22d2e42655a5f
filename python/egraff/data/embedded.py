# SPDX-License-Identifier: GPL-2.0-or-later
"""The data sets that come with the package, and the identity of any data set."""

from __future__ import annotations

import json
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any

from egraff.data.frames import read_frames
from egraff.errors import InputError
from egraff.files import sha256

_FOLDER = Path(__file__).parent / "embedded"


def list_embedded() -> dict[str, dict[str, Any]]:
    """Return the manifest of each embedded set, by name.

    A manifest says how the set was made (``method``, ``program``, ``sampling``) and, under
    ``files``, for each split the file, its SHA-256, number of frames and seed.
    """
    manifests = sorted(_FOLDER.glob("*/manifest.json"))
    return {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in manifests}


def embedded(set_name: str, split: str) -> Path:
    """Return the path of an embedded file, for example ``embedded("molecule", "train")``.

    Raises:
        InputError: there is no such set or split; the message lists what there is.
    """
    sets = list_embedded()
    if set_name not in sets:
        raise InputError(
            f"no embedded data set {set_name!r}", fix=f"choose one of {', '.join(sets)}"
        )
    files = sets[set_name]["files"]
    if split not in files:
        raise InputError(
            f"the embedded data set {set_name} has no split {split!r}",
            fix=f"choose one of {', '.join(files)}",
        )
    return _FOLDER / set_name / files[split]["file"]


def dataset_identity(paths: Iterable[str | PathLike[str]]) -> dict[str, Any]:
    """Say which data something was made from, for a model's metadata.

    Only file names are kept, no folders: what identifies a file is its SHA-256.

    Args:
        paths: the files.

    Returns:
        ``{"files": [{"name", "sha256", "n_frames"}, ...], "n_frames": total}``, in the given order.

    Raises:
        InputError: a file cannot be read.
    """
    files = [
        {"name": Path(path).name, "n_frames": len(read_frames(path)), "sha256": sha256(path)}
        for path in paths
    ]
    return {"files": files, "n_frames": sum(entry["n_frames"] for entry in files)}
