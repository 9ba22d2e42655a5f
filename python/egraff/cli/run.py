# SPDX-License-Identifier: GPL-2.0-or-later
"""``egraff run``: molecular dynamics in LAMMPS with an exported model."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egraff.cli.types import writable

if TYPE_CHECKING:
    from egraff.lammps.run_record import RunRecord

_SIMULATION = "Simulation"
_CONTROL = "Temperature and pressure"
_OUTPUT = "Output"
_MACHINE = "Where it runs"

INTERRUPTED = 130
"""Exit status of a run that was stopped before its end, as shells report ctrl-C."""


def run(
    out: Annotated[
        Path | None,
        typer.Option(help="Run directory.", show_default=False, callback=writable),
    ] = None,
    model: Annotated[
        list[Path] | None,
        typer.Option(help="Exported model, NAME.egraff.pt.", show_default=False, metavar="FILE"),
    ] = None,
    structure: Annotated[
        Path | None,
        typer.Option(
            help="Start structure: a LAMMPS dump or data file, or any that ASE reads.",
            show_default=False,
        ),
    ] = None,
    elements: Annotated[
        str | None,
        typer.Option(
            help='Symbols of atom types 1, 2, ... of a LAMMPS dump or data file, "O H".',
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="YAML file with any of these settings; flags come on top."),
    ] = None,
    ensemble: Annotated[
        str | None, typer.Option(help="nve, nvt or npt. (default nve)", rich_help_panel=_SIMULATION)
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            help="Length in steps, in total: --resume continues up to it. (default 1000)",
            rich_help_panel=_SIMULATION,
        ),
    ] = None,
    timestep_fs: Annotated[
        float | None, typer.Option(help="Time step in fs. (default 1)", rich_help_panel=_SIMULATION)
    ] = None,
    frame: Annotated[
        int | None,
        typer.Option(
            help="Frame of the structure file, from 0; negative from the end. (default 0)",
            rich_help_panel=_SIMULATION,
        ),
    ] = None,
    replicate: Annotated[
        tuple[int, int, int] | None,
        typer.Option(
            help="Repetitions along a, b and c. (default 1 1 1)", rich_help_panel=_SIMULATION
        ),
    ] = None,
    velocities: Annotated[
        str | None,
        typer.Option(
            help="First velocities: draw (at the temperature), structure (from the file) or zero. "
            "(default draw)",
            rich_help_panel=_SIMULATION,
        ),
    ] = None,
    equilibrate_steps: Annotated[
        int | None,
        typer.Option(
            help="Thermostatted steps before the run, not recorded. (default 0)",
            rich_help_panel=_SIMULATION,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Of velocities and stochastic thermostats. (default 1)",
            rich_help_panel=_SIMULATION,
        ),
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(help="In K. (default 300)", rich_help_panel=_CONTROL)
    ] = None,
    pressure_bar: Annotated[
        float | None, typer.Option(help="In bar, npt only. (default 1)", rich_help_panel=_CONTROL)
    ] = None,
    thermostat: Annotated[
        str | None,
        typer.Option(
            help="nose-hoover, csvr (stochastic velocity rescaling) or langevin. "
            "(default nose-hoover)",
            rich_help_panel=_CONTROL,
        ),
    ] = None,
    thermostat_damp_ps: Annotated[
        float | None,
        typer.Option(
            help="Relaxation time in ps. (default 0.1, langevin 1)",
            rich_help_panel=_CONTROL,
        ),
    ] = None,
    barostat: Annotated[
        str | None,
        typer.Option(
            help="iso (volume), aniso (three lengths) or tri (and tilts). (default iso)",
            rich_help_panel=_CONTROL,
        ),
    ] = None,
    barostat_damp_ps: Annotated[
        float | None,
        typer.Option(help="Relaxation time in ps. (default 1)", rich_help_panel=_CONTROL),
    ] = None,
    dump_every: Annotated[
        int | None,
        typer.Option(
            help="Steps between frames of the trajectory, 0 for none. (default 100)",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    thermo_every: Annotated[
        int | None,
        typer.Option(help="Steps between lines of the log. (default 10)", rich_help_panel=_OUTPUT),
    ] = None,
    restart_every: Annotated[
        int | None,
        typer.Option(
            help="Steps between restart files, 0 for the last only. (default 1000)",
            rich_help_panel=_OUTPUT,
        ),
    ] = None,
    ranks: Annotated[
        int | None, typer.Option(help="MPI ranks. (default 1)", rich_help_panel=_MACHINE)
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads per rank. (default 1)", rich_help_panel=_MACHINE)
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu or cuda. (default auto)", rich_help_panel=_MACHINE)
    ] = None,
    lmp: Annotated[
        Path | None,
        typer.Option(
            help="Another LAMMPS executable than this environment's.", rich_help_panel=_MACHINE
        ),
    ] = None,
    mpirun: Annotated[
        str | None,
        typer.Option(
            help="Another MPI launcher, for example srun; it is called with -n RANKS.",
            rich_help_panel=_MACHINE,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Continue the run in --out; start it if there is none (for queues)."
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run that --out holds.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and write the inputs only.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Run NVE, NVT or NPT molecular dynamics in LAMMPS.

    The run directory then holds in.lammps, structure.data, log.lammps, dump.lammpstrj, restart
    files and run.json. Ctrl-C stops LAMMPS cleanly; --resume goes on from there.
    """
    given = {
        name: value
        for name, value in locals().items()
        if value is not None
        and name not in ("out", "config", "resume", "overwrite", "dry_run", "quiet")
    }
    from rich.console import Console

    from egraff.errors import InputError

    if resume and (overwrite or dry_run):
        other = "--overwrite" if overwrite else "--dry-run"
        raise InputError(
            f"expected one of --resume and {other}, got both",
            fix="--resume continues a run, --overwrite replaces it, --dry-run starts none",
        )
    if model:
        given["model"] = _one_model(model)
    values, files, directory = _with_config(given, config, out)

    from egraff.lammps.run import resume_md, run_md
    from egraff.lammps.run_record import RECORD_FILE
    from egraff.lammps.run_settings import make_settings

    console = Console(stderr=True, highlight=False, quiet=quiet)
    if resume and (directory / RECORD_FILE).exists():
        record = resume_md(values, directory, files=files, console=console)
    else:
        settings = make_settings(values, files=files)
        record = run_md(settings, directory, overwrite=overwrite, dry_run=dry_run, console=console)
    _report(record, directory, dry_run=dry_run)
    if record.status == "interrupted":
        raise typer.Exit(INTERRUPTED)


