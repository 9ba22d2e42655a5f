# SPDX-License-Identifier: GPL-2.0-or-later
"""What an exported model says about itself, read without loading it.

An exported model is a zip archive (a TorchScript archive and an AOTInductor package are) with the
extra file ``egraff.json``. Reading that needs neither torch nor the weights, so that a run is
checked, and refused, in milliseconds.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from egraff.errors import InputError, ModelFileError

CONTRACT = 1
"""The newest model contract that this version of egraff understands."""

METADATA_NAME = "egraff.json"
"""Name of the extra file inside the archive."""

REQUIRED_KEYS = ("architecture", "contract", "dtype", "elements", "exchange_widths", "r_max")
"""Keys without which a model cannot be run."""

_EXPORT_HINT = "export it again: egraff export best.ckpt -o model.egraff.pt"


def read_metadata(path: str | PathLike[str]) -> dict[str, Any]:
    """Return the content of ``egraff.json`` inside an exported model.

    Args:
        path: the exported file.

    Raises:
        ModelFileError: the file is missing, truncated, not an egraff model, written for a newer
            contract, or its metadata is incomplete.
    """
    path = Path(path)
    try:
        text = _read_extra(path)
    except FileNotFoundError:
        raise ModelFileError(
            "expected an exported model, found no such file", where=path, fix="check the path"
        ) from None
    except (IsADirectoryError, PermissionError) as error:
        raise ModelFileError(
            f"expected a readable file, got: {error.strerror}", where=path, fix="check the path"
        ) from None
    try:
        metadata = json.loads(text)
    except ValueError as error:
        raise ModelFileError(
            f"expected JSON, got: {error}", where=path, field=METADATA_NAME, fix=_EXPORT_HINT
        ) from None
    _check(metadata, path)
    return metadata


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


def _read_extra(path: Path) -> bytes:
    """Return the bytes of ``<archive>/extra/egraff.json``."""
    with open(path, "rb") as stream:
        start = stream.read(4)
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            found = [name for name in names if _is_metadata(name)]
            if found:
                return archive.read(found[0])
    except zipfile.BadZipFile as error:
        if start == b"PK\x03\x04":
            raise ModelFileError(
                f"expected a complete archive, got a truncated or damaged one ({error})",
                where=path,
                fix="copy the file again, or " + _EXPORT_HINT,
            ) from None
        raise ModelFileError(
            "expected an exported model (a zip archive), got something else",
            where=path,
            fix="give the file that `egraff export` wrote (*.egraff.pt)",
        ) from None
    if any(name.endswith("/data.pkl") for name in names) and not any("/code/" in n for n in names):
        raise ModelFileError(
            "expected an exported model, got a training checkpoint",
            where=path,
            fix=f"egraff export {path} -o model.egraff.pt",
        )
    raise ModelFileError(
        f"not an egraff model: the archive holds no {METADATA_NAME}",
        where=path,
        fix="give the file that `egraff export` wrote (*.egraff.pt)",
    )


def _is_metadata(name: str) -> bool:
    """Tell whether an archive member is ``<archive>/extra/egraff.json``."""
    return name.split("/")[1:] == ["extra", METADATA_NAME]


def _check(metadata: Any, path: Path) -> None:
    """Refuse metadata that cannot describe a model of a contract we know."""
    if not isinstance(metadata, dict):
        raise ModelFileError(
            f"expected a JSON object, got {type(metadata).__name__}",
            where=path,
            field=METADATA_NAME,
            fix=_EXPORT_HINT,
        )
    contract = metadata.get("contract")
    if isinstance(contract, int) and contract > CONTRACT:
        raise ModelFileError(
            f"expected a model contract up to {CONTRACT}, got {contract}: "
            "the file is from a newer egraff",
            where=path,
            field="contract",
            fix="update egraff, or export the model with this version",
        )
    missing = [key for key in REQUIRED_KEYS if key not in metadata]
    if missing:
        raise ModelFileError(
            f"expected the keys {', '.join(REQUIRED_KEYS)}; {', '.join(missing)} missing",
            where=path,
            field=METADATA_NAME,
            fix=_EXPORT_HINT,
        )
    if not isinstance(contract, int) or contract < 1:
        raise ModelFileError(
            f"expected a whole number from 1 to {CONTRACT}, got {contract!r}",
            where=path,
            field="contract",
            fix=_EXPORT_HINT,
        )
    elements = metadata["elements"]
    if (
        not isinstance(elements, list)
        or not elements
        or not all(isinstance(element, str) for element in elements)
    ):
        raise ModelFileError(
            f"expected a list of chemical symbols, got {elements!r}",
            where=path,
            field="elements",
            fix=_EXPORT_HINT,
        )
