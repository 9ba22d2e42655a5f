# SPDX-License-Identifier: GPL-2.0-or-later
"""For how long a run stayed physical, and what it looked like when it did not."""

from __future__ import annotations

import ase.io
from ase import Atoms

from egraff.analysis.context import AnalysisContext
from egraff.analysis.runs import Run
from egraff.analysis.section import Section
from egraff.analysis.sections.structure import compared_structures
from egraff.analysis.stability import Violation, check_rdf, stability_metric
from egraff.analysis.survival import Survival, frame_atoms
from egraff.errors import InputError
from egraff.files import atomic_path

FINAL_FRAME = "final_frame.xyz"
BAD_FRAME = "first_bad_frame.xyz"


def stability(context: AnalysisContext) -> Section:
    """Violations from the log, the dump and the RDF; saves the final and the first bad frame.

    Raises:
        InputError: there is neither log nor dump, or one of them cannot be read.
    """
    run = context.run
    sources: list[Survival] = []
    if run.log.is_file():
        sources.append(context.log_survival)
    if context.has_trajectory:
        sources.append(context.frame_survival)
        _save_frames(context, context.frame_survival.violations)
    if not sources:
        raise InputError("expected a log or a dump, got neither", where=run.directory)
    # a run without a log is as long as its trajectory
    length = max(source.length_ps for source in sources)
    found = [violation for source in sources for violation in source.violations]
    found += _drift(context)
    if run.stop:
        found.append(Violation("guard", *run.stop))
    if run.failed and not found:
        found.append(Violation("lammps-error", length, run.error or "no reason recorded"))
    found.sort(key=lambda violation: violation.time_ps)
    provenance = ", ".join(source.source for source in sources)
    section = Section([stability_metric(found, length, provenance=provenance)], violations=found)
    if context.healthy_until_ps < length:
        section.problems.append(
            f"means and structure are of the run before {context.healthy_until_ps:g} ps, when it "
            f"came apart ({found[0].criterion})"
        )
    return section


def _drift(context: AnalysisContext) -> list[Violation]:
    """Where g(r) has left the reference's, if there are both."""
    if context.reference is None or not context.has_trajectory:
        return []
    try:
        compared = compared_structures(context)
    except InputError:  # the part on structure has said why
        return []
    analysis = compared.analysis
    times = analysis.results.times_ps
    return check_rdf(analysis.curves(), times, compared.reference, context.parameters.criteria)


def _save_frames(context: AnalysisContext, violations: list[Violation]) -> None:
    universe = context.universe()
    last = len(universe.trajectory) - 1
    _save(context.run, frame_atoms(context.run, universe, last), FINAL_FRAME)
    (context.run.directory / "analysis" / BAD_FRAME).unlink(missing_ok=True)
    for violation in violations:
        if violation.frame is not None:
            _save(context.run, frame_atoms(context.run, universe, violation.frame), BAD_FRAME)


def _save(run: Run, atoms: Atoms, name: str) -> None:
    with atomic_path(run.directory / "analysis" / name) as partial:
        ase.io.write(partial, atoms, format="extxyz")
