# SPDX-License-Identifier: GPL-2.0-or-later
"""What a campaign has found, one number a row.

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
from egraff.errors import InputError
from egraff.files import atomic_path, write_json

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
)
BY_NAME = {one.name: one for one in QUANTITIES}


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


def rows_of(jobs: Sequence[Job], out: Path) -> list[Row]:
    """Return all numbers that a campaign has so far.

    Raises:
        InputError: a job was done, but its files are gone.
    """
    rows: list[Row] = []
    for job in jobs:
        record = read_record(out / job.record)
        if record is not None and record.status == "done" and job.kind in _READERS:
            try:
                rows += _READERS[job.kind](job, record, out)
            except FileNotFoundError as error:
                raise InputError(
                    f"expected what {job.name} has left, found no {error.filename}",
                    where=out,
                    fix=f"remove {job.record}; the job is then done again",
                ) from error
    return rows


def _row(job: Job, name: str, value: float, error: float | None, source: str, **more: str) -> Row:
    quantity = BY_NAME[name]
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


def _of_speed(job: Job, _record: Record, out: Path) -> Iterator[Row]:
    path = out / job.product / names.RUN_RECORD
    content = _json(path)
    steps = sum(one["production_steps"] for one in content["segments"])
    seconds = sum(one["production_s"] for one in content["segments"])
    source = f"{job.product}/{names.RUN_RECORD}"
    if steps:
        us = seconds / steps / content["n_atoms"] * 1e6
        yield _row(job, "us_per_atom_step", us, None, source)


def _of_training(job: Job, record: Record, out: Path) -> Iterator[Row]:
    if record.attempts > 1:
        return  # the record has the time of the last attempt only
    epochs = _json(out / job.product / names.SUMMARY)["training"]["epochs"]
    if epochs:
        yield _row(job, "train_cpu_s_per_epoch", record.cpu_s / epochs, None, str(job.record))


_READERS = {
    "eval": _of_evaluation,
    "analyse": _of_simulations,
    "speed": _of_speed,
    "train": _of_training,
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
