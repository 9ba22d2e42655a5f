# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a plan can be carried out, seen before any of it is done.

Files, models, settings and data are looked at as the jobs would look at them, so that no campaign
ends in the night for a misspelt name; what is read on the way is kept, for the jobs and their cost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from egraff.benchmark import catalogued
from egraff.benchmark.entries import SimulationEntry
from egraff.benchmark.facts import Facts, SetFacts, TestFacts
from egraff.benchmark.frames import (
    checked_file,
    read_test,
    read_training,
    refuse_overlap,
    refuse_unknown_elements,
    told_at,
)
from egraff.benchmark.plan import Place, PlanFile
from egraff.benchmark.settings import ELSEWHERE, label_keys, levels, training_settings
from egraff.data import (
    Frame,
    LabelKeys,
    find_overlap,
    is_determined,
    read_frames,
    split_frames,
)
from egraff.errors import InputError
from egraff.models import find, preset
from egraff.training.config import check_config
from egraff.training.options import architecture_options

_LONGEST_RANGE = 10.0  # A, of g(r) in the published benchmark
_TWICE = "the file holds frames twice: give a `val` of its own, or take the copies out"


def check_plan(file: PlanFile) -> Facts:
    """Look at everything that a plan names.

    Raises:
        InputError: something is missing or does not fit; file, line and entry are named.
    """
    facts = Facts()
    for name in file.plan.models:
        _check_model(file, facts, name)
    for kind in file.plan.resources:
        if kind not in ("default", "train", "run", "analyse", "speed"):
            file.refuse(
                ("resources", kind),
                "unknown kind of job",
                fix="choose default, train, run, analyse or speed",
            )
    for name in file.plan.sets:
        facts.sets[name] = _check_set(file, facts, name)
    return facts


def _check_model(file: PlanFile, facts: Facts, name: str) -> None:
    model, place = file.plan.models[name], ("models", name)
    if model.checkpoint is not None:
        checked_file(file, facts, model.checkpoint, (*place, "checkpoint"))
        return
    with told_at(file, (*place, "architecture" if model.architecture else "preset")):
        find(model.architecture or name)
        preset(model.architecture or name, model.preset)


