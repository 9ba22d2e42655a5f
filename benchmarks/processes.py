# SPDX-License-Identifier: GPL-2.0-or-later
"""Measurements in processes of their own, so that none sees the caches or memory of another."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent


def result_line(text: str) -> dict[str, float] | None:
    """Return what the first line ``RESULT {...}`` says, or None if there is no such line."""
    for line in text.splitlines():
        if line.startswith("RESULT "):
            return json.loads(line.removeprefix("RESULT "))
    return None


def measured(command: Sequence[object], threads: int) -> dict[str, float] | None:
    """Run a command that prints a RESULT line; tell why there is none if so."""
    words = [str(word) for word in command]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    result = result_line(done.stdout) if done.returncode == 0 else None
    if result is None:
        reason = done.stderr.strip()[-300:] or f"status {done.returncode}"
        print(f"# no result from {shlex.join(words)}: {reason}", flush=True)
    return result


def model_file(path: Path, n_atoms: int, threads: int, seconds: float) -> dict[str, float] | None:
    """Measure the evaluation of one of our files in the library that LAMMPS calls."""
    command = [sys.executable, HERE / "evaluate.py", path, n_atoms, threads, seconds]
    return measured(command, threads)
