# SPDX-License-Identifier: GPL-2.0-or-later
"""Parse what LAMMPS prints while it runs: progress, speed, and what went wrong."""

from __future__ import annotations

import re
import signal
import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from egraff.errors import RunError
from egraff.lammps.guard_stop import TEMPERATURE_FIX
from egraff.lammps.inputs_ensemble import Stage

HINTS = (
    (
        "Unrecognized pair style 'egraff'",
        "the plugin was not loaded: egraff doctor tells why",
    ),
    (
        "Non-numeric",
        "the simulation exploded: try a smaller time step, a start nearer to the training data, "
        "or a better model",
    ),
    (
        "Lost atoms",
        "atoms flew out of the box: try a smaller time step, a start nearer to the training data, "
        "or a better model",
    ),
)
"""Likely causes and cures of errors, by a part of LAMMPS's message."""

_GRID = re.compile(r"^\s*(\d+) by (\d+) by (\d+) MPI processor grid")
_LOOP = re.compile(r"^Loop time of (\S+) on \d+ procs for (\d+) steps")
_HALT = re.compile(r"^Fix halt condition for fix-id (\S+) met on step (\d+) with value (\S+)")
_STAGE = re.compile(r"^Stage: (equilibration|production)$")
_ERROR = re.compile(r"^ERROR( on proc \d+)?: ")


class Listener(Protocol):
    """Receives the progress of a run."""

    def stage(self, stage: Stage) -> None:
        """Begin a stage."""

    def row(self, stage: Stage, values: dict[str, float]) -> None:
        """Receive a line of the log, by column name."""


class Follower:
    """Reads LAMMPS's output line by line.

    Args:
        ranks: number of MPI ranks that LAMMPS should find.
        listeners: told about stages and rows.

    Attributes:
        stage: the stage that runs, None before the first.
        step: the last step known to be done in that stage.
        error: LAMMPS's error message, None if there was none.
        too_hot: temperature in K at which :data:`TEMPERATURE_FIX` stopped the run at ``step``.
        production_steps: production steps timed.
        production_s: seconds that they took.
    """

    def __init__(self, *, ranks: int, listeners: Sequence[Listener]) -> None:
        self.stage: Stage | None = None
        self.step = 0
        self.error: list[str] | None = None
        self.too_hot: float | None = None
        self.production_steps = 0
        self.production_s = 0.0
        self._ranks = ranks
        self._listeners = listeners
        self._columns: list[str] = []
        self._first: tuple[int, float] | None = None
        self._tail: deque[str] = deque(maxlen=12)

    def line(self, text: str) -> None:
        """Parse one line of output.

        Raises:
            RunError: LAMMPS runs on another number of ranks than it was started with.
        """
        if text.strip():
            self._tail.append(text)
        if _ERROR.match(text):
            self.error = self.error or []
        if self.error is not None:
            if len(self.error) < 6 and text.strip():
                self.error.append(text.strip())
            return
        if self._columns:
            self._row(text)
        elif text.lstrip().startswith("Step "):
            self._columns = text.split()
        elif grid := _GRID.match(text):
            self._check_ranks([int(number) for number in grid.groups()])
        elif stage := _STAGE.match(text):
            self.stage = "equilibrate" if stage[1] == "equilibration" else "production"
            self.step = 0
            self._first = None
            for listener in self._listeners:
                listener.stage(self.stage)

    def failure(self, returncode: int, log: str) -> RunError:
        """Return the error that describes how LAMMPS failed.

        Args:
            returncode: exit status; negative for a signal.
            log: the log file, for the reader.
        """
        if self.error:
            hints = [hint for key, hint in HINTS if key in " ".join(self.error)]
            cause = "\n  ".join(self.error)
            hint = f"\n  fix: {hints[0]}" if hints else ""
        else:
            cause = f"lmp ended with {_status(returncode)}; it last printed\n  "
            cause += "\n  ".join(self._tail)
            hint = ""
        where = (
            f"after step {self.step} of the {self.stage} stage" if self.stage else "at the start"
        )
        return RunError(f"LAMMPS failed {where}:\n  {cause}{hint}\n  log: {log}")

    def _row(self, text: str) -> None:
        """Parse a line that should hold numbers under the current header."""
        if loop := _LOOP.match(text):
            self._columns = []
            if self.stage == "production":
                self.production_s, self.production_steps = float(loop[1]), int(loop[2])
            return
        if halt := _HALT.match(text):
            self.step = int(halt[2])
            if halt[1] == TEMPERATURE_FIX:
                self.too_hot = float(halt[3])
            return
        words = text.split()
        if len(words) != len(self._columns):
            return  # a warning in between
        try:
            values = dict(zip(self._columns, map(float, words), strict=True))
        except ValueError:
            return
        self.step = int(values["Step"])
        if self.stage is None:
            return
        now = time.monotonic()
        if self._first is None:
            self._first = (self.step, now)
        elif self.stage == "production":
            self.production_steps = self.step - self._first[0]
            self.production_s = now - self._first[1]
        for listener in self._listeners:
            listener.row(self.stage, values)

    def _check_ranks(self, grid: list[int]) -> None:
        """Refuse separate runs that should have been one."""
        found = grid[0] * grid[1] * grid[2]
        if found != self._ranks:
            raise RunError(
                f"expected LAMMPS on {self._ranks} MPI ranks, it started on {found}\n"
                "  fix: use the MPI launcher that belongs to the MPI library of lmp (--mpirun)"
            )


def _status(returncode: int) -> str:
    """Describe an exit status."""
    if returncode < 0:
        return f"signal {-returncode} ({signal.Signals(-returncode).name})"
    return f"exit status {returncode}"
