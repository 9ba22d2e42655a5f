# SPDX-License-Identifier: GPL-2.0-or-later
"""``egraff analyse``: every run below a directory, each to ``result.json`` and ``curves.npz``.

A part that cannot be computed (no dump, too few frames, a reference of another system) becomes an
entry under ``problems`` of the result; the other parts are computed all the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from egraff import __version__
from egraff.analysis.context import AnalysisContext
from egraff.analysis.runs import RECORD, Run
from egraff.analysis.section import Section
from egraff.analysis.sections.committee import committee
from egraff.analysis.sections.dynamics import conservation, diffusion, vibrations
from egraff.analysis.sections.model import model
from egraff.analysis.sections.order import order
from egraff.analysis.sections.relabelled import relabelled
from egraff.analysis.sections.replay import replay
from egraff.analysis.sections.stability import stability
from egraff.analysis.sections.structure import structure
from egraff.analysis.sections.thermo import density, speed, thermo
from egraff.analysis.verdict.judge import Verdict, judge
from egraff.errors import InputError
from egraff.files import atomic_path, check_writable, sha256, write_json

RESULT = Path("analysis") / "result.json"
CURVES = Path("analysis") / "curves.npz"

#: Raised whenever what the same input gives changes.
REVISION = 9


class Part(NamedTuple):
    """One part of an analysis.

    Attributes:
        name: by which its problems are told.
        compute: gives the section.
        needs: what must be there (see `_missing`); without it the part is left out.
    """

    name: str
    compute: Callable[[AnalysisContext], Section]
    needs: tuple[str, ...] = ()


#: In the order of the report. A new part is a function of the context, entered here.
PARTS = (
    Part("thermo", thermo),
    Part("speed", speed),
    Part("structure", structure, ("dump",)),
    Part("order", order, ("dump",)),
    Part("density", density, ("dump",)),
    Part("conservation", conservation, ("dump",)),
    Part("diffusion", diffusion, ("dump",)),
    Part("vibrations", vibrations, ("dump",)),
    Part("stability", stability),
    Part("committee", committee, ("deviations",)),
    Part("replay", replay, ("reference", "load_calculator", "model")),
    Part("model", model, ("checks", "dump")),
    Part("labels", relabelled, ("labels",)),
)


def _missing(context: AnalysisContext) -> set[str]:
    """What the run or the user has not given, of all that parts may need."""
    given = {
        "dump": context.has_trajectory,
        "model": context.run.model is not None,
        "deviations": context.run.deviations is not None,
        "reference": context.reference is not None,
        "labels": context.labels is not None,
        "load_calculator": context.load_calculator is not None,
        "checks": context.checks is not None,
    }
    return {name for name, there in given.items() if not there}


def _key(context: AnalysisContext) -> str:
    """Hash of everything the result depends on."""
    run = context.run
    of_model = (context.load_calculator is not None, context.checks is not None)
    parts: dict[str, Any] = {
        "revision": REVISION,
        "egraff": __version__,
        "parameters": context.parameters.that_matter(),
        "reference": context.reference.identity() if context.reference else None,
        "labels": context.labels.identity() if context.labels else None,
        "of_model": of_model,
    }
    for path in (run.directory / RECORD, run.log, run.dump):
        parts[path.name] = sha256(path) if path.is_file() else None
    if run.deviations is not None and run.deviations.is_file():
        parts["deviations"] = sha256(run.deviations)
    if run.structure is not None and run.structure.is_file():
        parts["structure"] = sha256(run.structure)
    if any(of_model) and run.model and run.model.is_file():
        parts["model"] = sha256(run.model)
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def analyse(context: AnalysisContext, *, force: bool = False) -> bool:
    """Analyse one run and write its ``analysis/result.json`` and ``analysis/curves.npz``.

    Args:
        context: the run, and what it is compared with.
        force: analyse again although a result for the same input is there.

    Returns:
        Whether anything was computed (False: the result was up to date).

    Raises:
        OutputError: the run directory cannot be written to.
    """
    key = _key(context)
    target = context.run.directory / RESULT
    if not force and _stored_key(target) == key:
        return False
    check_writable(target)
    result = Section(problems=context.run.problems)
    if not context.has_trajectory:
        names = ", ".join(part.name for part in PARTS if part.needs == ("dump",))
        result.problems.append(f"{context.run.dump.name}: no such file; {names} left out")
    _add_parts(context, result)
    result.problems += [f"trajectory: {problem}" for problem in context.trajectory_problems()]
    _write(context, key, result)
    return True


def verdict_of_log(run: Run) -> tuple[Verdict, list[str]]:
    """Judge a run by its log and its record alone, which takes no time; nothing is written.

    Whatever only the trajectory shows (structure, bonds, what the model makes of the frames) is
    left to `analyse`.

    Returns:
        The verdict, and what could not be computed for it.
    """
    context = AnalysisContext(run, trajectory=False)
    result = Section()
    _add_parts(context, result)
    verdict = judge(result.metrics, result.violations, context.parameters.rules)
    return verdict, result.problems


def _add_parts(context: AnalysisContext, result: Section) -> None:
    """Add what all parts give that have what they need."""
    missing = _missing(context)
    for part in PARTS:
        if missing.intersection(part.needs):
            continue
        try:
            result.add(part.compute(context), part.name)
        except InputError as error:
            result.problems.append(f"{part.name}: {error}")


def _stored_key(target: Path) -> str | None:
    if not target.is_file() or not (target.parent / CURVES.name).is_file():
        return None
    try:
        content = json.loads(target.read_text(encoding="utf-8"))
    except ValueError:
        return None
    return content.get("key") if isinstance(content, dict) else None


def _write(context: AnalysisContext, key: str, result: Section) -> None:
    run, reference = context.run, context.reference
    with atomic_path(run.directory / CURVES) as partial:
        np.savez_compressed(partial, **result.curves)
    write_json(
        run.directory / RESULT,
        {
            "egraff": __version__,
            "key": key,
            "status": run.status,
            "reference": reference.path if reference else None,
            "reference_sha256": reference.digest if reference else None,
            "parameters": context.parameters.that_matter(),
            "verdict": judge(result.metrics, result.violations, context.parameters.rules).as_dict(),
            "violations": [asdict(violation) for violation in result.violations],
            "metrics": [metric.as_dict() for metric in result.metrics],
            "problems": result.problems,
        },
    )
