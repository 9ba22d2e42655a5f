# SPDX-License-Identifier: GPL-2.0-or-later
"""For how long a run stayed physical, and what it looked like when it did not."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import ase.io
import numpy as np
from ase import Atoms

from egraff.analysis.fields import frame_geometry
from egraff.analysis.run_log import log_times_ps
from egraff.analysis.runs import Run
from egraff.analysis.section import Section, log_of, universe_of
from egraff.analysis.stability import (
    Criteria,
    Violation,
    check_dump,
    check_frames,
    check_log,
    check_rdf,
    stability_metric,
)
from egraff.analysis.structure import Structure
from egraff.data.lammps.dump_file import DumpFile
from egraff.data.lammps.unit_styles import unit_style
from egraff.errors import InputError
from egraff.files import atomic_path
from egraff.units import PS_PER_FS

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
        log = log_of(run)
        rows = sum(len(part.rows) for part in log.runs)
        times = log_times_ps(log, run.conditions) if rows else np.empty(0)
        found += check_log(log, times, run.record.get("temperature_K"), criteria)
        if rows:
            length = float(times[-1])
        sources.append(run.log.name)
    if run.dump.is_file():
        violations, last = _from_frames(run, criteria)
        found += violations
        length = max(length, last)  # a run without a log is as long as its trajectory
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


def _from_frames(run: Run, criteria: Criteria) -> tuple[list[Violation], float]:
    """Violations that show in the trajectory, and the time of its last frame in ps."""
    universe = universe_of(run)
    elements = universe.atoms.elements
    if run.record.get("trajectory"):
        times = universe.trajectory.times_ps
        geometry = (frame_geometry(universe.atoms, finite=False) for _ in universe.trajectory)
        violations = check_frames(geometry, elements, times, criteria)

        def frame(index: int) -> Atoms:
            universe.trajectory[index]
            positions, cell, pbc = frame_geometry(universe.atoms, finite=False)
            return Atoms(list(elements), positions=positions, cell=cell, pbc=pbc)
    else:
        dump = universe.trajectory.dump
        times = dump_times_ps(dump, run)
        violations = check_dump(dump, elements, times, criteria)

        def frame(index: int) -> Atoms:
            return _dump_atoms(dump, index, elements)

    _save(run, frame(len(times) - 1), FINAL_FRAME)
    target = run.directory / "analysis" / BAD_FRAME
    target.unlink(missing_ok=True)
    for violation in violations:
        if violation.frame is not None:
            _save(run, frame(violation.frame), BAD_FRAME)
    return violations, float(times[-1])


def dump_times_ps(dump: DumpFile, run: Run) -> np.ndarray:
    """Time of each frame since the run began, ps: as the dump states it, or by its step."""
    conditions = run.conditions
    stated = dump.times * unit_style(conditions.units, where=dump.path).time
    if conditions.timestep_fs is None or np.all(np.isfinite(stated)):
        return stated - conditions.start_ps
    return dump.steps * conditions.timestep_fs * PS_PER_FS - conditions.start_ps


def _dump_atoms(dump: DumpFile, index: int, elements: np.ndarray) -> Atoms:
    frame = dump.read(index)
    symbols = frame.words.get("element")
    if symbols is None:
        symbols = elements[: frame.header.n_atoms]
    periodic = any(frame.header.pbc)
    return Atoms(
        list(symbols),
        positions=frame.positions() - frame.header.origin,
        cell=frame.header.cell if periodic else None,
        pbc=frame.header.pbc,
        info={"step": frame.header.step},
    )


def _save(run: Run, atoms: Atoms, name: str) -> None:
    with atomic_path(run.directory / "analysis" / name) as partial:
        ase.io.write(partial, atoms, format="extxyz")
