# SPDX-License-Identifier: GPL-2.0-or-later
"""Sets of a plan that name a split of the catalogue instead of files.

sets:
  acac:
    catalogue: acac-unseen-temperature
    train: {frames: 250}                              # at most, evenly spaced
    tests:
      600K: {simulate: {timestep_fs: 0.5}}            # at the temperature of the catalogue

Files, shifts, what is left out of the training and the reference of a structure follow from
`egraff.data.catalogue.task_splits`. Before any job the frames are compared with the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from egraff.data.catalogue import TaskSplit, resolve, split_path, task_split
from egraff.errors import InputError

Refuse = Callable[[Sequence[str | int], str, str], Exception]


def expand(sets: Any, root: Path, refuse: Refuse) -> Any:
    """Replace splits of the catalogue by what they stand for; leave other sets alone.

    Args:
        sets: the entry ``sets`` of a plan, unchecked.
        root: folder of the data.
        refuse: makes an error of a place in the plan, a problem and what to do.

    Returns:
        The entry with files and tests in place.

    Raises:
        Exception: what ``refuse`` made: no such split, or the plan says otherwise.
    """
    if not isinstance(sets, Mapping):
        return sets  # which is for the plan to refuse
    return {
        name: _expanded(name, own, root, refuse)
        if isinstance(own, Mapping) and own.get("catalogue") is not None
        else own
        for name, own in sets.items()
    }


def check(task: str, root: Path) -> None:
    """Compare the files of a split with the catalogue, frame by frame.

    Raises:
        InputError: a file is not there, or holds other frames; says how to get it.
    """
    resolve(task, root)


def _expanded(name: str, own: Mapping[str, Any], root: Path, refuse: Refuse) -> dict[str, Any]:
    place = ("sets", name)
    try:
        split = task_split(str(own["catalogue"]))
    except InputError as error:
        raise refuse((*place, "catalogue"), error.problem, error.fix or "correct it") from None

    def only(entry: Any, allowed: str, *inner: str) -> dict[str, Any]:
        """Return an entry of the plan that may say one thing besides the catalogue."""
        if not isinstance(entry, Mapping) or set(entry) - {allowed}:
            raise refuse(
                (*place, *inner),
                f"expected `{allowed}` alone, as the rest follows from catalogue: "
                f"{own['catalogue']}, got {entry!r:.60}",
                "take it out, or name the files instead of a split of the catalogue",
            )
        return dict(entry)

    def here(file: str) -> str:
        """Return the name that a file has in the folder, compressed or not."""
        found = split_path(file, root)
        return file if found is None else str(found.relative_to(root))

    for key in ("isolated_atoms", "allow_overlap"):
        if key in own:
            only(own[key], "nothing", key)
    expanded = dict(own)
    expanded["train"] = {
        "files": [here(file) for file in split.train],
        "without": [here(file) for file in split.without],
        **only(own.get("train", {}), "frames", "train"),
    }
    if split.val:
        chosen = only(own.get("val", {}), "frames", "val")
        expanded["val"] = {"files": [here(file) for file in split.val], **chosen}
    elif "val" in own:
        raise refuse(
            (*place, "val"), f"the split {own['catalogue']} has no validation files", "take it out"
        )
    if split.isolated_atoms:
        expanded["isolated_atoms"] = here(split.isolated_atoms)
    tests = own.get("tests", {})
    if not isinstance(tests, Mapping):
        raise refuse((*place, "tests"), f"expected tests by name, got {tests!r:.60}", "correct it")
    for test in tests:
        if test not in split.tests:
            raise refuse(
                (*place, "tests", str(test)),
                f"the split {own['catalogue']} has no such test",
                f"choose one of {', '.join(split.tests)}",
            )
    expanded["tests"] = {
        test: _test(split, test, only(tests.get(test) or {}, "simulate", "tests", test), here)
        for test in split.tests
    }
    return expanded


def _test(
    split: TaskSplit, test: str, own: Mapping[str, Any], here: Callable[[str], str]
) -> dict[str, Any]:
    of_catalogue = split.tests[test]
    entry: dict[str, Any] = {"data": here(of_catalogue.file), "shift": split.shift(test)}
    simulate = own.get("simulate")
    if isinstance(simulate, Mapping):
        known = {
            "temperature": of_catalogue.temperature_K,
            "reference": here(of_catalogue.reference) if of_catalogue.reference else None,
        }
        simulate = {**{key: value for key, value in known.items() if value is not None}, **simulate}
    return {**entry, "simulate": simulate}
