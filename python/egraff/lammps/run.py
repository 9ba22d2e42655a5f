# SPDX-License-Identifier: GPL-2.0-or-later
"""Run molecular dynamics in LAMMPS: check, write inputs, start, monitor, record, resume."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from egraff.errors import InputError
from egraff.files import atomic_path, make_folder
from egraff.lammps import inputs, launch
from egraff.lammps.guard_stop import STOPPED_FILE
from egraff.lammps.guards import Guards, check_start, choose_guards
from egraff.lammps.inputs_ensemble import Start, System
from egraff.lammps.model_link import link_model
from egraff.lammps.run_execute import SCREEN_FILE, execute
from egraff.lammps.run_prepare import (
    check_physics,
    check_unchanged,
    prepare_structure,
    same_files,
    system_from,
)
from egraff.lammps.run_record import (
    RECORD_FILE,
    RunRecord,
    new_record,
    read_record,
)
from egraff.lammps.run_remarks import remarks_on
from egraff.lammps.run_resume import prepare_resume
from egraff.lammps.run_settings import GUARDS, RunSettings, make_settings
from egraff.lammps.structure import write_data
from egraff.locks import locked
from egraff.metadata import read_metadata

SCRIPT = "in.lammps"
RESUME_SCRIPT = "in.resume.lammps"


def run_md(
    settings: RunSettings,
    out: Path,
    *,
    overwrite: bool = False,
    dry_run: bool = False,
    console: Console | None = None,
) -> RunRecord:
    """Run from the start.

    Args:
        settings: what to run.
        out: the run directory.
        overwrite: replace a run that ``out`` holds.
        dry_run: only write the data file and the input script.
        console: where to show progress and warnings; standard error if None.

    Returns:
        The record of the run (``run.json``). Its status is ``completed``, ``interrupted`` when
        somebody stopped the run, or ``stopped by guard`` when it stopped itself. After a dry run:
        what would have been written at the start.

    Raises:
        InputError: the settings, the model, the structure or the directory cannot be used; nothing
            was started.
        RunError: LAMMPS failed; ``run.json`` says so too, and the run can be resumed.
    """
    metadata = read_metadata(settings.model)
    structure = prepare_structure(settings, metadata["elements"])
    system = system_from(structure)
    check_physics(settings, structure, system)
    launch.command_line(SCRIPT, ranks=settings.ranks, lmp=settings.lmp, mpirun=settings.mpirun)
    guards = choose_guards(settings, system, metadata)
    check_start(guards, structure, where=settings.structure)
    _check_directory(out, overwrite=overwrite)
    settings = settings.model_copy(
        update={"model": settings.model.resolve(), "structure": settings.structure.resolve()}
    )
    warnings = [
        *structure.warnings,
        *remarks_on(settings, system, metadata),
        *guards.remarks,
    ]
    console = console or Console(stderr=True, highlight=False)
    for warning in warnings:
        console.print(f"warning: {warning}", markup=False, soft_wrap=True)
    _tell_guards(guards, console)
    record = new_record(
        settings,
        system,
        metadata=metadata,
        rotation=structure.box.rotation,
        warnings=warnings,
        guards=guards,
    )
    make_folder(out)
    with locked(out) as lock:
        _clear(out)
        write_data(out / inputs.DATA_FILE, structure, title=_title(settings, system))
        _write_script(out / SCRIPT, record, Start())
        if dry_run:
            return record
        return execute(record, out, SCRIPT, Start(), lock=lock, console=console)


def resume_md(
    values: Mapping[str, Any],
    out: Path,
    *,
    files: Mapping[str, str] | None = None,
    console: Console | None = None,
) -> RunRecord:
    """Continue the run in a directory up to ``steps`` in total.

    Args:
        values: settings to change (:data:`~egraff.lammps.run_settings.CHANGEABLE_ON_RESUME`);
            others may be repeated, but must be what they were.
        out: the run directory.
        files: see :func:`~egraff.lammps.run_settings.make_settings`.
        console: where to show progress and warnings; standard error if None.

    Returns:
        The record of the run; unchanged if the run is complete already.

    Raises:
        InputError: ``out`` holds no run, the model or a setting differs from the run's, or fewer
            steps are asked for than were done.
        RunError: LAMMPS failed.
    """
    record = read_record(out)
    if record is None:
        raise InputError(
            f"expected a run to resume, found no {RECORD_FILE}",
            where=out,
            fix="check --out, or start the run without --resume",
        )
    old = record.settings
    settings = make_settings({**old.model_dump(), **values}, files=files)
    settings = same_files(settings, old, record)
    check_unchanged(settings, old)
    metadata = read_metadata(settings.model)
    if settings.steps < record.steps_done:
        raise InputError(
            f"expected at least the {record.steps_done} steps that are done, got {settings.steps}",
            field="--steps",
            fix="--steps counts from the start of the run, not from where it is resumed",
        )
    if record.status == "completed" and settings.steps == record.steps_done:
        return record
    launch.command_line(SCRIPT, ranks=settings.ranks, lmp=settings.lmp, mpirun=settings.mpirun)
    system = record.system
    console = console or Console(stderr=True, highlight=False)
    if record.guards is None or any(getattr(settings, n) != getattr(old, n) for n in GUARDS):
        record.guards = choose_guards(settings, system, metadata)
        _tell_guards(record.guards, console)
    with locked(out) as lock:
        for segment in record.segments:
            if segment.status == "running":  # nobody was left to write how it ended
                segment.status, segment.error = "killed", "the process was ended from outside"
        start = prepare_resume(out, dump_every=settings.dump_every, n_atoms=system.n_atoms)
        script = SCRIPT if start.restart is None else RESUME_SCRIPT
        if start.restart is None and not (out / inputs.DATA_FILE).is_file():
            raise InputError(
                f"expected a restart file or {inputs.DATA_FILE}, found neither",
                where=out,
                fix="start again with --overwrite",
            )
        record.settings = settings
        _write_script(out / script, record, start)
        return execute(record, out, script, start, lock=lock, console=console)


def _check_directory(out: Path, *, overwrite: bool) -> None:
    """Refuse to mix two runs."""
    if out.exists() and not out.is_dir():
        raise InputError("expected a directory, got a file", where=out, fix="choose another --out")
    if (out / RECORD_FILE).exists() and not overwrite:
        raise InputError(
            "expected a directory without a run, found one",
            where=out / RECORD_FILE,
            fix="--resume continues it, --overwrite replaces it, --out chooses another directory",
        )


def _clear(out: Path) -> None:
    """Remove what an earlier run and its analysis left."""
    for name in (
        RECORD_FILE,
        SCRIPT,
        RESUME_SCRIPT,
        SCREEN_FILE,
        inputs.DATA_FILE,
        inputs.LOG_FILE,
        inputs.EQUILIBRATION_LOG,
        inputs.DUMP_FILE,
        inputs.FINAL_DATA_FILE,
        inputs.STOP_FILE,
        STOPPED_FILE,
    ):
        (out / name).unlink(missing_ok=True)
    for name in (inputs.RESTART_DIRECTORY, "analysis"):
        shutil.rmtree(out / name, ignore_errors=True)
    (out / inputs.RESTART_DIRECTORY).mkdir()


def _title(settings: RunSettings, system: System) -> str:
    """Describe the run in one line."""
    return (
        f"egraff: {settings.ensemble.upper()} at {settings.temperature:g} K, "
        f"{system.n_atoms} atoms ({' '.join(system.elements)}), "
        f"{settings.steps} steps of {settings.timestep_fs:g} fs"
    )


def _tell_guards(guards: Guards, console: Console) -> None:
    """Say what the run stops at."""
    for line in guards.lines():
        console.print(f"stops at {line}", markup=False, soft_wrap=True)


def _write_script(path: Path, record: RunRecord, start: Start) -> None:
    """Write the input script and, beside it, the link to the model that it names."""
    settings, system, guards = record.settings, record.system, record.guards
    model = link_model(settings.model, path.parent)
    force_field = inputs.pair_lines(
        model, system.elements, device=settings.device, threads=settings.threads, guards=guards
    )
    text = inputs.render(
        settings,
        system,
        force_field,
        start=start,
        title=_title(settings, system),
        max_temperature=guards and guards.max_temperature,
    )
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")
