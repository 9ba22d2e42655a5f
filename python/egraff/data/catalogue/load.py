# SPDX-License-Identifier: GPL-2.0-or-later
"""Read the catalogue from the YAML files of the package."""

from __future__ import annotations

import difflib
from functools import cache
from importlib.resources import files
from pathlib import Path

from egraff.data.catalogue.entries import Entry, FileRecord, Repository
from egraff.errors import InputError
from egraff.settings_file import read_settings

_EXAMPLE = "title: Aspirin"


def folder() -> Path:
    """Return the folder of the YAML files."""
    return Path(str(files("egraff.data.catalogue")))


@cache
def catalogue() -> dict[str, Entry]:
    """Return what is known of each of the ten sets, by name; the unidentified one comes last."""
    entries = {
        path.stem: Entry(**read_settings(path, example=_EXAMPLE))
        for path in sorted((folder() / "sets").glob("*.yaml"))
    }
    order = sorted(entries, key=lambda name: (entries[name].status == "unidentified", name))
    return {name: entries[name] for name in order}


@cache
def repositories() -> dict[str, Repository]:
    """Return the repositories that sets come from, by key."""
    content = read_settings(folder() / "repositories.yaml", example=_EXAMPLE)
    return {name: Repository(**values) for name, values in content.items()}


def entry(name: str) -> Entry:
    """Return what is known of one set.

    Raises:
        InputError: there is no set of that name.
    """
    return catalogue()[known(name, list(catalogue()), kind="set")]


def file_record(name: str) -> FileRecord:
    """Return what is known of one of our files, for example ``acac/train.xyz.gz``.

    Raises:
        InputError: there is no file of that name.
    """
    records = {file: record for one in catalogue().values() for file, record in one.files.items()}
    return records[known(name, list(records), kind="file")]


def known(name: str, names: list[str], *, kind: str) -> str:
    """Return ``name`` if it is one of ``names``.

    Raises:
        InputError: it is not; the message has the closest ones, or all where they are few.
    """
    if name in names:
        return name
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    shown = close or (names if len(names) <= 12 else [])
    raise InputError(
        f"the catalogue has no {kind} {name!r}",
        fix=f"choose {' or '.join(shown)}" if shown else "see egraff data catalogue",
    )
