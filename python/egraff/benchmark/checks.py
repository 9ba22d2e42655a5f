# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a plan can be carried out, seen before any of it is done.

Files, models, settings and data are looked at as the jobs would look at them, so that no campaign
ends in the night for a misspelt name; what is read on the way is kept, for the jobs and their cost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from egraff.benchmark.plan import FramesEntry, Place, PlanFile, SimulationEntry
from egraff.benchmark.settings import ELSEWHERE, label_keys, levels, training_settings
from egraff.data import (
    Frame,
    LabelKeys,
    find_overlap,
    read_frames,
    separate_isolated_atoms,
    validate_frames,
)
from egraff.data.join import join_frames
from egraff.errors import EgraffError, InputError
from egraff.files import sha256
from egraff.models import find, preset
from egraff.training.config import check_config
from egraff.training.options import architecture_options

_LONGEST_RANGE = 10.0  # A, of g(r) in the published benchmark


@dataclass(frozen=True)
class TestFacts:
    """What is known of a test.

    Attributes:
        frames: number of frames.
        atoms: of all frames together.
        largest: its largest frame.
        starts: numbers of the frames in ``starts_from`` at which simulations start.
        start: the first of them; None where nothing is simulated.
        r_max: range of g(r) in Angstrom that the protocol wants, or None.
    """

    frames: int
    atoms: int
    largest: Frame
    starts: tuple[int, ...] = ()
    start: Frame | None = None
    r_max: float | None = None


@dataclass(frozen=True)
class SetFacts:
    """What is known of a set.

    Attributes:
        train: number of training frames, those set aside for validation among them.
        example: its training frame of median size.
        tests: by name.
        remarks: what readers of the results should know.
        speed: the frame that is timed.
    """

    train: int
    example: Frame
    tests: dict[str, TestFacts]
    remarks: list[str]
    speed: Frame | None = None


@dataclass
class Facts:
    """What the checks found.

    Attributes:
        sets: by name.
        digests: SHA-256 of every file of the plan.
    """

    sets: dict[str, SetFacts] = field(default_factory=dict)
    digests: dict[Path, str] = field(default_factory=dict)


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
        _file(file, facts, model.checkpoint, (*place, "checkpoint"))
        return
    with _told_at(file, (*place, "architecture" if model.architecture else "preset")):
        find(model.architecture or name)
        preset(model.architecture or name, model.preset)


class _told_at:
    """Turn errors inside the block into refusals of an entry of the plan."""

    def __init__(self, file: PlanFile, place: Place) -> None:
        self.file, self.place = file, place

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, InputError):
            inside = ": ".join(part for part in (error.where, error.field) if part)
            problem = f"{inside}: {error.problem}" if inside else error.problem
            self.file.refuse(self.place, problem, fix=error.fix or "correct it")
        if isinstance(error, EgraffError):
            self.file.refuse(self.place, str(error), fix="correct it")


def _file(file: PlanFile, facts: Facts, path: Path, place: Place) -> Path:
    found = file.data(path)
    if not found.is_file():
        root = file.data(Path("."))
        file.refuse(
            place, f"expected a file {path} in {root}, found none", fix="correct it, or data_root"
        )
    if found not in facts.digests:
        facts.digests[found] = sha256(found)
    return found


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
    keys = label_keys(plan, name)
    train = _frames(file, facts, dataset.train, keys, (*place, "train"))
    elements = {symbol for frame in train for symbol in set(frame.symbols)}
    if dataset.val is not None:
        val = _frames(file, facts, dataset.val, keys, (*place, "val"))
        _no_overlap(file, train, val, (*place, "val"))
        _known_elements(file, elements, val, (*place, "val"))
    if dataset.isolated_atoms is not None:
        _check_isolated(file, facts, name, elements, keys)
    tests, remarks = {}, []
    for test_name, test in dataset.tests.items():
        at = (*place, "tests", test_name)
        frames = _read(file, facts, test.data, keys, (*at, "data"))
        _known_elements(file, elements, frames, (*at, "data"))
        if dataset.allow_overlap:
            if common := len(find_overlap(train, frames)):
                remarks.append(
                    f"{test_name}: {common} of {len(frames)} frames are also training frames"
                )
        else:
            _no_overlap(file, train, frames, (*at, "data"))
        tests[test_name] = _test_facts(file, facts, frames, test.simulate, keys, at, elements)
    speed = None
    if dataset.speed is not None:
        at = (*place, "speed", "structure")
        speed = _read(file, facts, dataset.speed.structure, keys, at, labelled=False)[0]
        _known_elements(file, elements, [speed], at)
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


def _read(
    file: PlanFile,
    facts: Facts,
    path: Path,
    keys: LabelKeys,
    place: Place,
    *,
    labelled: bool = True,
) -> list[Frame]:
    found = _file(file, facts, path, place)
    with _told_at(file, place):
        frames, _ = separate_isolated_atoms(read_frames(found, keys=keys))
        if not frames:
            raise InputError("expected structures, got isolated atoms only", where=path)
        if labelled:
            validate_frames(frames, require=("energy", "forces"))
    return frames


def _frames(
    file: PlanFile, facts: Facts, entry: FramesEntry, keys: LabelKeys, place: Place
) -> list[Frame]:
    files = [_file(file, facts, path, place) for path in entry.files]
    without = [_file(file, facts, path, place) for path in entry.without]
    with _told_at(file, place):
        frames = join_frames(files, frames_per_file=entry.frames, without=without, keys=keys)
        frames, _ = separate_isolated_atoms(frames)
        if not frames:
            raise InputError("expected structures to learn from, got isolated atoms only")
        validate_frames(frames)
    return frames


def _no_overlap(
    file: PlanFile, train: Sequence[Frame], frames: Sequence[Frame], place: Place
) -> None:
    pairs = find_overlap(train, frames)
    if pairs:
        ours, theirs = train[pairs[0][0]].source, frames[pairs[0][1]].source
        file.refuse(
            place,
            f"{len(pairs)} of {len(frames)} frames are also training frames; the first is frame "
            f"{theirs[1]}, which is frame {ours[1]} of {ours[0]}",
            fix="leave them out of the training with `train: {files: [...], without: [...]}`",
        )


def _known_elements(
    file: PlanFile, elements: set[str], frames: Sequence[Frame], place: Place
) -> None:
    unknown = {symbol for frame in frames for symbol in set(frame.symbols)} - elements
    if unknown:
        file.refuse(
            place,
            f"expected elements of the training frames ({', '.join(sorted(elements))}), got also "
            f"{', '.join(sorted(unknown))}, for which there is no E0 and nothing learnt",
            fix="add training frames that hold them, or take the test out",
        )


def _check_isolated(
    file: PlanFile, facts: Facts, name: str, elements: set[str], keys: LabelKeys
) -> None:
    place = ("sets", name, "isolated_atoms")
    path = _file(file, facts, file.plan.sets[name].isolated_atoms, place)
    with _told_at(file, place):
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
        reference = _read(file, facts, simulate.reference, keys, where, labelled=False)
    if simulate.starts_from is not None:
        where = (*at, "starts_from")
        starts = _read(file, facts, simulate.starts_from, keys, where, labelled=False)
        _known_elements(file, elements, starts, where)
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
