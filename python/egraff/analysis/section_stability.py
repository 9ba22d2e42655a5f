# SPDX-License-Identifier: GPL-2.0-or-later
"""For how long a run stayed physical, and what it looked like when it did not."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import ase.io
import numpy as np
from ase import Atoms

from egraff.analysis.dump_file import DumpFile
from egraff.analysis.logfile import read_log
from egraff.analysis.runs import Run
from egraff.analysis.section import Section, log_times_ps, universe_of
from egraff.analysis.stability import (
    Criteria,
    Violation,
    check_dump,
    check_log,
    check_rdf,
    stability_metric,
)
from egraff.analysis.structure import Structure
from egraff.errors import InputError
from egraff.files import atomic_path

FINAL_FRAME = "final_frame.xyz"
BAD_FRAME = "first_bad_frame.xyz"


def stability(
    run: Run, rdf: tuple[np.ndarray, np.ndarray, Structure] | None, criteria: Criteria
) -> tuple[Section, list[dict[str, Any]]]:
    """Violations from the log, the dump and the RDF; saves the final and the first bad frame.

    Args:
        run: the run.
        rdf: g(r) of each frame, times in ps, and the reference's structure; None without one.
        criteria: the limits.

    Returns:
        The section and the violations as JSON-able dictionaries.
    """
    section = Section()
    found: list[Violation] = []
    length = 0.0
    sources = []
    if run.log.is_file():
        log = read_log(run.log)
        found += check_log(
            log, run.record["timestep_fs"], run.record.get("temperature_K"), criteria
        )
        if log.runs and sum(len(part.rows) for part in log.runs):
            length = float(log_times_ps(log, run)[-1])
        sources.append(run.log.name)
    if run.dump.is_file():
        found += _from_dump(run, criteria, section)
        sources.append(run.dump.name)
    if rdf is not None:
        found += check_rdf(*rdf, criteria)
    if not sources:
        raise InputError("expected a log or a dump, got neither", where=run.directory)
    if run.failed and not found:
        message = run.record.get("error") or "no reason recorded"
        found.append(Violation("lammps-error", length, message))
    found.sort(key=lambda violation: violation.time_ps)
    section.metrics.append(stability_metric(found, length, provenance=", ".join(sources)))
    return section, [asdict(violation) for violation in found]


def _from_dump(run: Run, criteria: Criteria, section: Section) -> list[Violation]:
    universe = universe_of(run)
    trajectory = universe.trajectory
    dump = trajectory.dump
    elements = universe.atoms.elements
    times = dump.steps * run.record["timestep_fs"] * 1e-3
    _save(run, dump, len(dump) - 1, elements, FINAL_FRAME)
    violations = check_dump(dump, elements, times, criteria)
    target = run.directory / "analysis" / BAD_FRAME
    target.unlink(missing_ok=True)
    for violation in violations:
        if violation.frame is not None:
            _save(run, dump, violation.frame, elements, BAD_FRAME)
    return violations


def _save(run: Run, dump: DumpFile, index: int, elements: np.ndarray, name: str) -> None:
    frame = dump.read(index)
    symbols = frame.words.get("element")
    if symbols is None:
        symbols = elements[: frame.header.n_atoms]
    positions = frame.positions() - frame.header.origin
    periodic = any(frame.header.pbc)
    atoms = Atoms(
        list(symbols),
        positions=positions,
        cell=frame.header.cell if periodic else None,
        pbc=frame.header.pbc,
        info={"step": frame.header.step},
    )
    with atomic_path(run.directory / "analysis" / name) as partial:
        ase.io.write(partial, atoms, format="extxyz")
