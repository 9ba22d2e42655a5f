# SPDX-License-Identifier: GPL-2.0-or-later
"""The archive that is a model file: what torch wrote, with metadata and a digest."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, BinaryIO

from egraff import _model_file

#: What no program needs: the sources of machine code, and tables of the source lines that a program
#: was made from, with the paths that they had on the machine that made it.
_LEFT_OUT = (".debug_pkl", ".cpp")


def write_archive(
    target: str | PathLike[str],
    made: BinaryIO | str | PathLike[str],
    metadata: Mapping[str, Any],
    *,
    private: Sequence[str | PathLike[str]] = (),
) -> None:
    """Write a model file.

    The same contents make the same file. Records are stored as they are: readers then need no more
    memory than the file has bytes, and torch maps weights without a copy.

    Args:
        target: the file to write.
        made: the archive that torch wrote, a file or its path.
        metadata: what the file says about itself.
        private: directories of this machine, whose names are blotted out.
    """
    with zipfile.ZipFile(made) as source, zipfile.ZipFile(target, "w") as archive:
        names = [name for name in source.namelist() if not name.endswith(_LEFT_OUT)]
        folder = names[0].split("/")[0]
        for name in names:
            content = source.read(name)
            for directory in map(os.fsencode, private):
                # of the same length, as machine code may not change its size
                content = content.replace(directory, b"/" * len(directory))
            _store(archive, name, content)
        text = json.dumps(metadata, allow_nan=False)
        _store(archive, f"{folder}/{_model_file.METADATA_RECORD}", text.encode())
    seal(target)


def seal(path: str | PathLike[str]) -> None:
    """Add the digest of its content to an archive that has none."""
    digest = _model_file.digest(os.fsencode(path))
    with zipfile.ZipFile(path, "a") as archive:
        folder = archive.namelist()[0].split("/")[0]
        _store(archive, f"{folder}/{_model_file.DIGEST_RECORD}", digest.encode())


def _store(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    # an entry made from its name alone has the same date whenever it is made
    archive.writestr(zipfile.ZipInfo(name), content, compress_type=zipfile.ZIP_STORED)
