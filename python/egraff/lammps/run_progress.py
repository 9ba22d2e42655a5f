# SPDX-License-Identifier: GPL-2.0-or-later
"""A progress bar on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from egraff.lammps.inputs_ensemble import Stage

_NAMES: dict[Stage, str] = {"equilibrate": "equilibration", "production": "production"}


class RunDisplay:
    """Shows the progress of a run; a context manager.

    Args:
        totals: steps of each stage.
        timestep_fs: time step in fs, for the speed.
        console: where to write; a quiet one writes nothing.
    """

    def __init__(
        self,
        *,
        totals: dict[Stage, int],
        timestep_fs: float,
        console: Console,
    ) -> None:
        self._console = console
        self._totals = totals
        self._timestep_fs = timestep_fs
        self._task: TaskID | None = None
        self._first: tuple[int, float] | None = None
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[state]}"),
            console=self._console,
            disable=console.quiet or not console.is_terminal,
        )

    def __enter__(self) -> RunDisplay:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def stage(self, stage: Stage) -> None:
        """Begin a stage."""
        self._first = None
        self._task = self._progress.add_task(
            _NAMES[stage], total=max(self._totals[stage], 1), state=""
        )
        if not self._console.is_terminal:
            self.tell(f"{_NAMES[stage]}: {self._totals[stage]} steps")

    def row(self, stage: Stage, values: dict[str, float]) -> None:
        """Show a line of the log."""
        step = int(values["Step"])
        now = time.monotonic()
        self._first = self._first or (step, now)
        seconds = now - self._first[1]
        state = f"{values['Temp']:.0f} K  {values['TotEng']:.4f} eV"
        if seconds > 0 and step > self._first[0]:
            ns = (step - self._first[0]) * self._timestep_fs * 1e-6
            state += f"  {ns / (seconds / 86400.0):.3g} ns/day"
        if self._task is not None:
            total = max(self._totals[stage], 1)
            done = step if self._totals[stage] else 1
            self._progress.update(self._task, completed=min(done, total), state=state)

    def tell(self, text: str) -> None:
        """Write a line above the bar."""
        self._console.print(text, markup=False, soft_wrap=True)
