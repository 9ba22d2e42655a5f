# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings of the trainings of a plan: each level of the plan lies over the one above it."""

from __future__ import annotations

from typing import Any

from egraff.benchmark.entries import Plan, Resources
from egraff.benchmark.plan import Place
from egraff.data.labels import LabelKeys

#: Settings of a training that other entries of the plan decide.
ELSEWHERE = {
    "data": "sets.NAME.train",
    "val": "sets.NAME.val",
    "isolated_atoms": "sets.NAME.isolated_atoms",
    "model": "models.NAME.architecture",
    "preset": "models.NAME.preset",
    "seed": "seeds",
    "allow_overlap": "sets.NAME.val, without the frames of sets.NAME.train",
}


def levels(plan: Plan, set_name: str, model_name: str) -> list[tuple[Place, dict[str, Any]]]:
    """Return the settings that concern a training, the most general first, each with its place."""
    dataset = plan.sets[set_name]
    return [
        (("training",), plan.training),
        (("models", model_name, "training"), plan.models[model_name].training),
        (("sets", set_name, "training"), dataset.training),
        (("sets", set_name, "models", model_name), dataset.models.get(model_name, {})),
    ]


def training_settings(plan: Plan, set_name: str, model_name: str) -> dict[str, Any]:
    """Return the settings of a training but for its files and its seed."""
    merged: dict[str, Any] = {}
    for _, settings in levels(plan, set_name, model_name):
        for name, value in settings.items():
            before = merged.get(name)
            both = isinstance(value, dict) and isinstance(before, dict)
            merged[name] = {**before, **value} if both else value
    model = plan.models[model_name]
    return {
        "model": model.architecture or model_name,
        "preset": model.preset,
        "threads": resources(plan, "train").threads,
        **merged,
    }


def label_keys(plan: Plan, set_name: str) -> LabelKeys:
    """Return names, units and signs of the labels of a set."""
    given = {**plan.training, **plan.sets[set_name].training}
    return LabelKeys(**{name: given[name] for name in LabelKeys.model_fields if name in given})


def label_flags(plan: Plan, set_name: str) -> list[str]:
    """Return the flags that say so on a command line."""
    default, keys = LabelKeys(), label_keys(plan, set_name)
    return [
        word
        for name in LabelKeys.model_fields
        if getattr(keys, name) != getattr(default, name)
        for word in (f"--{name.replace('_', '-')}", str(getattr(keys, name)))
    ]


def resources(plan: Plan, kind: str) -> Resources:
    """Return what jobs of a kind take."""
    return plan.resources.get(kind) or plan.resources.get("default") or Resources()
