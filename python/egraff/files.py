# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that are either complete or absent, and one way to say that a file cannot be written.

Everything is written beside its target and renamed. What the system refuses (a read-only folder, a
full disk) becomes an :class:`~egraff.errors.OutputError` that names the path.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from egraff.errors import OutputError

_NO_ROOM = ("room for it", "free some space, or choose another folder")
_NO_FOLDER = ("a folder to write into", "choose another folder")
_NOT_ALLOWED = (
    "a folder that may be written to",
    "choose another folder, or change its permissions",
)
_REASONS = {
    errno.ENOSPC: _NO_ROOM,
    errno.EDQUOT: _NO_ROOM,
    errno.EFBIG: _NO_ROOM,
    errno.EROFS: _NOT_ALLOWED,
    errno.EACCES: _NOT_ALLOWED,
    errno.EPERM: _NOT_ALLOWED,
    errno.ENOTDIR: _NO_FOLDER,
    errno.EEXIST: _NO_FOLDER,
    errno.EISDIR: ("a file or a free name", "choose another name"),
    errno.ENAMETOOLONG: ("a name that the file system accepts", "choose a shorter name"),
    errno.EIO: ("a disk that works", "choose another folder"),
}
"""What was expected and what to do, by the number of the error."""

_FULL_BYTES = 1 << 16
"""Less free space than this explains why a library could not write a file."""


def output_error(error: OSError, target: str | os.PathLike[str]) -> OutputError | None:
    """Say what kept ``target`` from being written; None where the fault is not the file system's.

    Args:
        error: what the system said.
        target: what was to be written.
    """
    if error.errno not in _REASONS:
        return None
    expected, fix = _REASONS[error.errno]
    return OutputError(f"expected {expected}, got: {error.strerror}", where=target, fix=fix)


@contextmanager
def writing(target: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what the system refuses inside the block into an error that names ``target``.

    Raises:
        OutputError: see :func:`output_error`.
    """
    try:
        yield
    except OSError as error:
        told = output_error(error, target) if _concerns(error, Path(target)) else None
        if told is None:
            raise
        raise told from error


def check_writable(target: str | os.PathLike[str]) -> None:
    """Refuse a file or folder that cannot be made, before any work is done for it.

    Raises:
        OutputError: the nearest folder above ``target`` that exists is a file, or read-only.
    """
    target = Path(target)
    with writing(target):
        folder = target if target.is_dir() else target.parent
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{folder} is a file")
        if not os.access(folder, os.W_OK | os.X_OK):
            read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
            number = errno.EROFS if read_only else errno.EACCES
            raise OSError(number, f"{os.strerror(number)} ({folder})")


def make_folder(folder: str | os.PathLike[str]) -> None:
    """Make a folder and those above it, where they are missing.

    Raises:
        OutputError: it cannot be made, or there is a file of that name.
    """
    with writing(folder):
        Path(folder).mkdir(parents=True, exist_ok=True)


@contextmanager
def atomic_path(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path next to ``target``; rename it onto ``target`` if the block succeeds.

    The temporary name ends as the target does, so that writers which look at the suffix work.
    On an exception the temporary file is removed and the old target, if any, is left as it was.
    What a killed process left of the same target is removed as well.

    Raises:
        OutputError: the file system refused the file; see :func:`output_error`.
    """
    target = Path(target)
    make_folder(target.parent)
    with writing(target):
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "a folder of that name is there")
        _remove_stale(target)
        handle, name = tempfile.mkstemp(
            dir=target.parent,
            prefix=f"{_partial_prefix(target)}{os.getpid()}-",
            suffix="".join(target.suffixes[-2:])[-_LONGEST_SUFFIX:],
        )
        os.close(handle)
    partial = Path(name)
    try:
        with writing(target):
            yield partial
            # mkstemp makes private files; the result should have the permissions of any other file
            umask = os.umask(0)
            os.umask(umask)
            partial.chmod(0o666 & ~umask)
            partial.replace(target)
    except (RuntimeError, ValueError) as error:
        # torch and its like have errors of their own for a full disk
        if not isinstance(error, OutputError) and _is_full(target.parent):
            full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise output_error(full, target) from error
        raise
    finally:
        with suppress(OSError):  # the disk may have become read-only
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


_LONGEST_SUFFIX = 64


def _concerns(error: OSError, target: Path) -> bool:
    """Tell whether an error is about ``target``, its folders or its temporary file.

    A block that writes also reads; what it cannot read is not the target's fault.
    """
    names = [name for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    target = Path(os.path.abspath(target))
    places = [Path(os.path.abspath(os.fsdecode(name))) for name in names]
    return not places or any(
        place in (target, *target.parents) or place.parent == target.parent for place in places
    )


def _partial_prefix(target: Path) -> str:
    """What the temporary names of a target begin with on this machine.

    Digests, as the name itself may be as long as the file system allows.
    """
    name, host = (
        hashlib.sha256(os.fsencode(text)).hexdigest()[:8]
        for text in (target.name, socket.gethostname())
    )
    return f".part-{name}-{host}-"


def _remove_stale(target: Path) -> None:
    """Remove temporary files of ``target`` whose process on this machine is gone."""
    prefix = _partial_prefix(target)
    for path in target.parent.iterdir():
        number = path.name.removeprefix(prefix).split("-")[0]
        if path.name.startswith(prefix) and number.isdigit() and not _is_alive(int(number)):
            path.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    """Tell whether a process of this number runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's
    return True


def _is_full(folder: Path) -> bool:
    """Tell whether the disk of a folder has no room left."""
    return shutil.disk_usage(folder).free < _FULL_BYTES
