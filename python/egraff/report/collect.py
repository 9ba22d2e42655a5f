# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything below a directory that belongs in the report, read and given a name."""

from __future__ import annotations

import csv
import json
import os
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from egraff.analysis.metric import Metric
from egraff.analysis.pipeline import CURVES, RESULT
from egraff.analysis.runs import RECORD, Run, read_run
from egraff.analysis.verdict.judge import Verdict
from egraff.errors import InputError


@dataclass(frozen=True)
class Simulation:
    """One run with its analysis.

    Attributes:
        name: path relative to the report's directory.
        run: the run.
        metrics: by name; empty when the run was not analysed.
        curves: arrays by name.
        problems: from the analysis.
        reference: name of the reference file, or None.
        reference_sha256: its hash.
        violations: of the criteria of stability, in order of time.
        analysed: whether there is an analysis.
        verdict: on the run; None where its analysis is older than verdicts are.
    """

    name: str
    run: Run
    metrics: dict[str, Metric] = field(default_factory=dict)
    curves: dict[str, np.ndarray] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    reference: str | None = None
    reference_sha256: str | None = None
    violations: list[dict[str, Any]] = field(default_factory=list)
    analysed: bool = False
    verdict: Verdict | None = None

    @property
    def label(self) -> str:
        """The name for a legend, where matplotlib leaves out what begins with an underscore."""
        return f" {self.name}" if self.name.startswith("_") else self.name

    @property
    def model(self) -> str:
        """File name of the model."""
        return Path(self.run.record.get("model") or "?").name

    def noise(self, name: str) -> float | None:
        """What statistical errors alone would give for a difference called ``name``, or None.

        That is the metric's own ``noise``; where the runs are too short for it, the difference
        between the two halves of the reference.
        """
        metric, halves = self.metrics.get(name), self.metrics.get(f"noise_floor_{name}")
        if metric is not None and metric.noise is not None:
            return metric.noise
        return halves.value if halves is not None else None

    def times_noise(self, name: str) -> float | None:
        """A difference in units of its noise, or None where either is not known."""
        metric, noise = self.metrics.get(name), self.noise(name)
        if metric is None or metric.value is None or not noise:
            return None
        return metric.value / noise


@dataclass(frozen=True)
class Training:
    """One training: its summary and learning curves (column name to `[n_rows]`, NaN for gaps)."""

    name: str
    summary: dict[str, Any]
    curves: dict[str, np.ndarray]


@dataclass(frozen=True)
class Evaluation:
    """One ``egraff eval --json`` file."""

    name: str
    values: dict[str, Any]


@dataclass(frozen=True)
class RankAgreement:
    """Energies and forces of the same frame on one and on two MPI ranks."""

    name: str
    quantities: list[dict[str, Any]]


@dataclass
class Study:
    """Everything that was found."""

    root: Path
    simulations: list[Simulation] = field(default_factory=list)
    trainings: list[Training] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    ranks: list[RankAgreement] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def _json(path: Path, kind: type) -> Any:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"not valid JSON: {error}", where=path) from None
    if not isinstance(content, kind):
        raise InputError(
            f"expected a JSON {kind.__name__}, got {type(content).__name__}", where=path
        )
    return content


def _simulation(run: Run, name: str) -> Simulation:
    path = run.directory / RESULT
    if not path.is_file():
        return Simulation(name, run, problems=["not analysed: run egraff analyse"])
    content = _json(path, dict)
    curves: dict[str, np.ndarray] = {}
    if (run.directory / CURVES).is_file():
        try:
            with np.load(run.directory / CURVES, allow_pickle=False) as saved:
                curves = {key: saved[key] for key in saved.files}
        except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise InputError(
                f"expected the arrays of an analysis, got a damaged file: {error}",
                where=run.directory / CURVES,
                fix="run egraff analyse --force",
            ) from None
    reference = content.get("reference")
    verdict = content.get("verdict")
    return Simulation(
        name=name,
        run=run,
        metrics={entry["name"]: Metric.from_dict(entry) for entry in content["metrics"]},
        curves=curves,
        problems=list(content.get("problems", [])),
        reference=Path(reference).name if reference else None,
        reference_sha256=content.get("reference_sha256"),
        violations=list(content.get("violations", [])),
        analysed=True,
        verdict=Verdict.from_dict(verdict, where=path) if verdict is not None else None,
    )


def _learning_curves(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))

    def number(text: str | None) -> float:
        try:
            return float(text or "nan")
        except ValueError:
            return float("nan")

    names = rows[0].keys() if rows else ()
    return {name: np.array([number(row[name]) for row in rows]) for name in names if name}


def _add_training(study: Study, path: Path, name: str) -> None:
    """Add a training's summary; other commands write summaries of other kinds."""
    summary = _json(path, dict)
    if summary.get("kind", "training") == "training":
        curves = _learning_curves(path.parent / "metrics.csv")
        study.trainings.append(Training(name, summary, curves))


def _files(root: Path, pattern: str) -> Iterable[Path]:
    return sorted(path for path in root.rglob(pattern) if path.is_file())


def collect(root: str | os.PathLike[str]) -> Study:
    """Find and read everything below ``root``; what cannot be read is listed under ``problems``.

    Raises:
        InputError: no such directory, or nothing in it to report about.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError("no such directory", where=root)
    study = Study(root)

    def name_of(path: Path) -> str:
        name = path.relative_to(root).as_posix()
        return root.resolve().name if name == "." else name

    readers = (
        (
            RECORD,
            lambda p: study.simulations.append(_simulation(read_run(p.parent), name_of(p.parent))),
        ),
        (
            "summary.json",
            lambda p: _add_training(study, p, name_of(p.parent)),
        ),
        (
            "eval*.json",
            lambda p: study.evaluations.append(
                Evaluation(name_of(p.with_suffix("")), _json(p, dict))
            ),
        ),
        (
            "ranks.json",
            lambda p: study.ranks.append(
                RankAgreement(name_of(p.parent), _json(p, dict)["quantities"])
            ),
        ),
    )
    for pattern, read in readers:
        for path in _files(root, pattern):
            try:
                read(path)
            except KeyError as error:
                study.problems.append(f"{name_of(path)} was left out: it has no field {error}")
            except (InputError, TypeError) as error:
                study.problems.append(f"{name_of(path)} was left out: {error}")
    if not (study.simulations or study.trainings or study.evaluations or study.problems):
        raise InputError(
            "nothing to report: no run.json, summary.json or eval*.json in it",
            where=root,
            fix="give the directory of a training, a run, or one above them",
        )
    return study
