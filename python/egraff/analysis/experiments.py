# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs that are the same experiment: samples of one thing, from independent starts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeVar

from egraff.analysis.runs import Run

#: Settings by which samples of one experiment may differ: where they start, and how they are run.
_START = frozenset({"seed", "frame"})
_TECHNICAL = frozenset(
    {
        "model",  # the content of these two files counts, not their names
        "structure",
        "ranks",
        "threads",
        "device",
        "lmp",
        "mpirun",
        "dump_every",
        "thermo_every",
        "restart_every",
    }
)
#: What records of runs that ``egraff run`` did not make say of conditions.
_CONDITIONS = ("ensemble", "temperature_K", "pressure_bar", "timestep_fs", "steps", "pbc")

Sample = TypeVar("Sample")


def experiment_of(run: Run) -> str:
    """What a run is a sample of: model, structures and every setting that bears on results.

    Two runs with the same text differ in their start (frame of one file of structures, seed of the
    velocities) or in what changes no result (ranks, threads, how often something is written).
    """
    settings = run.record.get("settings") or {}
    of_settings = {
        name: value for name, value in settings.items() if name not in _START | _TECHNICAL
    }
    content = {
        "model": run.record.get("model_sha256"),
        # two files may hold two phases of one composition
        "structure": run.record.get("structure_sha256"),
        "elements": run.record.get("elements"),
        "n_atoms": run.n_atoms,
        "conditions": [run.record.get(name) for name in _CONDITIONS],
        "settings": of_settings,
    }
    return json.dumps(content, sort_keys=True)


def start_of(run: Run) -> tuple[object, ...]:
    """Where a run starts: runs of one experiment that share it are one sample, computed twice."""
    settings = run.record.get("settings") or {}
    return run.record.get("seed"), settings.get("frame")


def groups(samples: Sequence[tuple[Run, Sample]]) -> list[list[Sample]]:
    """Samples of runs of one experiment from different starts, where there are several.

    Of runs with one start the first counts.

    Args:
        samples: runs, each with what is to be grouped.
    """
    found: dict[str, dict[tuple[object, ...], Sample]] = {}
    for run, sample in samples:
        found.setdefault(experiment_of(run), {}).setdefault(start_of(run), sample)
    return [list(starts.values()) for starts in found.values() if len(starts) > 1]
