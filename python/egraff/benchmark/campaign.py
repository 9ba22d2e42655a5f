# SPDX-License-Identifier: GPL-2.0-or-later
"""Carry out a plan: one graph of jobs on Snakemake, which a later start takes up where it ended."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path

from egraff.benchmark.job import TABLE, Job, Record, read_record
from egraff.benchmark.plan import PlanFile
from egraff.benchmark.processes import die_with_parent
from egraff.errors import InputError, RunError
from egraff.files import make_folder, write_json
from egraff.locks import locked

PLAN_COPY = "plan.yaml"
SNAKEMAKE_LOG = "snakemake.log"
_COLUMNS = ("model", "set", "test", "seed", "kind")
_POLL_S = 0.2
_PATIENCE_S = 60.0

#: Called with each record as it appears.
OnRecord = Callable[[Record], None]


def select(jobs: Sequence[Job], words: Iterable[str]) -> list[Job]:
    """Return the jobs that words choose: names of models, sets, tests, seeds, or kinds of jobs.

    A job is chosen if each kind of word that is given (models, say) has one that fits it. What a
    chosen job needs is done in any case.

    Raises:
        InputError: a word fits no job.
    """
    chosen = list(jobs)
    by_column: dict[str, set[str]] = {}
    for word in words:
        columns = [
            name for name in ("model", "set", "test", "seed", "kind") if _has(jobs, name, word)
        ]
        if not columns:
            known = sorted({_value(job, name) for job in jobs for name in ("model", "set", "kind")})
            raise InputError(
                f"expected the name of a model, set, test, seed or kind of job, got {word!r}",
                field="--only",
                fix=f"choose among {', '.join(one for one in known if one)}",
            )
        by_column.setdefault(columns[0], set()).add(word)
    for column, values in by_column.items():
        chosen = [job for job in chosen if _value(job, column) in values]
    if not chosen:
        raise InputError(
            "expected words that choose jobs together, got none of which all fit",
            field="--only",
            fix="give fewer",
        )
    return chosen


def _value(job: Job, column: str) -> str:
    return job.kind if column == "kind" else job.labels.get(column, "")


def _has(jobs: Sequence[Job], column: str, word: str) -> bool:
    return any(_value(job, column) == word for job in jobs)


def check_folder(out: Path) -> None:
    """Refuse a folder that holds something else than a campaign.

    Raises:
        InputError: it does.
    """
    if out.is_dir() and any(out.iterdir()) and not (out / TABLE).exists():
        raise InputError(
            "expected an empty folder or an earlier start of a campaign",
            where=out,
            fix="choose another --out",
        )


def carry_out(
    file: PlanFile,
    jobs: Sequence[Job],
    wanted: Sequence[Job],
    out: Path,
    *,
    cores: int,
    profile: str | None = None,
    retry: bool = False,
    on_record: OnRecord = lambda record: None,
) -> int:
    """Do the wanted jobs, and those that they need, as far as they are not done.

    Args:
        file: the plan; a copy is kept with the results.
        jobs: all of its jobs.
        wanted: those to be done now.
        out: folder of the campaign.
        cores: how many to use at a time on this machine.
        profile: ``slurm``, or a folder with a profile of Snakemake.
        retry: do again what failed before.
        on_record: called with each record that appears.

    Returns:
        The exit code of Snakemake.

    Raises:
        InputError: Snakemake is not installed, the profile is unknown, or another start is going.
        RunError: Snakemake failed for a reason that is no job's.
    """
    check_folder(out)
    command = _command(wanted, cores=cores, profile=profile)
    make_folder(out)
    with locked(out, doing="benchmark"):
        shutil.copyfile(file.path, out / PLAN_COPY)
        write_json(out / TABLE, {"plan": file.plan.name, "jobs": [job.as_dict() for job in jobs]})
        if retry:
            _forget_failures(out, jobs)
        with (out / SNAKEMAKE_LOG).open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                command,
                cwd=out,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(),
                # at once: on SIGTERM it would wait for the jobs, which end by themselves
                preexec_fn=partial(die_with_parent, signal.SIGKILL),
            )
            try:
                code = _follow(process, out, jobs, on_record)
            finally:
                _end(process)
    undone = [job.name for job in wanted if not (out / job.record).exists()]
    if code != 0 and not _interrupted(code) and undone:
        raise RunError(
            f"Snakemake ended with exit code {code}, and {len(undone)} jobs have no record; the "
            f"first is {undone[0]}\n  fix: see {out / SNAKEMAKE_LOG}; start again to go on"
        )
    return code


def _interrupted(code: int) -> bool:
    return code in (-signal.SIGINT, -signal.SIGTERM, 130, 143)


def _command(wanted: Sequence[Job], *, cores: int, profile: str | None) -> list[str]:
    if importlib.util.find_spec("snakemake") is None:
        raise InputError(
            "expected Snakemake in this Python environment, found none",
            fix='pip install "egraff[benchmark]"',
        )
    package = Path(str(files("egraff.benchmark")))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(package / "workflow.smk")]
    command += ["--config", "wanted=" + " ".join(job.name for job in wanted)]
    # a job that fails leaves a record; what has none was interrupted, and is done again
    command += ["--keep-going", "--rerun-incomplete", "--nolock", "--nocolor"]
    command += ["--rerun-triggers", "mtime", "params", "input"]
    if profile is None:
        return [*command, "--cores", str(cores)]
    known = {path.name: path for path in (package / "profiles").iterdir()}
    folder = known.get(profile, Path(profile)).resolve()
    if not (folder / "config.yaml").is_file():
        raise InputError(
            f"expected {' or '.join(known)}, or a folder with a profile of Snakemake, "
            f"got {profile}",
            field="--profile",
            fix="give one of these; a profile is a folder with a config.yaml",
        )
    return [*command, "--profile", str(folder)]


def _environment() -> dict[str, str]:
    """Return the environment of Snakemake, in which ``egraff`` is this one."""
    scripts = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": os.pathsep.join([scripts, os.environ.get("PATH", "")])}


def _forget_failures(out: Path, jobs: Sequence[Job]) -> None:
    for job in jobs:
        record = read_record(out / job.record)
        if record is not None and record.status != "done":
            (out / job.record).unlink()


def _follow(
    process: subprocess.Popen[bytes], out: Path, jobs: Sequence[Job], on_record: OnRecord
) -> int:
    """Wait for the end, and tell of each record that was not there before."""
    stamps = {job.name: _stamp(out / job.record) for job in jobs}
    told = {job.name: read_record(out / job.record) for job in jobs}
    while True:
        code = process.poll()
        for job in jobs:
            stamp = _stamp(out / job.record)
            if stamp == stamps[job.name]:
                continue
            stamps[job.name] = stamp
            # Snakemake touches what it has seen; only another content is news
            record = read_record(out / job.record)
            if record is not None and record != told[job.name]:
                told[job.name] = record
                on_record(record)
        if code is not None:
            return code
        time.sleep(_POLL_S)


def _stamp(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let jobs end cleanly after an interrupt, and leave none behind."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
