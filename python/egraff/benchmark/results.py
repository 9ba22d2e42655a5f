# SPDX-License-Identifier: GPL-2.0-or-later
"""What a campaign has found: one number a row, and means over seeds and starts with their errors.

Numbers come from what the commands left (``egraff eval --json``, ``analysis/result.json``,
``run.json``), the same for all protocols.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from egraff import names
from egraff.benchmark.job import Job, Record, read_record
from egraff.files import atomic_path, write_json
from egraff.statistics import MINIMUM_RUNS, geometric_over_runs, summary_over_runs

RESULTS_CSV, RESULTS_JSON, JOBS_CSV = "results.csv", "results.json", "jobs.csv"

_TO_SIGMA = 2.0 * 1.959964  # width of a 95 % interval in standard errors


@dataclass(frozen=True)
class Quantity:
    """A number of a benchmark.

    Attributes:
        name: of the metric.
        title: for tables.
        unit: in which it is given here.
        task: errors, simulation or speed.
        factor: from the unit of the source.
        geometric: whether the mean over rollouts is the geometric one.
    """

    name: str
    title: str
    unit: str
    task: str
    factor: float = 1.0
    geometric: bool = False


#: In the order of tables. What is not here is in the files of each job.
QUANTITIES = (
    Quantity("force_mae_ev_per_ang", "Force MAE", "meV/Å", "errors", 1e3),
    Quantity("trivial_force_mae_ev_per_ang", "Force MAE of zero", "meV/Å", "errors", 1e3),
    Quantity("energy_mae_ev_per_atom", "Energy MAE", "meV/atom", "errors", 1e3),
    Quantity("energy_bias_ev_per_atom", "Energy bias", "meV/atom", "errors", 1e3),
    Quantity("energy_spread_ev_per_atom", "Energy error without bias", "meV/atom", "errors", 1e3),
    Quantity("trivial_energy_mae_ev_per_atom", "Energy MAE, trivial", "meV/atom", "errors", 1e3),
    Quantity("stress_mae_ev_per_ang3", "Stress MAE", "meV/Å³", "errors", 1e3),
    Quantity("survived", "Survived", "", "simulation"),
    Quantity("stability_time", "Stable for", "ps", "simulation"),
    Quantity("temperature", "Temperature", "K", "simulation"),
    Quantity("wasserstein[total]", "W1 of g(r)", "Å", "simulation"),
    Quantity("wasserstein_over_noise", "W1 over noise", "×", "simulation"),
    Quantity("wright_factor[total]", "Wright factor", "", "simulation"),
    Quantity("jensen_shannon[total]", "JSD", "nat", "simulation"),
    Quantity("replay_ev", "EV, replay", "", "simulation", geometric=True),
    Quantity("replay_fv", "FV, replay", "", "simulation", geometric=True),
    Quantity("nve_drift", "NVE drift", "meV/atom/ps", "simulation"),
    Quantity("us_per_atom_step", "Time", "µs/atom/step", "speed"),
    Quantity("train_cpu_s_per_epoch", "Training", "CPU s/epoch", "speed"),
    Quantity("memory_mb", "Memory", "MB", "speed"),
)
_BY_NAME = {one.name: one for one in QUANTITIES}


@dataclass(frozen=True)
class Row:
    """One number of one job.

    Attributes:
        set, model, seed, test, shift, stage, start, case: what it is about; empty where it is
            about all.
        metric: name of a `Quantity`.
        value: in ``unit``.
        error: one standard error within the job, or None.
        unit: of both.
        source: file it was read from.
    """

    set: str
    model: str
    seed: str
    test: str
    shift: str
    stage: str
    start: str
    case: str
    metric: str
    value: float
    error: float | None
    unit: str
    source: str


@dataclass(frozen=True)
class Summary:
    """A quantity over seeds and starts.

    Attributes:
        value: mean over seeds of means over starts.
        error: one standard error, or None where it is not known.
        of: what the error is from: ``seeds``, ``starts``, ``frames`` (one training, whose own
            scatter is not known), or nothing.
        n: number of values.
    """

    value: float
    error: float | None
    of: str
    n: int


def rows_of(jobs: Sequence[Job], out: Path) -> list[Row]:
    """Return all numbers that a campaign has so far."""
    rows: list[Row] = []
    for job in jobs:
        record = read_record(out / job.record)
        if record is not None and record.status == "done" and job.kind in _READERS:
            rows += _READERS[job.kind](job, record, out)
    return rows


def _row(job: Job, name: str, value: float, error: float | None, source: str, **more: str) -> Row:
    quantity = _BY_NAME[name]
    labels = {**job.labels, **more}
    where = {
        one: labels.get(one, "")
        for one in ("set", "model", "seed", "test", "shift", "stage", "start", "case")
    }
    scaled = None if error is None else error * quantity.factor
    return Row(
        **where,
        metric=name,
        value=value * quantity.factor,
        error=scaled,
        unit=quantity.unit,
        source=source,
    )


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _of_evaluation(job: Job, _record: Record, out: Path) -> Iterator[Row]:
    values = _json(out / job.product)
    for quantity in QUANTITIES:
        value = values.get(quantity.name)
        if quantity.task != "errors" or value is None or not math.isfinite(value):
            continue
        low, high = (values.get(f"ci95_{end}_{quantity.name}") for end in ("low", "high"))
        error = None if low is None or high is None else (high - low) / _TO_SIGMA
        yield _row(job, quantity.name, value, error, job.product)


def _of_simulations(job: Job, _record: Record, out: Path) -> Iterator[Row]:
    for path in sorted((out / job.product).glob(f"*/{names.ANALYSIS_RESULT}")):
        folder = path.parent.parent
        stage, _, start = folder.name.rpartition("-")
        where = {"stage": stage, "start": start}
        source = path.relative_to(out).as_posix()
        content = _json(path)
        metrics = {entry["name"]: entry for entry in content["metrics"]}
        whole = content["status"] == "completed" and not content["violations"]
        yield _row(job, "survived", float(whole), None, source, **where)
        for quantity in QUANTITIES:
            metric = metrics.get(quantity.name)
            if quantity.task == "simulation" and metric and metric["value"] is not None:
                yield _row(job, quantity.name, metric["value"], metric["error"], source, **where)
        distance = metrics.get("wasserstein[total]", {})
        halves = metrics.get("noise_floor_wasserstein[total]", {})
        noise = distance.get("noise") or halves.get("value")
        if noise and distance.get("value") is not None:
            ratio = distance["value"] / noise
            yield _row(job, "wasserstein_over_noise", ratio, None, source, **where)


def _of_speed(job: Job, record: Record, out: Path) -> Iterator[Row]:
    path = out / job.product / names.RUN_RECORD
    content = _json(path)
    steps = sum(one["production_steps"] for one in content["segments"])
    seconds = sum(one["production_s"] for one in content["segments"])
    source = f"{job.product}/{names.RUN_RECORD}"
    if steps:
        us = seconds / steps / content["n_atoms"] * 1e6
        yield _row(job, "us_per_atom_step", us, None, source)
    yield _row(job, "memory_mb", record.memory_mb, None, str(job.record))


def _of_training(job: Job, record: Record, out: Path) -> Iterator[Row]:
    if record.attempts > 1:
        return  # the record has the time of the last attempt only
    path = out / job.product / names.SUMMARY
    epochs = _json(path).get("epochs")
    if epochs:
        yield _row(job, "train_cpu_s_per_epoch", record.cpu_s / epochs, None, str(job.record))


_READERS = {
    "eval": _of_evaluation,
    "analyse": _of_simulations,
    "speed": _of_speed,
    "train": _of_training,
}


def summarise(rows: Sequence[Row]) -> Summary | None:
    """Return the mean of one quantity of one model and test, over seeds and starts.

    Values of one seed are averaged first: starts of one training say nothing about another one.

    Args:
        rows: of one metric; None is returned where there are none.
    """
    if not rows:
        return None
    mean = geometric_over_runs if _BY_NAME[rows[0].metric].geometric else summary_over_runs
    by_seed: dict[str, list[Row]] = {}
    for row in rows:
        by_seed.setdefault(row.seed, []).append(row)
    inner = [mean([row.value for row in of_seed]) for of_seed in by_seed.values()]
    outer = mean([one.value for one in inner])
    if len(inner) >= MINIMUM_RUNS:
        return Summary(outer.value, outer.error, "seeds", len(rows))
    errors = [one.error for one in inner]
    if all(error is not None for error in errors):
        error = math.sqrt(sum(error**2 for error in errors)) / len(errors)
        return Summary(outer.value, error, "starts", len(rows))
    own = [row.error for row in rows]
    if len(rows) == len(inner) and all(error is not None for error in own):
        error = math.sqrt(sum(error**2 for error in own)) / len(own)
        return Summary(outer.value, error, "frames", len(rows))
    return Summary(outer.value, None, "", len(rows))


def ranks(summaries: Mapping[str, Summary | None]) -> dict[str, int | None]:
    """Rank models by a quantity of which less is better, as far as errors separate them.

    A model's rank is one more than the number of models that are better by more than two standard
    errors of the difference; one whose error is not known has none.

    Args:
        summaries: by model.
    """
    known = {
        name: one for name, one in summaries.items() if one is not None and one.error is not None
    }

    def better(first: Summary, second: Summary) -> bool:
        return second.value - first.value > 2.0 * math.hypot(first.error, second.error)

    return {
        name: 1 + sum(better(other, known[name]) for other in known.values())
        if name in known
        else None
        for name in summaries
    }


def write_rows(rows: Sequence[Row], out: Path, about: Mapping[str, Any]) -> list[Path]:
    """Write all numbers as CSV and as JSON."""
    table, content = out / RESULTS_CSV, out / RESULTS_JSON
    _write_csv(table, [one.name for one in fields(Row)], [asdict(row) for row in rows])
    write_json(content, {**about, "rows": [asdict(row) for row in rows]})
    return [table, content]


def write_jobs(jobs: Sequence[Job], out: Path) -> Path:
    """Write a row for each job: how it went, what it took, and where its log is."""
    columns = ("job", "status", "reason", "exit_code", "wall_s", "cpu_s", "memory_mb", "attempts")
    columns = (*columns, "started", "finished", "log", "command")
    rows = []
    for job in jobs:
        record = read_record(out / job.record)
        content = {"job": job.name, "status": "not finished", "command": job.command}
        rows.append(content if record is None else asdict(record))
    _write_csv(out / JOBS_CSV, columns, rows)
    return out / JOBS_CSV


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    with atomic_path(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
