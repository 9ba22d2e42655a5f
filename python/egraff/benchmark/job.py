# SPDX-License-Identifier: GPL-2.0-or-later
"""A job of a campaign, and the record of how it went."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from egraff.errors import InputError

#: In the folder of a campaign.
TABLE = Path("jobs.json")
RECORDS = Path("records")
LOGS = Path("logs")
SETTINGS = Path("settings")
WORK = Path("work")

KINDS = ("join", "train", "export", "eval", "run", "analyse", "speed", "report")

Status = Literal["done", "failed", "skipped"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """A command of egraff, and what it depends on.

    Attributes:
        name: its kind, and what it is for: ``train/acac/nequip/seed1``.
        arguments: of ``egraff``, to be given in the folder of the campaign.
        needs: jobs that come before it.
        product: what it makes, a file or a folder, relative to that folder.
        inputs: SHA-256 of files from outside that it reads, by path.
        settings: content of its settings file, which is ``settings/NAME.yaml``.
        resumes: whether the command continues what it was interrupted in, with ``--resume``.
        any_need: whether it can be done as soon as one of the jobs that it needs was done, the
            others having failed.
        accepts: exit codes that are a result as 0 is, with what they mean.
        labels: model, set, seed, test and so on, for tables.
        ranks, threads, memory_mb, minutes, gpus: what it takes.
        cpu_s: estimate of its CPU time in s.
        disk_mb: estimate of what it leaves on disk.
    """

    name: str
    arguments: tuple[str, ...]
    needs: tuple[str, ...] = ()
    product: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] | None = None
    resumes: bool = False
    any_need: bool = False
    accepts: Mapping[int, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    ranks: int = 1
    threads: int = 1
    memory_mb: int = 4000
    minutes: int = 60
    gpus: int = 0
    cpu_s: float = 0.0
    disk_mb: float = 0.0

    @property
    def kind(self) -> str:
        """The first part of the name."""
        return self.name.partition("/")[0]

    @property
    def command(self) -> str:
        """The command as it can be typed in the folder of the campaign."""
        return shlex.join(["egraff", *self.arguments])

    @property
    def identity(self) -> str:
        """What makes it another job: command, settings and content of its input files."""
        parts = {
            "arguments": self.arguments,
            "inputs": dict(self.inputs),
            "settings": self.settings,
        }
        return json.dumps(parts, sort_keys=True)

    @property
    def record(self) -> Path:
        """Where its record is, relative to the folder of the campaign."""
        return RECORDS / f"{self.name}.json"

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return LOGS / f"{self.name}.log"

    @property
    def settings_file(self) -> Path:
        """Where its settings are."""
        return SETTINGS / f"{self.name}.yaml"

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        content = asdict(self)
        content["accepts"] = {str(code): text for code, text in self.accepts.items()}
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Job:
        """Inverse of `as_dict`."""
        values = dict(content)
        values["arguments"], values["needs"] = tuple(values["arguments"]), tuple(values["needs"])
        values["accepts"] = {int(code): text for code, text in values["accepts"].items()}
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class Record:
    """How a job went.

    Attributes:
        job: its name.
        command: as it can be typed.
        identity: of the job; see `Job.identity`.
        status: done, failed, or skipped because a job that it needs failed.
        reason: why it was not done, or what an exit code other than 0 means.
        exit_code: of the command; negative for a signal; None where it was not started.
        wall_s: from start to end in s, of the last attempt.
        cpu_s: CPU time in s with all children, of the last attempt.
        memory_mb: largest memory of one of its processes in MB.
        started, finished: date and time, UTC.
        attempts: how often it was started.
        log: file of its output.
        labels: of the job.
    """

    job: str
    command: str
    identity: str
    status: Status
    reason: str | None = None
    exit_code: int | None = None
    wall_s: float = 0.0
    cpu_s: float = 0.0
    memory_mb: float = 0.0
    started: str = ""
    finished: str = ""
    attempts: int = 0
    log: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


def read_record(path: Path) -> Record | None:
    """Return a record; None where there is none.

    Raises:
        InputError: the file is none.
    """
    try:
        return Record(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise InputError(
            f"expected the record of a job, got: {error}",
            where=path,
            fix="remove the file; the job is then done again",
        ) from error


def read_table(folder: Path) -> dict[str, Job]:
    """Return the jobs of a campaign by name."""
    content = json.loads((folder / TABLE).read_text(encoding="utf-8"))
    return {entry["name"]: Job.from_dict(entry) for entry in content["jobs"]}