def _check_set(file: PlanFile, facts: Facts, name: str) -> SetFacts:
    plan, dataset, place = file.plan, file.plan.sets[name], ("sets", name)
    for model in dataset.models:
        if model not in plan.models:
            file.refuse(
                (*place, "models", model),
                f"expected a model of the plan, got {model}",
                fix=f"choose one of {', '.join(plan.models)}",
            )
    trained = [model for model, entry in plan.models.items() if entry.checkpoint is None]
    for model in trained:
        _check_training(file, name, model)
    if dataset.catalogue is not None:
        with told_at(file, (*place, "catalogue")):
            catalogued.check(dataset.catalogue, file.data(Path(".")))
    keys = label_keys(plan, name)
    train = read_training(file, facts, dataset.train, keys, (*place, "train"))
    elements = {symbol for frame in train for symbol in set(frame.symbols)}
    if dataset.val is not None:
        val = read_training(file, facts, dataset.val, keys, (*place, "val"))
        refuse_overlap(file, train, val, (*place, "val"))
        refuse_unknown_elements(file, elements, val, (*place, "val"))
    else:
        for model in trained:
            _check_split(file, name, model, train)
    if dataset.isolated_atoms is not None:
        _check_isolated(file, facts, name, elements, keys)
    tests, remarks = {}, []
    for test_name, test in dataset.tests.items():
        at = (*place, "tests", test_name)
        frames = read_test(file, facts, test.data, keys, (*at, "data"))
        refuse_unknown_elements(file, elements, frames, (*at, "data"))
        if dataset.allow_overlap:
            if common := len(find_overlap(train, frames)):
                remarks.append(
                    f"{test_name}: {common} of {len(frames)} frames are also training frames"
                )
        else:
            refuse_overlap(file, train, frames, (*at, "data"))
        found = _test_facts(file, facts, frames, test.simulate, keys, at, elements)
        if trained and dataset.isolated_atoms is None and not is_determined(train, frames):
            found = replace(found, offset_open=True)
            remarks.append(
                f"{test_name}: its composition is no combination of those of the training frames, "
                "so that its energies have an open offset; give isolated_atoms to close it"
            )
        tests[test_name] = found
    speed = None
    if dataset.speed is not None:
        at = (*place, "speed", "structure")
        speed = read_test(file, facts, dataset.speed.structure, keys, at, labelled=False)[0]
        refuse_unknown_elements(file, elements, [speed], at)
        if not speed.pbc.all():
            file.refuse(
                at,
                f"expected a structure that is periodic in three directions, to be repeated, "
                f"got {speed.pbc.tolist()}",
                fix="time another set",
            )
    by_size = sorted(train, key=len)
    return SetFacts(len(train), by_size[len(by_size) // 2], tests, remarks, speed)


def _check_training(file: PlanFile, set_name: str, model_name: str) -> None:
    for place, settings in levels(file.plan, set_name, model_name):
        for name in settings:
            if name in ELSEWHERE:
                file.refuse(
                    (*place, name),
                    "not a setting of the trainings of a plan",
                    fix=f"it follows from {ELSEWHERE[name]}",
                )
    settings = training_settings(file.plan, set_name, model_name)
    # where a wrong setting was given: the most particular level that has it
    given = {
        name: place for place, level in levels(file.plan, set_name, model_name) for name in level
    }
    try:
        config = check_config({**settings, "data": "-"})
        r_max, options = architecture_options(config)
        find(config.model).Config(elements=["H"], r_max=r_max, **options)
    except InputError as error:
        place = given.get(error.field or "", ("training",))
        file.refuse((*place, error.field or ""), error.problem, fix=error.fix or "correct it")
    except ValidationError as error:
        first = error.errors()[0]
        place = given.get("model_options", ("models", model_name))
        known = ", ".join(find(config.model).Config.model_fields)
        file.refuse(
            (*place, "model_options", *first["loc"]),
            f"{first['msg']}, got {first['input']!r}",
            fix=f"options of {config.model}: {known}",
        )


def _check_split(file: PlanFile, name: str, model: str, train: Sequence[Frame]) -> None:
    """Set frames aside for validation as the training will; each seed draws others."""
    share = check_config({**training_settings(file.plan, name, model), "data": "-"}).val_fraction
    for seed in file.plan.seeds:
        place = ("sets", name, "train")
        with told_at(file, place):
            parts = split_frames(train, {"train": 1.0 - share, "val": share}, seed=seed)
        refuse_overlap(file, parts["train"], parts["val"], place, fix=_TWICE)


def _check_isolated(
    file: PlanFile, facts: Facts, name: str, elements: set[str], keys: LabelKeys
) -> None:
    place = ("sets", name, "isolated_atoms")
    path = checked_file(file, facts, file.plan.sets[name].isolated_atoms, place)
    with told_at(file, place):
        atoms = read_frames(path, keys=keys)
    missing = elements - {atom.symbols[0] for atom in atoms if len(atom) == 1}
    if missing:
        file.refuse(
            place,
            f"expected an isolated atom of each element of the training frames, got none of "
            f"{', '.join(sorted(missing))}",
            fix="add them, or take the entry out: E0 then comes from least squares",
        )


def _test_facts(
    file: PlanFile,
    facts: Facts,
    frames: list[Frame],
    simulate: SimulationEntry | None,
    keys: LabelKeys,
    place: Place,
    elements: set[str],
) -> TestFacts:
    atoms, largest = sum(map(len, frames)), max(frames, key=len)
    if simulate is None or "simulation" not in file.plan.tasks:
        return TestFacts(len(frames), atoms, largest)
    protocol, at = file.plan.protocol, (*place, "simulate")
    reference, starts = frames, frames
    if simulate.reference is not None:
        where = (*at, "reference")
        reference = read_test(file, facts, simulate.reference, keys, where, labelled=False)
    if simulate.starts_from is not None:
        where = (*at, "starts_from")
        starts = read_test(file, facts, simulate.starts_from, keys, where, labelled=False)
        refuse_unknown_elements(file, elements, starts, where)
    if len(starts) < protocol.starts:
        file.refuse(
            at,
            f"the protocol {protocol.name} starts from {protocol.starts} frames, there are "
            f"{len(starts)}",
            fix="give a file with more to starts_from, or `protocol: {starts: ...}`",
        )
    one, repeats = starts[0], int(np.prod(simulate.replicate))
    if _shares(one) != _shares(reference[0]):
        file.refuse(
            at,
            f"simulations start from {_formula(one)} and are compared with "
            f"{_formula(reference[0])}",
            fix="give a reference of the same composition",
        )
    if repeats > 1 and not one.pbc.all():
        file.refuse(
            (*at, "replicate"), "only a periodic structure can be repeated", fix="take it out"
        )
    step = simulate.timestep_fs or protocol.timestep_fs
    for name, stage in protocol.stages.items():
        if abs(stage.dump_every_fs / step - round(stage.dump_every_fs / step)) > 1e-6:
            file.refuse(
                at,
                f"stage {name} of {protocol.name} keeps a frame every {stage.dump_every_fs:g} fs, "
                f"which is no multiple of the time step, {step:g} fs",
                fix=f"give another timestep_fs, or `protocol: {{stages: {{{name}: "
                "{dump_every_fs: ...}}}`",
            )
    if protocol.start_frames == "first":
        chosen = range(protocol.starts)
    else:
        chosen = np.linspace(0, len(starts) - 1, protocol.starts).round().astype(int)
    return TestFacts(
        len(frames),
        atoms,
        largest,
        starts=tuple(starts[number].source[1] for number in chosen),
        start=one,
        r_max=_range(file, reference[0], at),
    )


def _range(file: PlanFile, frame: Frame, place: Place) -> float | None:
    """Return the range of g(r) in Angstrom that the protocol wants; None for the standard one."""
    protocol = file.plan.protocol
    if protocol.r_max != "vector":
        return protocol.r_max
    if not frame.pbc.all():
        return _LONGEST_RANGE
    shortest = float(np.linalg.norm(frame.cell, axis=1).min())
    r_max = round(min((shortest - 1.0) / 2.0, _LONGEST_RANGE), 1)
    if r_max < 1.0:
        file.refuse(
            place,
            f"the protocol {protocol.name} compares g(r) up to (shortest vector - 1)/2, here "
            f"{r_max:g} A, below which there is no pair",
            fix="use the protocol egraff-1, or `protocol: {r_max: ...}`",
        )
    return r_max


def _shares(frame: Frame) -> dict[str, float]:
    return {symbol: n / len(frame) for symbol, n in sorted(Counter(frame.symbols).items())}


def _formula(frame: Frame) -> str:
    return frame.to_atoms().get_chemical_formula()
