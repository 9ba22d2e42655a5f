# SPDX-License-Identifier: GPL-2.0-or-later
"""The plan of a benchmark: which models, data sets, seeds and tasks, from one YAML file.

models:
  nequip: {}
  mace: {preset: egraffbench, training: {lr: 0.01}}
training: {epochs: 30}
sets:
  acac:
    train: acac/train.xyz
    tests:
      300K: {data: acac/test_300K.xyz, simulate: {temperature: 300}}
      600K: {data: acac/test_600K.xyz, shift: temperature, simulate: {temperature: 600}}

Paths are relative to ``data_root``, which is relative to the plan; nothing in it depends on where
one stands. Whether files, models and data are there and fit together is for
`egraff.benchmark.checks` to say.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel, ValidationError

from egraff.benchmark.catalogued import expand
from egraff.benchmark.entries import (
    FramesEntry,
    ModelEntry,
    Plan,
    Resources,
    SetEntry,
    SimulationEntry,
    SpeedEntry,
    TestEntry,
)
from egraff.benchmark.protocol import STANDARD, Protocol, protocol_settings
from egraff.errors import InputError
from egraff.settings_file import line_numbers, read_settings

EXAMPLE = "models: {nequip: {}}"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*\Z")
"""What a folder can be called on every system, and a pattern of Snakemake holds."""
Place = tuple[str | int, ...]


@dataclass(frozen=True)
class PlanFile:
    """A plan, and where in its file each entry stands.

    Attributes:
        path: the file.
        plan: its content.
        lines: line of each entry by its path of names.
        changed: settings of the protocol that differ from its file.
    """

    path: Path
    plan: Plan
    lines: Mapping[Place, int]
    changed: Mapping[str, Any]

    def data(self, file: Path) -> Path:
        """Return where a file of the plan is."""
        return (self.path.parent / self.plan.data_root / file).resolve()

    def refuse(self, place: Sequence[str | int], problem: str, *, fix: str) -> NoReturn:
        """Refuse an entry.

        Raises:
            InputError: always; it names file, line and entry.
        """
        raise _refusal(self.path, self.lines, place, problem, fix)


def read_plan(
    path: str | PathLike[str], *, data_root: str | PathLike[str] | None = None
) -> PlanFile:
    """Read a plan; its content is checked for sense by `egraff.benchmark.checks`.

    Args:
        path: the plan.
        data_root: folder of the data instead of the plan's.

    Raises:
        InputError: the file cannot be read, or an entry is unknown, missing or out of range; the
            message has the line.
    """
    path = Path(path)
    content = read_settings(path, example=EXAMPLE)
    lines = line_numbers(path.read_text(encoding="utf-8-sig"))
    content.setdefault("name", path.stem)
    if data_root is not None:
        content["data_root"] = str(Path(data_root).resolve())
    if "sets" in content:
        root = path.parent / str(content.get("data_root", "."))
        content["sets"] = expand(content["sets"], root, partial(_refusal, path, lines))
    try:
        content["protocol"], changed = _protocol(content.get("protocol", STANDARD))
        plan = Plan(**content)
    except InputError as error:
        raise _refusal(
            path, lines, ("protocol",), error.problem, error.fix or "correct it"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise _refusal(path, lines, first["loc"], _problem(first), _fix(first)) from error
    file = PlanFile(path, plan, lines, changed)
    _check_names(file)
    return file


def _check_names(file: PlanFile) -> None:
    plan = file.plan
    places: list[Place] = [("models", name) for name in plan.models]
    for name, dataset in plan.sets.items():
        places += [("sets", name), *(("sets", name, "tests", test) for test in dataset.tests)]
    for place in places:
        if not _NAME.match(str(place[-1])):
            file.refuse(
                place,
                f"expected a name that a folder can have, got {place[-1]!r}",
                fix="use letters, digits, . _ + and -",
            )
    for group in ("seeds", "tasks"):
        values = getattr(plan, group)
        if len(set(values)) < len(values):
            file.refuse((group,), f"{values} holds one of them twice", fix="give each once")


def _protocol(given: Any) -> tuple[Any, dict[str, Any]]:
    """Return the settings of the protocol, and those that differ from its file."""
    if isinstance(given, str):
        return protocol_settings(given), {}
    if not isinstance(given, dict):
        return given, {}
    changes = dict(given)
    settings = protocol_settings(str(changes.pop("base", STANDARD)))
    changed = {}
    for name, value in changes.items():
        if name in ("name", "summary", "faults"):
            raise InputError(
                f"expected settings of a protocol, got {name}",
                fix="take it out: it belongs to the protocol's file",
            )
        if name == "stages" and isinstance(value, dict):
            for stage, own in value.items():
                before = settings["stages"].get(stage, {})
                if own is None:  # leaves the stage out
                    settings["stages"].pop(stage, None)
                else:
                    settings["stages"][stage] = {**before, **own}
        else:
            settings[name] = value
        changed[name] = value
    return settings, changed


def _refusal(
    path: Path, lines: Mapping[Place, int], place: Sequence[str | int], problem: str, fix: str
) -> InputError:
    known = [tuple(place[:size]) for size in range(len(place), 0, -1)]
    line = next((lines[one] for one in known if one in lines), None)
    where = str(path) if line is None else f"{path}, line {line}"
    return InputError(problem, where=where, field=".".join(map(str, place)) or None, fix=fix)


_ENTRIES: dict[str, type[BaseModel]] = {
    "models": ModelEntry,
    "sets": SetEntry,
    "tests": TestEntry,
    "simulate": SimulationEntry,
    "train": FramesEntry,
    "val": FramesEntry,
    "speed": SpeedEntry,
    "resources": Resources,
    "protocol": Protocol,
    "stages": Protocol,
}


def _problem(error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return "unknown key"
    if error["type"] == "missing":
        return "this is needed"
    if error["type"] == "value_error":
        return error["msg"].removeprefix("Value error, ")
    return f"{error['msg']}, got {error['input']!r}"


def _fix(error: Mapping[str, Any]) -> str:
    if error["type"] == "missing":
        return "add it"
    if error["type"] != "extra_forbidden":
        return "correct the value"
    *parents, name = map(str, error["loc"])
    kind = next((_ENTRIES[one] for one in reversed(parents) if one in _ENTRIES), Plan)
    known = list(kind.model_fields)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return (f"did you mean {close[0]}? " if close else "") + f"keys: {', '.join(known)}"
