# SPDX-License-Identifier: GPL-2.0-or-later
"""Do one job of a campaign and write its record: ``python -m egraff.benchmark.worker NAME``.

Started by Snakemake in the folder of the campaign, here or on a node of a cluster. A command that
fails leaves a record as one that succeeds does: that a model cannot do something is a result. One
that was interrupted leaves none, and is continued the next time.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType

import yaml

from egraff import provenance
from egraff.benchmark.job import Job, Record, read_record, read_table
from egraff.benchmark.processes import die_with_parent
from egraff.files import atomic_path, make_folder, write_json

INTERRUPTED = 130
_ATTEMPTS = Path("attempts")
_ERROR = re.compile(r"^egraff: error: (.*)", re.S | re.M)
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def do(job: Job) -> int:
    """Do a job in the current folder; return the exit code for Snakemake.

    Returns:
        0 if the job has a record now, 130 if it was interrupted.
    """
    if (reason := _missing(job)) is not None:
        _write(job, Record(**_identified(job), status="skipped", reason=reason))
        return 0
    with _alone(job) as lock:
        return _attempt(job, lock)


def _attempt(job: Job, lock: int) -> int:
    attempts = _begin(job)
    resume = ["--resume"] if job.resumes and attempts > 1 else []
    started, clock = provenance.now(), time.monotonic()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    make_folder(job.log.parent)
    with job.log.open("a", encoding="utf-8") as log:
        log.write(f"$ {job.command}{' --resume' if resume else ''}\n")
        log.flush()
        start = log.tell()
        child = subprocess.Popen(
            [sys.executable, "-m", "egraff", *job.arguments, *resume],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,
            pass_fds=(lock,),
        )
        with _passed_on(child) as arrived:
            code = child.wait()
    if arrived or code == INTERRUPTED:
        return INTERRUPTED
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = code == 0 or code in job.accepts
    _write(
        job,
        Record(
            **_identified(job),
            status="done" if done else "failed",
            reason=job.accepts.get(code) if done else _why(job.log, start, code),
            exit_code=code,
            wall_s=round(time.monotonic() - clock, 3),
            cpu_s=round(
                used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime,
                3,
            ),
            memory_mb=round(used.ru_maxrss / 1024, 1),
            started=started,
            finished=provenance.now(),
            attempts=attempts,
            log=str(job.log),
        ),
    )
    return 0


@contextmanager
def _alone(job: Job) -> Iterator[int]:
    """Wait until an earlier attempt is over, which a campaign that was killed may have left.

    Yields the descriptor of the lock; whoever inherits it holds it.
    """
    path = _ATTEMPTS / f"{job.name}.lock"
    make_folder(path.parent)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def _identified(job: Job) -> dict[str, object]:
    return {
        "job": job.name,
        "command": job.command,
        "identity": job.identity,
        "labels": dict(job.labels),
    }


def _missing(job: Job) -> str | None:
    """Say which jobs that this one needs were not done; None if it can be done."""
    table = read_table(Path())
    records = [read_record(table[name].record) for name in job.needs]
    undone = [
        f"{name}: {'no record' if record is None else record.status}"
        for name, record in zip(job.needs, records, strict=True)
        if record is None or record.status != "done"
    ]
    enough = len(undone) < len(records) if job.any_need else not undone
    return None if enough or not records else f"needs {', '.join(undone)}"


def _begin(job: Job) -> int:
    """Count the attempts at this very job; what another one left is removed."""
    marker = _ATTEMPTS / f"{job.name}.json"
    before = _read(marker)
    same = before.get("identity") == job.identity
    if not same or not job.resumes:
        _clear(Path(job.product), keep=job.kind in ("analyse", "report"))
    if not same:
        job.log.unlink(missing_ok=True)
    attempts = int(before.get("attempts", 0)) + 1 if same else 1
    write_json(marker, {"identity": job.identity, "attempts": attempts})
    if job.settings is not None:
        with atomic_path(job.settings_file) as partial:
            text = yaml.safe_dump(dict(job.settings), sort_keys=False)
            partial.write_text(f"# of {job.name}\n{text}", encoding="utf-8")
    return attempts


def _read(marker: Path) -> dict[str, object]:
    try:
        return json.loads(marker.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}


def _clear(product: Path, *, keep: bool) -> None:
    """Remove what an earlier, other job left; analyses stand among the runs they are about."""
    if keep:
        return
    if product.is_dir():
        shutil.rmtree(product)
    else:
        product.unlink(missing_ok=True)


@contextmanager
def _passed_on(child: subprocess.Popen[bytes]) -> Iterator[list[int]]:
    """Pass interrupts on to the command, which ends cleanly; yields those that arrived."""
    arrived: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        arrived.append(number)
        child.send_signal(signal.SIGINT)

    previous = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield arrived
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _why(log: Path, start: int, code: int) -> str:
    """Return why a command failed, from what it printed."""
    with log.open(encoding="utf-8", errors="replace") as stream:
        stream.seek(start)
        text = stream.read()
    if code < 0:
        name = signal.Signals(-code).name
        memory = "; perhaps there was not enough memory" if -code == signal.SIGKILL else ""
        return f"killed by {name}{memory}"
    if found := _ERROR.search(text):
        return found[1].strip()
    last = [line for line in text.splitlines() if line.strip()]
    return last[-1].strip() if last else f"exit code {code}, and nothing printed"


def _write(job: Job, record: Record) -> None:
    write_json(job.record, asdict(record))


def main() -> int:
    """Do the job that the command line names."""
    die_with_parent()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    table = read_table(Path())
    return do(table[sys.argv[1]])


if __name__ == "__main__":
    sys.exit(main())
