# SPDX-License-Identifier: GPL-2.0-or-later
"""``egraff benchmark``: models x data sets x seeds x tasks from one plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from egraff.cli.types import writable

FAILED_JOBS = 1
"""Exit status where a job failed; its reason is in the table."""

INTERRUPTED = 130


def benchmark(
    plan: Annotated[Path, typer.Argument(help="The plan, a YAML file.", metavar="PLAN.yaml")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the campaign; default: NAME of the plan.", callback=writable),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of the data, instead of the plan's data_root.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the plan, and print its jobs and their cost.")
    ] = False,
    cores: Annotated[int, typer.Option(min=1, help="Cores of this machine to use.")] = 1,
    profile: Annotated[
        str | None,
        typer.Option(help="slurm, or a folder with a profile of Snakemake."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Model, set, test, seed or kind of job to do; repeatable."),
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Do again what failed before.")] = False,
) -> None:
    """Train, evaluate, simulate and judge models on data sets, as one resumable campaign.

    What was finished is not done again: start the same command after a crash or a change of the
    plan, and what is missing, or depends on the change, is done. Results: leaderboard.html,
    leaderboard.md, results.csv, results.json and jobs.csv in the folder of the campaign.

    Exit status: 0 all jobs done, 1 some failed (the results say why), 2 refused, 130 interrupted.
    """
    from rich.console import Console

    from egraff.benchmark.campaign import carry_out, check_folder, select
    from egraff.benchmark.checks import check_plan
    from egraff.benchmark.cost import estimated
    from egraff.benchmark.jobs import jobs_of
    from egraff.benchmark.leaderboard import write_results
    from egraff.benchmark.plan import read_plan
    from egraff.benchmark.progress import Progress, dry_run_lines, protocol_lines

    console = Console(highlight=False, soft_wrap=True)
    file = read_plan(plan, data_root=data)
    folder = out or Path(file.plan.name)
    check_folder(folder)
    facts = check_plan(file)
    jobs = estimated(jobs_of(file, facts), file, facts)
    wanted = select(jobs, only or ())
    for line in protocol_lines(file):
        console.print(line, markup=False)
    if dry_run:
        for line in dry_run_lines(file, jobs, wanted, folder):
            console.print(line, markup=False)
        return
    progress = Progress(console, jobs, wanted, folder, cores=cores)
    code = carry_out(
        file,
        jobs,
        wanted,
        folder,
        cores=cores,
        profile=profile,
        retry=retry,
        on_record=progress.tell,
    )
    written = write_results(file, facts, jobs, folder)
    console.print(progress.summary(), markup=False)
    for path in written:
        console.print(f"  {path}", markup=False)
    if code in (-2, -15, 130):
        raise typer.Exit(INTERRUPTED)
    if progress.failed:
        raise typer.Exit(FAILED_JOBS)
