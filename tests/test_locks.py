# SPDX-License-Identifier: GPL-2.0-or-later
"""One process at a time works in a directory."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys

import pytest

from egraff.errors import InputError
from egraff.locks import LOCK_FILE, locked

HOLD = """
import sys, time
from pathlib import Path
from egraff.locks import locked
with locked(Path(sys.argv[1]), doing="training"):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_second_one_is_refused_and_told_who_is_there(tmp_path):
    with locked(tmp_path):
        with (
            pytest.raises(InputError, match=r"but a training is running in it \(started by proc"),
            locked(tmp_path, doing="training"),
        ):
            pass
        assert f"process {os.getpid()} on " in (tmp_path / LOCK_FILE).read_text()
    with locked(tmp_path):
        pass


def test_the_lock_of_a_dead_process_keeps_nobody_out(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "locked\n"
    with (
        pytest.raises(InputError, match=rf"started by process {process.pid} on"),
        locked(tmp_path),
    ):
        pass
    process.kill()
    process.wait(timeout=30)
    with locked(tmp_path):
        pass


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch):
    def none(handle, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    told = []
    with locked(tmp_path, doing="training", tell=told.append):
        pass
    assert told == [
        f"{tmp_path}: this file system has no locks (No locks available); nothing keeps a second "
        "training out of the directory"
    ]
