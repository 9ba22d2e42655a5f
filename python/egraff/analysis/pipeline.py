# SPDX-License-Identifier: GPL-2.0-or-later
"""``egraff analyse``: every run below a directory, each to ``result.json`` and ``curves.npz``.

A part that cannot be computed (no dump, too few frames, a reference of another system) becomes an
entry under ``problems`` of the result; the other parts are computed all the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from egraff import __version__
from egraff.analysis.metric import Metric
from egraff.analysis.runs import Run
from egraff.analysis.section import Section
from egraff.analysis.section_dynamics import conservation, diffusion, vibrations
from egraff.analysis.section_model import ModelChecks
from egraff.analysis.section_order import order
from egraff.analysis.section_relabelled import relabelled
from egraff.analysis.section_replay import replay
from egraff.analysis.section_stability import stability
from egraff.analysis.section_structure import StructureComparison, structure, structure_alone
from egraff.analysis.section_thermo import density, speed, thermo
from egraff.analysis.stability import Criteria
from egraff.data.frames import read_frames
from egraff.data.labels import LabelKeys
from egraff.errors import InputError
from egraff.files import atomic_path, check_writable, sha256, write_json

RESULT = Path("analysis") / "result.json"
CURVES = Path("analysis") / "curves.npz"

_FEWEST_FRAMES = 50

#: Raised whenever what the same input gives changes.
REVISION = 6


@dataclass(frozen=True)
class Parameters:
    """What can be chosen about an analysis.

    Attributes:
        r_max: range of the structure comparison in Angstrom; None for `default_r_max`.
        bin_width: of the radial distributions, Angstrom (EGraFFBench's 0.05).
        max_frames: at most this many frames, evenly spaced, enter the structure comparison.
        max_atoms: nor more than this many atoms in all of its frames (but at least 50 frames): a
            frame of a large system holds many samples of its structure.
        max_replay_frames: at most this many reference frames, evenly spaced, are replayed.
        criteria: of stability.
        threads: of the neighbour lists; it changes no result.
        workers: processes among which the frames are shared; neither does it.
    """

    r_max: float | None = None
    bin_width: float = 0.05
    max_frames: int = 400
    max_atoms: int = 500_000
    max_replay_frames: int = 200
    criteria: Criteria = field(default_factory=Criteria)
    threads: int = 1
    workers: int = 1

    def processes(self, n_frames: int) -> dict[str, Any]:
        """How `AnalysisBase.run` is to share out ``n_frames``, as its keyword arguments."""
        workers = min(self.workers, n_frames)
        return {} if workers < 2 else {"backend": "multiprocessing", "n_workers": workers}

    def structure_frames(self, n_atoms: int) -> int:
        """How many frames of ``n_atoms`` enter the structure comparison."""
        return min(self.max_frames, max(_FEWEST_FRAMES, self.max_atoms // n_atoms))

    def __post_init__(self) -> None:
        counts = ("max_frames", "max_atoms", "max_replay_frames", "threads", "workers")
        for name in ("bin_width", *counts):
            if not getattr(self, name) > 0:
                raise InputError(f"expected a value above 0, got {getattr(self, name)}", where=name)


@dataclass
class Reference:
    """A labelled trajectory to compare with.

    Attributes:
        path: where it was read from.
        frames: its frames, in order of time.
        digest: SHA-256 of the file.
        keys: names, unit and sign of the labels in it.
    """

    path: str
    frames: list[Atoms]
    digest: str
    keys: LabelKeys = field(default_factory=LabelKeys)

    def identity(self) -> str:
        """What a result depends on: the content of the file, and how its labels were read."""
        others = self.keys.model_dump(exclude_defaults=True)
        return self.digest + (json.dumps(others, sort_keys=True) if others else "")

    _cache: dict[Any, Any] = field(default_factory=dict)

    def once(self, key: Any, compute: Callable[[], Any]) -> Any:
        """Result of ``compute``, computed the first time only: runs share their reference."""
        if key not in self._cache:
            self._cache[key] = compute()
        return self._cache[key]


def read_reference(path: Path, *, keys: LabelKeys | None = None) -> Reference:
    """Read a reference trajectory.

    Args:
        path: any file that `egraff.data.read_frames` reads.
        keys: names, unit and sign of its labels; the defaults when None.

    Raises:
        InputError: no such file, or it cannot be read.
    """
    frames = [frame.to_atoms() for frame in read_frames(path, keys=keys)]
    return Reference(str(path), frames, sha256(path), keys or LabelKeys())


@dataclass
class Result:
    """Outcome of the analysis of one run.

    Attributes:
        metrics: every number, in the order of the report.
        curves: arrays by name, for figures.
        problems: what could not be computed or was left out of the input.
        violations: of the criteria of stability, in order of time.
    """

    metrics: list[Metric] = field(default_factory=list)
    curves: dict[str, np.ndarray] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    violations: list[dict[str, Any]] = field(default_factory=list)

    def add(self, section: Section, name: str) -> None:
        """Take over what one part gave."""
        self.metrics += section.metrics
        self.curves |= section.curves
        self.problems += [f"{name}: {problem}" for problem in section.problems]


def _key(
    run: Run,
    reference: Reference | None,
    parameters: Parameters,
    labels: Reference | None,
    of_model: tuple[bool, bool],
) -> str:
    """Hash of everything the result depends on."""
    parts: dict[str, Any] = {
        "revision": REVISION,
        "egraff": __version__,
        "parameters": _parameters(parameters),
        "reference": reference.identity() if reference else None,
        "labels": labels.identity() if labels else None,
        "of_model": of_model,
    }
    for path in (run.directory / "run.json", run.log, run.dump):
        parts[path.name] = sha256(path) if path.is_file() else None
    if run.structure is not None and run.structure.is_file():
        parts["structure"] = sha256(run.structure)
    if any(of_model) and run.model and run.model.is_file():
        parts["model"] = sha256(run.model)
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def analyse_run(
    run: Run,
    *,
    reference: Reference | None = None,
    parameters: Parameters = Parameters(),
    load_calculator: Callable[[Path], Calculator] | None = None,
    checks: ModelChecks | None = None,
    labels: Reference | None = None,
    force: bool = False,
) -> bool:
    """Analyse one run and write its ``analysis/result.json`` and ``analysis/curves.npz``.

    Args:
        run: the run.
        reference: compare with it; None to compute only what needs no reference.
        parameters: see `Parameters`.
        load_calculator: from a model file to an ASE calculator, for the replay; None for none.
        checks: scans and symmetry of the run's model, shared by all runs; None for none.
        labels: frames of this run labelled by another method; see `relabelled`.
        force: analyse again although a result for the same input is there.

    Returns:
        Whether anything was computed (False: the result was up to date).

    Raises:
        OutputError: the run directory cannot be written to.
    """
    key = _key(
        run, reference, parameters, labels, (load_calculator is not None, checks is not None)
    )
    target = run.directory / RESULT
    if not force and _stored_key(target) == key:
        return False
    check_writable(target)
    result = Result(problems=list(run.record.get("problems", ())))
    compared: list[StructureComparison] = []

    def compare() -> Section:
        if reference is None:
            comparison = structure_alone(run, parameters)
        else:
            comparison = structure(run, reference, parameters)
        compared.append(comparison)
        return comparison.section

    def local_order() -> Section:
        # without g(r) there is no order to tell; why, the part before has said
        return order(run, compared[0], reference, parameters) if compared else Section()

    def stable() -> Section:
        rdf = compared[0].frames() if compared else None
        section, result.violations = stability(run, rdf, parameters.criteria)
        return section

    of_dump: list[tuple[str, Callable[[], Section]]] = [
        ("structure", compare),
        ("order", local_order),
        ("density", lambda: density(run)),
        ("conservation", lambda: conservation(run, parameters)),
        ("diffusion", lambda: diffusion(run, parameters)),
        ("vibrations", lambda: vibrations(run, parameters)),
    ]
    parts = [("thermo", lambda: thermo(run)), ("speed", lambda: speed(run))]
    if run.dump.is_file():
        parts += of_dump
    else:
        names = ", ".join(name for name, _ in of_dump)
        result.problems.append(f"{run.dump.name}: no such file; {names} left out")
    parts.append(("stability", stable))
    if reference is not None and load_calculator is not None and run.model is not None:
        parts.append(("replay", lambda: replay(run, reference, parameters, load_calculator)))
    if checks is not None and run.dump.is_file():
        parts.append(("model", lambda: checks.section(run)))
    if labels is not None:
        parts.append(("labels", lambda: relabelled(run, labels)))
    for name, compute in parts:
        try:
            result.add(compute(), name)
        except InputError as error:
            result.problems.append(f"{name}: {error}")
    _write(run, key, result, reference, parameters)
    return True


def _parameters(parameters: Parameters) -> dict[str, Any]:
    """The parameters that a result depends on."""
    content = asdict(parameters)
    return {name: content[name] for name in content if name not in ("threads", "workers")}


def _stored_key(target: Path) -> str | None:
    if not target.is_file() or not (target.parent / CURVES.name).is_file():
        return None
    try:
        content = json.loads(target.read_text(encoding="utf-8"))
    except ValueError:
        return None
    return content.get("key") if isinstance(content, dict) else None


def _write(
    run: Run, key: str, result: Result, reference: Reference | None, parameters: Parameters
) -> None:
    with atomic_path(run.directory / CURVES) as partial:
        np.savez_compressed(partial, **result.curves)
    write_json(
        run.directory / RESULT,
        {
            "egraff": __version__,
            "key": key,
            "status": run.record["status"],
            "reference": reference.path if reference else None,
            "reference_sha256": reference.digest if reference else None,
            "parameters": _parameters(parameters),
            "violations": result.violations,
            "metrics": [metric.as_dict() for metric in result.metrics],
            "problems": result.problems,
        },
    )
