# SPDX-License-Identifier: GPL-2.0-or-later
"""What the jobs of a plan will cost, from measured rates.

All models of egraff work edge by edge, so that time is proportional to the number of edges within
the cutoff. ``rates.yaml`` holds CPU time per edge, measured with ``benchmarks/plan_rates.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from egraff.benchmark.facts import Facts
from egraff.benchmark.job import Job
from egraff.benchmark.plan import PlanFile
from egraff.benchmark.settings import training_settings
from egraff.data import Frame
from egraff.neighbours import find_edges
from egraff.settings_file import read_settings
from egraff.training.config import check_config
from egraff.training.options import DEFAULT_R_MAX, architecture_options

_BYTES_PER_DUMPED_ATOM = 90.0
_BYTES_PER_EVALUATION = 4e3


class Rates(NamedTuple):
    """CPU time in microseconds per edge.

    Attributes:
        train: one frame of one epoch, validation apart.
        evaluate: energy and forces by the checkpoint's model.
        simulate: a step in LAMMPS with the exported model.
        measured: whether these are of this architecture and preset.
    """

    train: float
    evaluate: float
    simulate: float
    measured: bool = True


@cache
def _file() -> dict[str, Any]:
    return read_settings(
        Path(str(files("egraff.benchmark"))) / "rates.yaml", example="startup_s: {train: 5}"
    )


def rates_of(architecture: str, preset: str) -> Rates:
    """Return the rates of a model; those of the slowest one measured where it was not."""
    table = _file()["us_per_edge"]
    known = table.get(architecture, {}).get(preset)
    if known is not None:
        return Rates(**known)
    every = [Rates(**rates) for presets in table.values() for rates in presets.values()]
    columns = zip(*(rates[:3] for rates in every), strict=True)
    return Rates(*(max(column) for column in columns), measured=False)


def unmeasured(file: PlanFile) -> list[str]:
    """Return the models of a plan whose rates were not measured."""
    return [
        name
        for name, entry in file.plan.models.items()
        if not rates_of(entry.architecture or name, entry.preset).measured
    ]


def estimated(jobs: Sequence[Job], file: PlanFile, facts: Facts) -> list[Job]:
    """Return the jobs with estimates of their CPU time and of what they leave on disk."""
    return [_estimate(job, file, facts) for job in jobs]


def _estimate(job: Job, file: PlanFile, facts: Facts) -> Job:
    startup = _file()["startup_s"]
    cpu = float(startup.get(job.kind, startup["default"]))
    disk = 0.0
    if job.kind in ("train", "eval", "run", "speed"):
        work, disk = _WORK[job.kind](job, file, facts)
        cpu += work * 1e-6
    elif job.kind == "analyse":
        cpu += _analysis(job, file, facts)
    elif job.kind == "report":
        disk = 5.0
    return replace(job, cpu_s=round(cpu, 1), disk_mb=round(disk, 2))


def _model_of(job: Job, file: PlanFile) -> tuple[Rates, float]:
    """Return rates and cutoff of the model that a job is about."""
    name = job.labels["model"]
    entry = file.plan.models[name]
    if entry.checkpoint is not None:
        return rates_of(name, entry.preset), DEFAULT_R_MAX
    settings = training_settings(file.plan, job.labels["set"], name)
    r_max, _ = architecture_options(check_config({**settings, "data": "-"}))
    return rates_of(settings["model"], settings["preset"]), r_max


@cache
def _edges(frame: Frame, r_max: float) -> int:
    """Return the number of edges of a frame."""
    return len(find_edges(frame.positions, frame.cell, frame.pbc, r_max=r_max))


def _train(job: Job, file: PlanFile, facts: Facts) -> tuple[float, float]:
    rates, r_max = _model_of(job, file)
    settings = training_settings(file.plan, job.labels["set"], job.labels["model"])
    config = check_config({**settings, "data": "-"})
    of_set = facts.sets[job.labels["set"]]
    work = of_set.train * config.epochs * _edges(of_set.example, r_max) * rates.train
    return work, 20.0


def _evaluate(job: Job, file: PlanFile, facts: Facts) -> tuple[float, float]:
    rates, r_max = _model_of(job, file)
    test = facts.sets[job.labels["set"]].tests[job.labels["test"]]
    per_atom = _edges(test.largest, r_max) / len(test.largest)
    return test.atoms * per_atom * rates.evaluate, _BYTES_PER_EVALUATION / 1e6


def _simulate(job: Job, file: PlanFile, facts: Facts) -> tuple[float, float]:
    rates, r_max = _model_of(job, file)
    dataset = file.plan.sets[job.labels["set"]]
    simulate = dataset.tests[job.labels["test"]].simulate
    protocol = file.plan.protocol
    stage = protocol.stages[job.labels["stage"]]
    start = facts.sets[job.labels["set"]].tests[job.labels["test"]].start
    repeats = float(np.prod(simulate.replicate))
    step = simulate.timestep_fs or protocol.timestep_fs
    steps = 1000.0 * (stage.length_ps + stage.equilibrate_ps) / step
    frames = 1000.0 * stage.length_ps / stage.dump_every_fs
    disk = frames * repeats * len(start) * _BYTES_PER_DUMPED_ATOM / 1e6
    return steps * repeats * _edges(start, r_max) * rates.simulate, disk


def _speed(job: Job, file: PlanFile, facts: Facts) -> tuple[float, float]:
    rates, r_max = _model_of(job, file)
    of_set = facts.sets[job.labels["set"]]
    speed = file.plan.sets[job.labels["set"]].speed
    atoms = int(job.labels["case"].partition("-")[0])
    per_atom = _edges(of_set.speed, r_max) / len(of_set.speed)
    return speed.steps * atoms * per_atom * rates.simulate, 0.1


def _analysis(job: Job, file: PlanFile, facts: Facts) -> float:
    """Return CPU seconds of an analysis: of the frames kept, and of the replay."""
    rates, r_max = _model_of(job, file)
    dataset = file.plan.sets[job.labels["set"]]
    simulate = dataset.tests[job.labels["test"]].simulate
    protocol = file.plan.protocol
    test = facts.sets[job.labels["set"]].tests[job.labels["test"]]
    atoms = len(test.start) * float(np.prod(simulate.replicate))
    kept = sum(1000.0 * one.length_ps / one.dump_every_fs for one in protocol.stages.values())
    runs = protocol.starts * len(protocol.stages)
    replayed = min(test.frames, 200) * _edges(test.start, r_max) * rates.evaluate * 1e-6
    return protocol.starts * kept * atoms * 3e-5 + runs * (replayed + 1.0)


_WORK = {"train": _train, "eval": _evaluate, "run": _simulate, "speed": _speed}
