# SPDX-License-Identifier: GPL-2.0-or-later
"""Our splits of the catalogue's files, for each task of the benchmark."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from egraff.data.catalogue.entries import FileRecord
from egraff.data.catalogue.files import split_path, verified_frames
from egraff.data.catalogue.load import catalogue, file_record, folder, known
from egraff.settings_file import read_settings

KINDS = {
    "errors": "none",
    "unseen_temperature": "temperature",
    "unseen_molecule": "molecule",
    "unseen_structure": "structure",
    "unseen_composition": "composition",
}
"""Kinds of tasks, and what differs between their training and test data."""


class TaskTest(BaseModel):
    """Frames that a model of the task is tested on.

    Attributes:
        file: of the catalogue.
        shifted: whether it differs from the training data in what the task is about.
        temperature_K: at which it can be simulated; None where no temperature is known.
        reference: file whose structure simulations are compared with; default: the test's own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    shifted: bool = False
    temperature_K: float | None = Field(default=None, gt=0)
    reference: str | None = None


class TaskSplit(BaseModel):
    """Which files a model is trained, chosen and tested on.

    Attributes:
        kind: one of `KINDS`.
        about: what is asked, and what a reader should know.
        train: training files.
        val: validation files; empty where a share of the training frames has to do.
        without: files whose geometries are taken out of the training files first.
        isolated_atoms: file of isolated atoms, for E0.
        tests: by name.
        digest: of all that, see `split_digest`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal[
        "errors", "unseen_temperature", "unseen_molecule", "unseen_structure", "unseen_composition"
    ]
    about: str
    train: list[str] = Field(min_length=1)
    val: list[str] = Field(default_factory=list)
    without: list[str] = Field(default_factory=list)
    isolated_atoms: str | None = None
    tests: dict[str, TaskTest] = Field(min_length=1)
    digest: str = Field(pattern="^[0-9a-f]{64}$")

    @property
    def files(self) -> list[str]:
        """All files that the task needs, each once."""
        own = [self.isolated_atoms] if self.isolated_atoms else []
        tests = [file for test in self.tests.values() for file in (test.file, test.reference)]
        named = [*self.train, *self.val, *self.without, *own, *(file for file in tests if file)]
        return list(dict.fromkeys(named))

    def shift(self, test: str) -> str:
        """Return what differs between training data and a test, in the words of a plan."""
        return KINDS[self.kind] if self.tests[test].shifted else "none"


@dataclass(frozen=True)
class Resolved:
    """The files of a task in a folder; see `TaskSplit`."""

    split: TaskSplit
    train: list[Path]
    val: list[Path]
    without: list[Path]
    isolated_atoms: Path | None
    tests: dict[str, Path]
    references: dict[str, Path]


@cache
def task_splits() -> dict[str, TaskSplit]:
    """Return our splits for all tasks, by name."""
    content = read_settings(folder() / "tasks.yaml", example="acac-errors: {kind: errors}")
    records = {file: record for one in catalogue().values() for file, record in one.files.items()}
    return {name: TaskSplit(**_expanded(values, records)) for name, values in content.items()}


def task_split(name: str) -> TaskSplit:
    """Return our split for one task.

    Raises:
        InputError: there is no task of that name.
    """
    return task_splits()[known(name, list(task_splits()), kind="task")]


def split_digest(split: TaskSplit) -> str:
    """Return the SHA-256 of the parts that files play and of the files' digests.

    It changes when any frame of the split does. All files of a task have digests.
    """
    roles = [(role, file) for role in ("train", "val", "without") for file in getattr(split, role)]
    if split.isolated_atoms:
        roles.append(("isolated_atoms", split.isolated_atoms))
    for name, test in split.tests.items():
        roles.append((f"test {name} {split.shift(name)}", test.file))
        if test.reference:
            roles.append((f"reference {name}", test.reference))
    lines = [f"{role} {file_record(file).digest}\n" for role, file in roles]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def resolve(task: str, data: str | PathLike[str], *, verify: bool = True) -> Resolved:
    """Find the files of a task in a folder.

    Args:
        task: name of the task.
        data: folder of the data.
        verify: compare all frames with the catalogue, not just look whether the files are there.

    Raises:
        InputError: no such task, or a file is not there or not the one of the catalogue; says how
            to get it.
    """
    split = task_split(task)
    paths: dict[str, Path] = {}
    for file in split.files:
        path = split_path(file, data)
        if verify or path is None:
            verified_frames(file, data)
        if path is not None:
            paths[file] = path
    tests = split.tests
    return Resolved(
        split=split,
        train=[paths[file] for file in split.train],
        val=[paths[file] for file in split.val],
        without=[paths[file] for file in split.without],
        isolated_atoms=paths[split.isolated_atoms] if split.isolated_atoms else None,
        tests={name: paths[test.file] for name, test in tests.items()},
        references={name: paths[test.reference] for name, test in tests.items() if test.reference},
    )


def _expanded(values: Mapping[str, Any], records: Mapping[str, FileRecord]) -> dict[str, Any]:
    """Return a task with its patterns replaced by the files that they stand for.

    A pattern is ``{all: lips20/*/train.xyz.gz, except: [Li7PS6]}``: the files that have a digest,
    but not those of the folders named. As the test ``each`` it gives a test for each folder, whose
    reference is the file ``beside`` it, if one is named.
    """

    def matches(pattern: Mapping[str, Any]) -> list[str]:
        left_out = set(pattern.get("except", ()))
        return [
            file
            for file, record in records.items()
            if fnmatchcase(file, pattern["all"])
            and record.digest is not None
            and not left_out & set(file.split("/"))
        ]

    expanded = dict(values)
    for role in ("train", "val"):
        if isinstance(expanded.get(role), Mapping):
            expanded[role] = matches(expanded[role])
    tests = dict(expanded["tests"])
    if "each" in tests:
        pattern = tests.pop("each")
        each = {file.rpartition("/")[0]: {"file": file} for file in matches(pattern)}
        if "beside" in pattern:
            each = {
                at: {**one, "reference": f"{at}/{pattern['beside']}"} for at, one in each.items()
            }
        tests = {at.rpartition("/")[2]: one for at, one in each.items()} | tests
    return {**expanded, "tests": tests}
