# SPDX-License-Identifier: GPL-2.0-or-later
"""One start of LAMMPS: monitor it to its end and keep ``run.json`` up to date."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

from egraff.files import writing
from egraff.lammps import inputs, launch
from egraff.lammps.conserved import ConservedEnergy
from egraff.lammps.follow import Follower
from egraff.lammps.guard_stop import (
    STOPPED_FILE,
    GuardStop,
    stop_of_error,
    stop_of_temperature,
)
from egraff.lammps.inputs_ensemble import Stage, Start, conserved_column
from egraff.lammps.run_progress import RunDisplay
from egraff.lammps.run_record import RunRecord, Status, save_record
from egraff.lammps.run_resume import prune_restarts

SCREEN_FILE = "screen.log"

SAVE_EVERY_S = 30.0
"""Seconds between updates of ``run.json`` while LAMMPS runs."""


def execute(
    record: RunRecord,
    out: Path,
    script: str,
    start: Start,
    *,
    lock: int,
    console: Console,
) -> RunRecord:
    """Start LAMMPS, monitor it to its end, and keep ``run.json`` up to date.

    Args:
        record: the record of the run, changed in place.
        out: the run directory.
        script: the input script in it.
        start: where that script starts.
        lock: descriptor of the directory's lock, which LAMMPS inherits.
        console: where to show progress.

    Returns:
        ``record``: completed, interrupted, or stopped by a guard.

    Raises:
        RunError: LAMMPS failed; the record says so too.
    """
    settings = record.settings
    segment = record.start_segment(stage=start.stage, step=start.step)
    save_record(out, record)
    totals: dict[Stage, int] = {
        "equilibrate": settings.equilibrate_steps,
        "production": settings.steps,
    }
    (out / STOPPED_FILE).unlink(missing_ok=True)
    display = RunDisplay(totals=totals, timestep_fs=settings.timestep_fs, console=console)
    energy = ConservedEnergy(conserved_column(settings))
    follower = Follower(ranks=settings.ranks, listeners=[display, energy])
    began = last_saved = time.monotonic()

    def note() -> None:
        segment.stage = follower.stage or start.stage
        before = start.step if segment.stage == start.stage else 0
        segment.to_step = max(follower.step, before)
        segment.wall_time_s = time.monotonic() - began
        segment.production_steps = follower.production_steps
        segment.production_s = follower.production_s
        if segment.stage == "production":
            record.steps_done = segment.to_step
        save_record(out, record)

    def on_line(line: str) -> None:
        nonlocal last_saved
        screen.write(line + "\n")
        follower.line(line)
        if time.monotonic() - last_saved > SAVE_EVERY_S:
            last_saved = time.monotonic()
            note()
            prune_restarts(out)

    try:
        with (
            writing(out / SCREEN_FILE),
            open(out / SCREEN_FILE, "a" if start.restart else "w", encoding="utf-8") as screen,
            display,
        ):
            ended = launch.launch(
                launch.command_line(
                    script, ranks=settings.ranks, lmp=settings.lmp, mpirun=settings.mpirun
                ),
                directory=out,
                threads=settings.threads,
                stop_file=out / inputs.STOP_FILE,
                on_line=on_line,
                on_interrupt=display.tell,
                keep_open=(lock,),
            )
        complete = follower.stage == "production" and follower.step >= settings.steps
        record.stopped_by = _guard_stop(record, follower, out)
        if record.stopped_by is not None:
            status: Status = "stopped by guard"
            segment.error = record.error = str(record.stopped_by)
        elif ended.returncode == 0 and complete and follower.error is None:
            status = "completed"
        elif ended.asked_to_stop or (ended.returncode == 0 and follower.error is None):
            status = "interrupted"
        else:
            log = inputs.LOG_FILE if follower.stage == "production" else SCREEN_FILE
            raise follower.failure(ended.returncode, str(out / log))
        segment.status = record.status = status
        if status != "stopped by guard":
            segment.drift = energy.drift(record.system.n_atoms)
        if segment.drift is not None and segment.drift.verdict == "drifts":
            record.warnings.append(f"{segment.drift} (from step {segment.from_step})")
    except BaseException as error:
        segment.status = record.status = "failed"
        segment.error = record.error = str(error) or type(error).__name__
        raise
    finally:
        note()
        prune_restarts(out)
    return record


def _guard_stop(record: RunRecord, follower: Follower, out: Path) -> GuardStop | None:
    """Return why the run stopped itself, None if it did not."""
    guards, elements = record.guards, record.system.elements
    if follower.stage is None or guards is None:
        return None
    if follower.error:
        return stop_of_error(follower.error, stage=follower.stage, elements=elements, guards=guards)
    if follower.too_hot is None:
        return None
    return stop_of_temperature(
        follower.too_hot,
        follower.step,
        stage=follower.stage,
        elements=elements,
        guards=guards,
        frame=out / STOPPED_FILE,
    )