def _one_model(models: list[Path]) -> Path:
    """Return the model; several are a committee, of which a run would take one."""
    from egraff.errors import InputError

    if len(models) > 1:
        raise InputError(
            f"expected one model, got {len(models)}: {', '.join(map(str, models))}",
            field="--model",
            fix="run a committee with lammps_inputs/in.committee, whose trajectory "
            "`egraff analyse` reads, or one run for each model",
        )
    return models[0]


def _with_config(
    given: dict[str, Any], config: Path | None, out: Path | None
) -> tuple[dict[str, Any], dict[str, str], Path]:
    """Lay flags over the configuration file; also tell which settings the file gave."""
    from egraff.errors import InputError
    from egraff.settings_file import read_settings

    content = {} if config is None else read_settings(config, example="temperature: 300")
    directory = out or content.pop("out", None)
    content.pop("out", None)
    if directory is None:
        raise InputError("expected a run directory, got none", field="--out", fix="add --out DIR")
    files = {str(name): str(config) for name in content if name not in given}
    return (
        {**{str(name): value for name, value in content.items()}, **given},
        files,
        Path(directory),
    )


def _report(record: RunRecord, directory: Path, *, dry_run: bool) -> None:
    """Say what was done and what comes next."""
    if dry_run:
        typer.echo(f"{directory}: inputs written; start them with egraff run, or there by hand:")
        typer.echo("  lmp -in in.lammps")
        return
    line = f"{record.status}: {record.steps_done} of {record.settings.steps} steps"
    line += f" ({record.time_done_ps:g} ps) in {record.wall_time_s:.1f} s"
    if record.ns_per_day is not None:
        line += f", {record.ns_per_day:.3g} ns/day"
    typer.echo(line)
    following = "egraff analyse" if record.status == "completed" else "egraff run --resume --out"
    typer.echo(f"next: {following} {shlex.quote(str(directory))}")
