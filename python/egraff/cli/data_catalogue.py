# SPDX-License-Identifier: GPL-2.0-or-later
"""``egraff data catalogue``: the ten sets of EGraFFBench, and what of them a folder holds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from egraff.data.catalogue import Entry, FileCheck

Checks = Mapping[str, Mapping[str, "FileCheck"]]


def catalogue_command(
    name: Annotated[
        str | None,
        typer.Argument(help="A set or a task, for all that is known of it; default: all sets."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of data; its files are compared with the catalogue.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Describe the data sets of EGraFFBench: sizes, units, licences, defects, splits.

    With --data, every frame of the files there is compared with the catalogue; files that hold
    something else are an error.
    """
    from rich.console import Console

    from egraff.data.catalogue import catalogue, check_files, entry, task_splits

    if name is not None and name not in catalogue() and name in task_splits():
        _show_task(name, data, as_json)
        return
    entries = catalogue() if name is None else {name: entry(name)}
    checks: dict[str, dict[str, FileCheck]] = {}
    if data is not None:
        for key, one in entries.items():
            checks[key] = {check.name: check for check in check_files(one.files, data)}
    if as_json:
        typer.echo(json.dumps(_content(entries, checks), indent=1))
    else:
        console = Console(highlight=False)
        if name is None:
            _print_all(console, entries, checks)
        else:
            _print_one(console, name, entries[name], checks.get(name, {}))
    _refuse_others([check for own in checks.values() for check in own.values()], data)


def _refuse_others(checks: Iterable[FileCheck], data: Path | None) -> None:
    """Refuse files that hold other frames than the catalogue says."""
    from egraff.errors import InputError

    wrong = [check for check in checks if check.state == "different"]
    if wrong:
        raise InputError(
            f"{len(wrong)} of the files are not what the catalogue describes, the first is "
            f"{wrong[0].name} ({wrong[0].note})",
            where=data,
            fix="import them again from the public repository, or rename them",
        )


def _show_task(name: str, data: Path | None, as_json: bool) -> None:
    """Print which part each file of a task plays."""
    from egraff.data.catalogue import check_files, file_record, task_split

    task = task_split(name)
    checks: dict[str, FileCheck] = {}
    if data is not None:
        records = {file: file_record(file) for file in task.files}
        checks = {check.name: check for check in check_files(records, data)}
    if as_json:
        states = {file: check.state for file, check in checks.items()}
        content = {**task.model_dump(), **({"states": states} if checks else {})}
        typer.echo(json.dumps({name: content}, indent=1))
    else:
        typer.echo(
            f"{name}: {task.about}\nkind           {task.kind}\nSHA-256        {task.digest}"
        )
        roles = [
            (role, file) for role in ("train", "val", "without") for file in getattr(task, role)
        ]
        if task.isolated_atoms:
            roles.append(("isolated atoms", task.isolated_atoms))
        for test, one in task.tests.items():
            at = f", {one.temperature_K:g} K" if one.temperature_K else ""
            roles.append((f"test {test} (shift: {task.shift(test)}{at})", one.file))
            if one.reference:
                roles.append((f"structure of {test}", one.reference))
        for role, file in roles:
            typer.echo(f"{role}: {file}{f' {checks[file].state}' if checks else ''}")
    _refuse_others(checks.values(), data)


def _content(entries: Mapping[str, Entry], checks: Checks) -> dict[str, Any]:
    from egraff.data.catalogue import repositories

    sets = {}
    for key, one in entries.items():
        sets[key] = one.model_dump()
        for file, check in checks.get(key, {}).items():
            sets[key]["files"][file]["state"] = check.state
    return {
        "sets": sets,
        "repositories": {key: value.model_dump() for key, value in repositories().items()},
        "tasks": {key: task.model_dump() for key, task in _tasks_of(entries).items()},
    }


def _tasks_of(entries: Mapping[str, Entry]) -> dict[str, Any]:
    from egraff.data.catalogue import task_splits

    files = {file for one in entries.values() for file in one.files}
    return {key: task for key, task in task_splits().items() if files & set(task.files)}


def _print_all(console: Console, entries: Mapping[str, Entry], checks: Checks) -> None:
    from rich.table import Table

    table = Table(title="Data sets of EGraFFBench", title_justify="left")
    for column in ("set", "status", "atoms", "T (K)", "train/val/test", "files of ours"):
        table.add_column(column)
    for key, one in entries.items():
        own = checks.get(key)
        known = sum(record.digest is not None for record in one.files.values())
        table.add_row(
            key,
            one.status,
            "-" if one.atoms is None else "-".join(map(str, dict.fromkeys(one.atoms))),
            one.temperature.split(";")[0],
            "/".join("?" if n is None else str(n) for n in one.published.values()) or "-",
            _states(own) if own is not None else f"{known} known, {len(one.files) - known} not",
        )
    console.print(table)
    table = Table(title="Our splits", title_justify="left")
    for column in ("task", "kind", "train", "val", "tests", "SHA-256"):
        table.add_column(column)
    for key, task in _tasks_of(entries).items():
        table.add_row(
            key,
            task.kind,
            str(len(task.train)),
            str(len(task.val)),
            str(len(task.tests)),
            task.digest[:12],
        )
    console.print(table)
    console.print("More of one: egraff data catalogue SET. Make the files: egraff data import.")


def _print_one(console: Console, key: str, one: Entry, checks: Mapping[str, FileCheck]) -> None:
    from rich.table import Table

    from egraff.data.catalogue import repositories

    def say(label: str, text: str) -> None:
        console.print(f"{label:<14} {text}", markup=False, soft_wrap=True)

    console.print(f"{key}: {one.title}", markup=False, style="bold")
    for label in ("status", "system", "temperature", "cell", "method", "units", "licence"):
        say(label, getattr(one, label))
    say("formulas", ", ".join(one.formulas) or "unknown")
    published = ", ".join(f"{k} {'?' if n is None else n}" for k, n in one.published.items())
    say("published", published or "unknown")
    for name in one.repositories:
        repository = repositories()[name]
        state = f", {repository.revision}" if repository.revision else ""
        say("where", f"{repository.address}{state} ({repository.title}; --as {_as(name)})")
    for label, texts in (
        ("cite", one.cite),
        ("defect", one.defects),
        ("not at hand", one.not_at_hand),
    ):
        for text in texts:
            say(label, text)
    if not one.files:
        return
    table = Table(title="Files of ours", title_justify="left")
    for column in ("file", "frames", "T (K)", "content", "frames' SHA-256"):
        table.add_column(column, overflow="fold")
    if checks:
        table.add_column("here")
    for file, record in one.files.items():
        row = [
            file,
            "?" if record.frames is None else str(record.frames),
            "-" if record.temperature_K is None else f"{record.temperature_K:g}",
            record.content,
            record.digest[:12] if record.digest else f"none: {record.unverified}",
        ]
        table.add_row(*row, *([checks[file].state] if checks else []))
    console.print(table)
    for name, task in _tasks_of({key: one}).items():
        say("task", f"{name} ({task.kind}, {task.digest[:12]}): {task.about}")


def _as(repository: str) -> str:
    return {"sgdml": "md17"}.get(repository, repository)


def _states(checks: Mapping[str, FileCheck]) -> str:
    counts = Counter(check.state for check in checks.values())
    states = ("verified", "different", "unverifiable", "absent")
    return ", ".join(f"{counts[state]} {state}" for state in states if counts[state]) or "none"
