# SPDX-License-Identifier: GPL-2.0-or-later
"""``egraff analyse``: from dumps and logs to metrics with errors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from egraff.cli.labels import with_label_options
from egraff.cli.types import writable
from egraff.cli.verdict import say_verdict

#: Exit code where a run is unsound.
EXIT_UNSOUND = 4


@with_label_options
def analyse(
    directory: Annotated[
        Path,
        typer.Argument(
            help="A run directory, one above, a LAMMPS dump, or a trajectory (extxyz, DCD, XTC).",
            metavar="PATH",
        ),
    ],
    reference: Annotated[
        Path | None,
        typer.Option(help="Labelled trajectory of the same system, for structure and replay."),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(help="Log of a LAMMPS dump; default: log.lammps beside it."),
    ] = None,
    elements: Annotated[
        str | None,
        typer.Option(help='Symbols of atom types 1, 2, ... of a LAMMPS dump, "O H".'),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Directory for the results of a dump or trajectory; default: its name beside it.",
            callback=writable,
        ),
    ] = None,
    structure: Annotated[
        Path | None,
        typer.Option(help="File with the atoms of a DCD or XTC trajectory, in the same order."),
    ] = None,
    interval: Annotated[
        float | None,
        typer.Option(help="Time between frames in ps, for trajectories that do not say it."),
    ] = None,
    r_max: Annotated[
        float | None, typer.Option(help="Range of the structure comparison in Angstrom.")
    ] = None,
    bin_width: Annotated[float, typer.Option(help="Bin width of g(r) in Angstrom.")] = 0.05,
    max_frames: Annotated[
        int, typer.Option(help="At most this many frames enter the structure comparison.")
    ] = 400,
    replay: Annotated[
        bool, typer.Option(help="Evaluate the run's model along the reference.")
    ] = True,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Frames of the one run in DIR labelled by another method, by step or in order."
        ),
    ] = None,
    model_checks: Annotated[
        bool, typer.Option(help="Scan the run's model along lines, and test its symmetries.")
    ] = True,
    max_replay_frames: Annotated[
        int, typer.Option(help="At most this many reference frames are replayed.")
    ] = 200,
    threads: Annotated[int, typer.Option(help="Threads of the neighbour lists.")] = 1,
    workers: Annotated[
        int, typer.Option(help="Processes among which the frames of a run are shared.")
    ] = 1,
    viscosity: Annotated[
        float | None,
        typer.Option(
            help="Of the model liquid, mPa s: corrects diffusion coefficients to an infinite cell."
        ),
    ] = None,
    verdict: Annotated[
        Path | None,
        typer.Option(help="YAML with limits of the verdict that replace the standard ones."),
    ] = None,
    force: Annotated[bool, typer.Option(help="Analyse again what is up to date.")] = False,
    *,
    label_options: Mapping[str, str],
) -> None:
    """Analyse every simulation below PATH: analysis/result.json and curves.npz beside each.

    A dump that your own LAMMPS input wrote is analysed with its log, which tells units, time step,
    ensemble and model.

    Each run gets a verdict: sound, look, unsound or not enough data, with its reasons. The exit
    code is 4 if one is unsound.

    The options about labels are for the reference and for frames that are labelled again.
    """
    from rich.console import Console

    from egraff.analysis.context import AnalysisContext
    from egraff.analysis.model_checks import ModelChecks
    from egraff.analysis.parameters import Parameters
    from egraff.analysis.pipeline import analyse as analyse_run
    from egraff.analysis.reference import read_reference
    from egraff.analysis.sources import GivenOptions, runs_at
    from egraff.analysis.verdict.judge import UNSOUND
    from egraff.analysis.verdict.rules import read_rules
    from egraff.data.labels import label_keys
    from egraff.data.lammps.elements import parse_elements
    from egraff.errors import InputError

    console = Console(highlight=False, soft_wrap=True)
    keys = label_keys(label_options)
    parameters = Parameters(
        r_max=r_max,
        bin_width=bin_width,
        max_frames=max_frames,
        max_replay_frames=max_replay_frames,
        viscosity_mPa_s=viscosity,
        rules=read_rules(verdict),
        threads=threads,
        workers=workers,
    )
    given = GivenOptions(
        log=log,
        elements=None if elements is None else parse_elements(elements),
        structure=structure,
        interval_ps=interval,
        out=out,
    )
    runs = runs_at(directory, given)
    if labels is not None and len(runs) != 1:
        raise InputError(
            f"expected one run to which the labels belong, got {len(runs)}",
            where=directory,
            fix="give the directory of that run",
        )
    labelled = read_reference(labels, keys=keys) if labels is not None else None
    checks = ModelChecks(_load_calculator) if model_checks else None
    frames = read_reference(reference, keys=keys) if reference is not None else None
    unsound = False
    for run in runs:
        context = AnalysisContext(
            run,
            parameters,
            reference=frames,
            labels=labelled,
            load_calculator=_load_calculator if replay else None,
            checks=checks,
        )
        done = analyse_run(context, force=force)
        unsound |= _say(console, run, done) == UNSOUND
    if unsound:
        raise typer.Exit(EXIT_UNSOUND)


def _load_calculator(path: Path):
    from egraff.calculator import EgraffCalculator

    return EgraffCalculator(path)


def _say(console, run, done: bool) -> str:
    """Print what came out; return the word of the verdict."""
    import json

    from egraff.analysis.pipeline import RESULT
    from egraff.analysis.verdict.judge import Verdict

    result = json.loads((run.directory / RESULT).read_text(encoding="utf-8"))
    verdict = result["verdict"]
    numbers = sum(metric["value"] is not None for metric in result["metrics"])
    state = "analysed" if done else "up to date"
    console.print(f"{run.directory}: {state}, {numbers} metrics", markup=False)
    say_verdict(console, Verdict.from_dict(verdict, where=run.directory / RESULT), indent="  ")
    for problem in result["problems"]:
        console.print(f"  {problem}", markup=False, style="yellow")
    return verdict["word"]
