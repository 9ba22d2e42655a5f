# SPDX-License-Identifier: GPL-2.0-or-later
"""A training that starts from a model: what is taken over, and with which energies E0.

Taken over are architecture, options, cutoff, energy scale and weights; settings that say otherwise
are refused. Elements may be added and dropped (:mod:`egraff.training.transfer`). For E0 there are
four choices (``reference_energies``):

keep            those of the model, exactly. Of an element that is added: of the isolated atom, or
                else a least-squares fit to what the model misses of the training energies.
refit           E0 + d, where d is the least-squares fit, one number for each element, of what the
                model misses of the training energies (another functional, another code). Where the
                compositions do not tell elements apart, of all fits that nearest to equal shifts.
isolated_atoms  E0 + what the model misses of the energies of the isolated atoms.
energies in eV  as given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from egraff.data import (
    Frame,
    fit_reference_energies,
    isolated_energies,
    read_isolated_atoms,
)
from egraff.errors import InputError
from egraff.files import sha256
from egraff.forces import predict
from egraff.models import ForceField
from egraff.training.checkpoint import load_info, load_model
from egraff.training.config import MODEL_SETTINGS, TrainConfig
from egraff.training.dataset import Splits, join_graphs, model_graphs
from egraff.training.evaluate import evaluate, from_eager
from egraff.training.replay import ReplaySet
from egraff.training.statistics import reference_energies
from egraff.training.transfer import most_like, with_elements

FINE_TUNED = "fine_tuned_from"
"""Key of the record in ``training_data``."""

_CLOSE = 0.05  # eV per atom; beyond, energies are of another reference rather than badly predicted


@dataclass(frozen=True)
class Start:
    """A model to start from.

    Attributes:
        model: the model.
        record: its file, hash, and what it was trained on itself.
    """

    model: ForceField
    record: dict[str, Any]


@dataclass(frozen=True)
class Shifts:
    """E0 of a fine-tuned model.

    Attributes:
        values: by element, in eV.
        source: what they are, for the summary.
        origin: by element, where the value comes from.
        notes: what a user should know about them.
    """

    values: dict[str, float]
    source: str
    origin: dict[str, str]
    notes: list[str]


def read_start(config: TrainConfig) -> Start:
    """Read the model that the settings name.

    Raises:
        ModelFileError: it cannot be read.
    """
    path = Path(config.from_model)
    info = load_info(path)
    dtype = config.dtype if "dtype" in config.model_fields_set else None
    return Start(
        load_model(path, dtype=dtype),
        {
            "name": path.name,
            "sha256": sha256(path),
            "egraff_version": info["egraff_version"],
            "epoch": info["epoch"],
            "metrics": info["metrics"],
            "training_data": info["training_data"],
        },
    )


def adopt(config: TrainConfig, start: Start) -> TrainConfig:
    """Return the settings with what the model decides.

    Raises:
        InputError: a setting that contradicts the model.
    """
    model = start.model
    own = model.config.model_dump(mode="json")
    given = config.model_fields_set
    wanted = {
        "model": (config.model, model.architecture),
        "r_max": (config.r_max, own["r_max"]),
        "avg_num_neighbours": (config.avg_num_neighbours, own["avg_num_neighbours"]),
        "preset": (config.preset if "preset" in given else None, "the options of the model"),
        "energy_scale": (
            None if config.energy_scale == "force_rms" else config.energy_scale,
            "that of the model",
        ),
    }
    wanted |= {
        f"model_options.{name}": (value, own.get(name, "no such option"))
        for name, value in config.model_options.items()
    }
    for name, (got, expected) in wanted.items():
        if got is not None and got != expected:
            raise InputError(
                f"expected {expected}, as in {start.record['name']}, got {got!r}",
                where="training settings",
                field=name,
                fix="leave the setting out, or train from scratch, without --from",
            )
    if config.reference_energies == "least_squares":
        raise InputError(
            "expected keep, refit, isolated_atoms or energies for a model to start from, got "
            "least_squares, which would fit the whole energies and count bonds twice",
            where="training settings",
            field="reference_energies",
            fix="use refit (--e0 refit), which fits what the model misses",
        )
    options = {name: value for name, value in own.items() if name not in MODEL_SETTINGS}
    return config.model_copy(
        update={
            "model": model.architecture,
            "preset": None,
            "model_options": options,
            "r_max": own["r_max"],
            "dtype": own["dtype"],
            "reference_energies": "keep"
            if config.reference_energies == "auto"
            else config.reference_energies,
        }
    )


def tuned_model(
    config: TrainConfig, start: Start, splits: Splits
) -> tuple[ForceField, Shifts, dict[str, Any]]:
    """Return the model to train, its E0, and the record of both.

    Raises:
        InputError: E0 that cannot be had.
    """
    model, elements = start.model, splits.elements
    before = dict(zip(model.elements, model.scale_shift.shift.tolist(), strict=True))
    shifts = choose_shifts(config, model, splits)
    likes = {el: most_like(el, model.elements) for el in elements if el not in before}
    record = start.record | {
        "elements_added": likes,
        "elements_dropped": [el for el in before if el not in elements],
        "e0": {
            "choice": "given"
            if isinstance(config.reference_energies, Mapping)
            else config.reference_energies,
            "before_ev": before,
            "after_ev": shifts.values,
            "from": shifts.origin,
        },
    }
    values = [shifts.values[element] for element in elements]
    return with_elements(model, elements, energy_shift=values), shifts, record


def choose_shifts(config: TrainConfig, model: ForceField, splits: Splits) -> Shifts:
    """Return E0 of every element of the model to train; see the module's text.

    Raises:
        InputError: an element has no energy in the source that was chosen.
    """
    elements, choice = splits.elements, config.reference_energies
    if isinstance(choice, Mapping):
        given = reference_energies(config, splits.train, elements, splits.isolated)
        values = dict(zip(elements, given.values, strict=True))
        return Shifts(values, "given", dict.fromkeys(elements, "given"), given.notes)
    own = dict(zip(model.elements, model.scale_shift.shift.tolist(), strict=True))
    kept = {element: own[element] for element in elements if element in own}
    base = {element: kept.get(element, 0.0) for element in elements}
    bare = with_elements(model, elements, energy_shift=list(base.values()))
    atoms = list(splits.isolated)
    if config.isolated_atoms is not None:
        atoms = [*read_isolated_atoms(config.isolated_atoms, keys=config.labels), *atoms]
    known = [el for el in isolated_energies(atoms) if el in elements]
    alone = {
        frame.symbols[0]: float(missing)
        for frame, missing in zip(atoms, missed(bare, atoms, elements), strict=True)
        if frame.symbols[0] in known
    }
    origin = dict.fromkeys(elements, "kept")
    shift = dict.fromkeys(elements, 0.0)
    notes: list[str] = []
    if choice == "isolated_atoms":
        if lacking := [element for element in elements if element not in alone]:
            raise InputError(
                f"no isolated atom of {', '.join(lacking)}",
                where=config.isolated_atoms or config.data,
                field="reference_energies",
                fix="add the atom (--isolated-atoms), drop the element (--elements), or choose "
                "keep or refit",
            )
        shift = {element: alone[element] for element in elements}
        origin = dict.fromkeys(elements, "isolated atom")
        return Shifts(_sum(base, shift), "isolated_atoms", origin, notes)
    residuals = [
        replace(frame, energy=float(missing))
        for frame, missing in zip(splits.train, missed(bare, splits.train, elements), strict=True)
    ]
    present = {symbol for frame in splits.train for symbol in frame.symbols}
    fixed = {el: alone[el] for el in elements if el not in kept and el in alone}
    origin |= dict.fromkeys(fixed, "isolated atom")
    if choice == "keep":
        fixed |= dict.fromkeys(kept, 0.0)
    else:
        fixed |= {el: 0.0 for el in kept if el not in present}
        if absent := [el for el in kept if el not in present]:
            notes.append(
                f"E0 of {', '.join(absent)}, which the training frames do not have, is kept while "
                "others are refitted: energies of structures with both kinds may be off"
            )
    shift = fit_reference_energies(residuals, elements, known=fixed)
    origin |= dict.fromkeys([el for el in elements if el not in fixed], "least squares")
    values = _sum(base, shift)
    if choice == "keep":
        notes += _far_off(residuals, shift)
    return Shifts(values, "the_model" if choice == "keep" else "refit", origin, notes)


def missed(model: ForceField, frames: Sequence[Frame], elements: Sequence[str]) -> np.ndarray:
    """Return label minus prediction of the energies, ``[n_frames]`` in eV; NaN where unlabelled.

    Frames with other elements than ``elements`` are NaN as well.
    """
    found = np.full(len(frames), np.nan)
    ours = [n for n, frame in enumerate(frames) if set(frame.symbols) <= set(elements)]
    start = 0
    for batch in join_graphs(model_graphs([frames[n] for n in ours], model)):
        difference = (batch.energy - predict(model, batch).energy).numpy()
        found[ours[start : start + len(difference)]] = difference
        start += len(difference)
    return found


def errors_on(
    model: ForceField, splits: Splits, replay: Sequence[ReplaySet], *, device: str = "cpu"
) -> dict[str, dict[str, float]]:
    """Return the errors on the frames set aside of new (``new data``) and replayed data.

    Args:
        model: the model.
        splits: the new data.
        replay: the others, by the names of their files.
        device: ``cpu`` or ``cuda``.
    """
    loaded = from_eager(model.to(device))
    sets = {"new data": splits.val} | {
        f"{number}: {one.path.name}": one.val for number, one in enumerate(replay, start=1)
    }
    return {name: evaluate(loaded, frames).model for name, frames in sets.items()}


def describe_shifts(record: Mapping[str, Any]) -> list[str]:
    """Return lines for the terminal: elements, and how far each E0 moves."""
    e0 = record["e0"]
    lines = [
        f"{element}: new to the model; its weights start as those of {like}"
        for element, like in record["elements_added"].items()
    ]
    if record["elements_dropped"]:
        lines.append(f"dropped: {' '.join(record['elements_dropped'])}")
    for element, after in e0["after_ev"].items():
        before = e0["before_ev"].get(element)
        moved = "new" if before is None else f"{before:.4f} {after - before:+.4f}"
        lines.append(f"E0 of {element}: {after:.4f} eV ({moved}; {e0['from'][element]})")
    return lines


def _sum(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    # E0 + 0.0 is E0 to the last bit
    return {element: first[element] + second[element] for element in first}


def _far_off(residuals: Sequence[Frame], shift: Mapping[str, float]) -> list[str]:
    rest = [
        (frame.energy - sum(shift[symbol] for symbol in frame.symbols)) / len(frame)
        for frame in residuals
    ]
    mean = float(np.mean(rest))
    if not abs(mean) > _CLOSE:
        return []
    return [
        f"the training energies are {mean:+.3f} eV per atom from what the model says, on average: "
        "if they come from another method or code, choose E0 with --e0 refit (or isolated atoms "
        "of that method), or the network has to learn the difference"
    ]
