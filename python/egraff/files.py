# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that are either complete or absent: write beside the target, then rename."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def atomic_path(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path next to ``target``; rename it onto ``target`` if the block succeeds.

    The temporary name ends as the target does, so that writers which look at the suffix work.
    On an exception the temporary file is removed and the old target, if any, is left as it was.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(
        dir=target.parent, prefix=".part-", suffix="".join(target.suffixes)
    )
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        # mkstemp makes private files; the result should have the permissions of any other file
        umask = os.umask(0)
        os.umask(umask)
        partial.chmod(0o666 & ~umask)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def write_json(target: str | os.PathLike[str], content: Any) -> None:
    """Write ``content`` as indented JSON, atomically. NaN and infinity are refused (not JSON)."""
    text = json.dumps(content, indent=1, allow_nan=False)
    with atomic_path(target) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's content as a hexadecimal string."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
