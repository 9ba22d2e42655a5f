# SPDX-License-Identifier: GPL-2.0-or-later
"""Model files that are not quite right: other contents, with a digest that fits or does not."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from e3nn.util import jit

from egraff.export.archive import seal

METADATA = "extra/egraff.json"
DIGEST = "extra/egraff.sha256"


def records(path: Path) -> dict[str, bytes]:
    """Return the contents of an archive by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path: Path, contents: Mapping[str, bytes], *, compression=zipfile.ZIP_STORED) -> Path:
    """Write an archive as some other program would."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def altered(source: Path, target: Path, /, *, sealed: bool = True, **changes: Any) -> Path:
    """Copy a model file with other metadata; ``sealed`` gives it the digest that fits."""
    contents = records(source)
    (name,) = (name for name in contents if name.endswith(METADATA))
    contents[name] = json.dumps({**json.loads(contents[name]), **changes}).encode()
    return replaced(target, contents, sealed=sealed)


def replaced(target: Path, contents: Mapping[str, bytes], *, sealed: bool = True) -> Path:
    """Write a model file of these records, with the digest that fits or with the old one."""
    if not sealed:
        return write(target, contents)
    write(target, {name: data for name, data in contents.items() if not name.endswith(DIGEST)})
    seal(target)
    return target


def with_text(path: Path, model: torch.nn.Module, text: str) -> Path:
    """Write a TorchScript model with a text in the place of its metadata, and a digest."""
    archive = io.BytesIO()
    torch.jit.save(jit.script(model), archive)
    return replaced(path, {**records(archive), f"archive/{METADATA}": text.encode()})


def made_up(path: Path, metadata: Mapping[str, Any]) -> Path:
    """Write an archive that has nothing of a model but its metadata and a digest."""
    return replaced(path, {f"model/{METADATA}": json.dumps(metadata).encode()})
