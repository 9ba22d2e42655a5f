# SPDX-License-Identifier: GPL-2.0-or-later
"""``egraff run``: molecular dynamics in LAMMPS with an exported model."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egraff.cli.types import writable
from egraff.cli.verdict import say_verdict
from egraff.lammps.run_settings import help_of

if TYPE_CHECKING:
    from egraff.lammps.guard_stop import GuardStop
    from egraff.lammps.run_record import RunRecord

_SIMULATION = "Simulation"
_CONTROL = "Temperature and pressure"
_GUARDS = "Guards: where the run stops itself"
_OUTPUT = "Output"
_MACHINE = "Where it runs"

STOPPED_BY_GUARD = 3
"""Exit status of a run that stopped itself."""

INTERRUPTED = 130
"""Exit status of a run that was stopped before its end, as shells report ctrl-C."""

_EXIT = {"stopped by guard": STOPPED_BY_GUARD, "interrupted": INTERRUPTED}

_NOT_SETTINGS = ("out", "config", "resume", "overwrite", "dry_run", "quiet")


def _setting(name: str, panel: str | None = None, **options: Any) -> Any:
    """Return the flag of a setting."""
    return typer.Option(help=help_of(name), rich_help_panel=panel, show_default=False, **options)


def run(
    out: Annotated[
        Path | None,
        typer.Option(help="Run directory.", show_default=False, callback=writable),
    ] = None,
    model: Annotated[list[Path] | None, _setting("model", metavar="FILE")] = None,
    structure: Annotated[Path | None, _setting("structure")] = None,
    elements: Annotated[str | None, _setting("elements")] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="YAML file with any of these settings; flags come on top."),
    ] = None,
    ensemble: Annotated[str | None, _setting("ensemble", _SIMULATION)] = None,
    steps: Annotated[int | None, _setting("steps", _SIMULATION)] = None,
    timestep_fs: Annotated[float | None, _setting("timestep_fs", _SIMULATION)] = None,
    frame: Annotated[int | None, _setting("frame", _SIMULATION)] = None,
    replicate: Annotated[tuple[int, int, int] | None, _setting("replicate", _SIMULATION)] = None,
    velocities: Annotated[str | None, _setting("velocities", _SIMULATION)] = None,
    equilibrate_steps: Annotated[int | None, _setting("equilibrate_steps", _SIMULATION)] = None,
    seed: Annotated[int | None, _setting("seed", _SIMULATION)] = None,
    temperature: Annotated[float | None, _setting("temperature", _CONTROL)] = None,
    pressure_bar: Annotated[float | None, _setting("pressure_bar", _CONTROL)] = None,
    thermostat: Annotated[str | None, _setting("thermostat", _CONTROL)] = None,
    thermostat_damp_ps: Annotated[float | None, _setting("thermostat_damp_ps", _CONTROL)] = None,
    barostat: Annotated[str | None, _setting("barostat", _CONTROL)] = None,
    barostat_damp_ps: Annotated[float | None, _setting("barostat_damp_ps", _CONTROL)] = None,
    min_distance: Annotated[str | None, _setting("min_distance", _GUARDS)] = None,
    max_force: Annotated[str | None, _setting("max_force", _GUARDS)] = None,
    max_temperature: Annotated[str | None, _setting("max_temperature", _GUARDS)] = None,
    no_guard_distance: Annotated[
        bool,
        typer.Option(
            "--no-guard-distance", help="Do not stop at short distances.", rich_help_panel=_GUARDS
        ),
    ] = False,
    no_guard_force: Annotated[
        bool,
        typer.Option(
            "--no-guard-force", help="Do not stop at large forces.", rich_help_panel=_GUARDS
        ),
    ] = False,
    no_guard_temperature: Annotated[
        bool,
        typer.Option(
            "--no-guard-temperature",
            help="Do not stop at high temperatures.",
            rich_help_panel=_GUARDS,
        ),
    ] = False,
    dump_every: Annotated[int | None, _setting("dump_every", _OUTPUT)] = None,
    thermo_every: Annotated[int | None, _setting("thermo_every", _OUTPUT)] = None,
    restart_every: Annotated[int | None, _setting("restart_every", _OUTPUT)] = None,
    ranks: Annotated[int | None, _setting("ranks", _MACHINE)] = None,
    threads: Annotated[int | None, _setting("threads", _MACHINE)] = None,
    device: Annotated[str | None, _setting("device", _MACHINE)] = None,
    lmp: Annotated[Path | None, _setting("lmp", _MACHINE)] = None,
    mpirun: Annotated[str | None, _setting("mpirun", _MACHINE)] = None,
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

    A run stops itself where atoms come closer, forces are larger or the temperature is higher than
    in anything the model knows; of each, null in the YAML file or --no-guard-... sets no limit.

    At its end it is judged by its log, which leaves the exit status as it is; `egraff analyse`
    looks at the trajectory, too, and ends with 4 if the run is unsound.

    Exit status: 0 completed, 1 failed, 2 refused, 3 stopped by a guard, 130 interrupted.
    """
    given = {
        name: value
        for name, value in locals().items()
        if value is not None and name not in _NOT_SETTINGS and not name.startswith("no_guard")
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
    for name, guard, off in (
        ("min_distance", "distance", no_guard_distance),
        ("max_force", "force", no_guard_force),
        ("max_temperature", "temperature", no_guard_temperature),
    ):
        if off and name in given:
            flag = "--" + name.replace("_", "-")
            raise InputError(
                f"expected one of {flag} and --no-guard-{guard}, got both",
                fix=f"{flag} sets a limit, --no-guard-{guard} sets none",
            )
        if off:
            given[name] = None
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
    if record.status in _EXIT:
        raise typer.Exit(_EXIT[record.status])


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
    if record.segments and (drift := record.segments[-1].drift):
        typer.echo(f"energy: {drift}")
    where = shlex.quote(str(directory))
    if stop := record.stopped_by:
        _tell_stop(stop, record, where)
    ended = record.status in ("completed", "stopped by guard")
    if ended:
        _judge(directory)
    typer.echo(f"next: egraff {'analyse' if ended else 'run --resume --out'} {where}")


def _judge(directory: Path) -> None:
    """Print the verdict, as far as the log and the record tell."""
    from rich.console import Console

    from egraff.analysis.pipeline import verdict_of_log
    from egraff.analysis.runs import read_run

    console = Console(highlight=False, soft_wrap=True)
    verdict, problems = verdict_of_log(read_run(directory))
    say_verdict(console, verdict, of=" from the log")
    for problem in problems:
        console.print(f"  {problem}", markup=False, style="yellow")


def _tell_stop(stop: GuardStop, record: RunRecord, where: str) -> None:
    """Say why a run stopped itself, where that is to be seen, and what to do."""
    from egraff.lammps.guard_stop import STOPPED_FILE

    typer.echo(f"  {stop}")
    typer.echo(f"  the configuration is in {where}/{STOPPED_FILE}")
    every = record.settings.dump_every
    if stop.stage == "production" and every and stop.step > 0:
        typer.echo(f"  the last frame before it is that of step {(stop.step - 1) // every * every}")
    fix = "another start, a smaller time step, or a model trained on such configurations"
    if stop.guard != "finite":
        fix += f"; if the model is right there, --resume --no-guard-{stop.guard}"
    typer.echo(f"  fix: {fix}")
