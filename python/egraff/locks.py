# SPDX-License-Identifier: GPL-2.0-or-later
"""A directory belongs to one training or run at a time."""

from __future__ import annotations

import fcntl
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from egraff.errors import InputError
from egraff.files import writing

LOCK_FILE = ".lock"


def _to_stderr(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)


@contextmanager
def locked(
    directory: Path, *, doing: str = "run", tell: Callable[[str], None] = _to_stderr
) -> Iterator[int]:
    """Keep other processes from working in a directory; yields the descriptor of the lock.

    The operating system ends the lock with the last process that holds the descriptor, however it
    dies: a lock of a dead process keeps nobody out, and one that a child inherited lives on with
    the child. Where the file system has no locks (some network file systems) work goes on without,
    and that is said.

    Args:
        directory: an existing directory.
        doing: ``run`` or ``training``, for the message.
        tell: called with a sentence where there are no locks.

    Raises:
        InputError: another process works in the directory.
    """
    with writing(directory):
        handle = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 200, 0).decode(errors="replace").strip()
            raise InputError(
                f"expected a directory that is not in use, but a {doing} is running in it"
                + (f" ({holder})" if holder else ""),
                where=directory,
                fix="wait for it, stop it, or choose another --out",
            ) from None
        except OSError as error:
            tell(
                f"{directory}: this file system has no locks ({error.strerror}); nothing keeps a "
                f"second {doing} out of the directory"
            )
        else:
            os.ftruncate(handle, 0)
            holder = f"started by process {os.getpid()} on {socket.gethostname()}\n"
            os.pwrite(handle, holder.encode(), 0)
        yield handle
    finally:
        os.close(handle)
