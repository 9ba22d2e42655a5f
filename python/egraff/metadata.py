# SPDX-License-Identifier: GPL-2.0-or-later
"""What an exported model says about itself, read without loading it.

An exported model is a zip archive (a TorchScript archive and an AOTInductor package are) with the
records ``egraff.json`` and a digest of everything. Files are read by the code that LAMMPS runs,
which verifies the digest and knows what must be in them; it needs neither torch nor memory for the
weights, so that a run is checked, and refused, in milliseconds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Any

from egraff import _model_file
from egraff.errors import InputError

CONTRACT: int = _model_file.CONTRACT
"""The model contract that this version of egraff understands."""

VISITED = "visited"
"""Key of ``training_data`` under which models tell how far it reaches, since that is stored."""


def pair_name(first: str, second: str) -> str:
    """Return the name of a pair of elements, the same in either order: ``C-H``."""
    return "-".join(sorted((first, second)))


def read_metadata(path: str | PathLike[str]) -> dict[str, Any]:
    """Return what an exported model says about itself, ``egraff.json``.

    Args:
        path: the exported file.

    Raises:
        ModelFileError: the file is missing, damaged, changed since it was written, not an egraff
            model, of another contract, or contradicts itself.
    """
    text, _ = _model_file.metadata(os.fsencode(path))
    return json.loads(text)


def is_exported(path: str | PathLike[str]) -> bool:
    """Tell whether an archive is meant to be an exported model, damaged or not.

    Raises:
        ModelFileError: the file is missing, or no complete archive.
    """
    return _model_file.is_exported(os.fsencode(path))


def check_elements(
    symbols: Iterable[str], elements: Sequence[str], *, where: str | PathLike[str] | None = None
) -> list[str]:
    """Check that a model knows every element of a structure.

    Args:
        symbols: chemical symbols of the atoms, repeated or not.
        elements: the model's elements, in the model's order.
        where: the structure file, for the message.

    Returns:
        The elements that are present, in the model's order.

    Raises:
        InputError: elements that the model was not trained on.
    """
    present = set(symbols)
    unknown = sorted(present - set(elements))
    if unknown:
        raise InputError(
            f"expected only elements that the model knows ({', '.join(elements)}), "
            f"got {', '.join(unknown)}",
            where=where,
            field="elements",
            fix="use a model that was trained on these elements, or another structure",
        )
    return [element for element in elements if element in present]
