# SPDX-License-Identifier: GPL-2.0-or-later
"""Radial distribution functions of a run, and how they differ from a reference's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from egraff.analysis.context import AnalysisContext
from egraff.analysis.parameters import Parameters
from egraff.analysis.rdf import RadialDistribution
from egraff.analysis.reference import Reference
from egraff.analysis.section import Section, evenly_spaced
from egraff.analysis.structure import (
    Structure,
    compare_structures,
    noise_floor,
    structure_of,
)
from egraff.analysis.trajectory.frames import default_r_max, frames_universe
from egraff.errors import InputError

_FEWEST_FRAMES = 2


def _run_rdf(context: AnalysisContext, r_max: float):
    universe, parameters = context.universe(), context.parameters
    times = universe.trajectory.times_ps
    frames = context.production_frames(times, fewest=_FEWEST_FRAMES)
    most = parameters.structure_frames(len(universe.atoms))
    first, n_frames = frames.start, frames.stop - frames.start
    chosen = [first + index for index in evenly_spaced(n_frames, most)]
    source = (
        f"{context.run.dump.name}: {len(chosen)} of {len(times)} frames, from {times[first]:g} ps"
    )
    analysis = _distribution(universe, r_max, parameters)
    return analysis.run(frames=chosen, **parameters.processes(len(chosen))), source


def _distribution(universe, r_max: float, parameters: Parameters) -> RadialDistribution:
    return RadialDistribution(
        universe.atoms,
        r_max=r_max,
        bin_width=parameters.bin_width,
        # a crystal in a small cell is the crystal in a large one
        self_images=all(universe.trajectory.ts.data["pbc"]),
        n_threads=parameters.threads,
    )


def _reference_rdf(reference: Reference, r_max: float, parameters: Parameters):
    frames = reference.frames
    most = parameters.structure_frames(len(frames[0]))
    chosen = [frames[index] for index in evenly_spaced(len(frames), most)]
    universe = frames_universe(chosen, where=reference.path)
    analysis = _distribution(universe, r_max, parameters)
    return analysis.run(**parameters.processes(len(chosen)))


def _check_composition(context: AnalysisContext, symbols: np.ndarray) -> None:
    """The run must hold the reference's elements in the same proportions."""
    frame = context.reference.frames[0]

    def fractions(elements):
        return {symbol: np.mean(np.asarray(elements) == symbol) for symbol in set(elements)}

    own, other = fractions(list(symbols)), fractions(frame.get_chemical_symbols())
    same = own.keys() == other.keys() and all(abs(own[k] - other[k]) < 1e-9 for k in own)
    if not same:
        raise InputError(
            f"expected the composition of the reference, {frame.get_chemical_formula()}, got "
            f"{Atoms(list(symbols)).get_chemical_formula()} in {context.run.dump}",
            where=context.reference.path,
            fix="give the reference trajectory of the system that was simulated",
        )


def _curves(prefix: str, structure: Structure, source: str) -> dict[str, np.ndarray]:
    curves = {
        f"{prefix}/r": structure.r,
        f"{prefix}/pairs": np.array(structure.pairs),
        f"{prefix}/g": structure.g,
        f"{prefix}/periodic": np.array(structure.periodic),
        f"{prefix}/provenance": np.array(source),
    }
    if structure.g_error is not None:
        curves[f"{prefix}/g_error"] = structure.g_error
    return curves


@dataclass(frozen=True)
class StructureComparison:
    """RDFs of a run, with what the criterion of RDF drift and local order need.

    Attributes:
        section: metrics and curves.
        analysis: of the run.
        source: which frames of which file it is of, for the provenance of what is made of it.
        reference: structure of the reference, or None without one.
        reference_analysis: of the reference, or None without one.
    """

    section: Section
    analysis: RadialDistribution
    source: str
    reference: Structure | None = None
    reference_analysis: RadialDistribution | None = None


def structure(context: AnalysisContext) -> Section:
    """RDFs of the run; with a reference its RDFs too, and every measure between them."""
    return compared_structures(context).section


def compared_structures(context: AnalysisContext) -> StructureComparison:
    """What `structure` computes, for the parts that build on it.

    Raises:
        InputError: too few frames, or a reference of another composition.
    """
    compute = _alone if context.reference is None else _compared
    return context.once("structures", lambda: compute(context))


def _compared(context: AnalysisContext) -> StructureComparison:
    section = Section()
    reference, parameters = context.reference, context.parameters
    r_max = parameters.r_max or reference.once(
        ("r_max", parameters.bin_width),
        lambda: default_r_max(reference.frames, parameters.bin_width),
    )
    _check_composition(context, context.universe().atoms.elements)
    analysis, source = _run_rdf(context, r_max)
    reference_analysis = reference.once(
        ("rdf", r_max, parameters), lambda: _reference_rdf(reference, r_max, parameters)
    )
    own, other = structure_of(analysis), structure_of(reference_analysis)
    name = reference.name
    provenance = f"{source}; {name}: {other.n_frames} frames"
    section.metrics += compare_structures(own, other, provenance=provenance)
    try:
        section.metrics += noise_floor(
            reference_analysis, provenance=f"{name}: first against second half"
        )
    except InputError as error:  # the comparison itself does not need it
        section.problems.append(f"noise floor left out: {error}")
    section.curves |= _curves("rdf", own, source)
    section.curves |= _curves("rdf_reference", other, f"{name}: {other.n_frames} frames")
    return StructureComparison(section, analysis, source, other, reference_analysis)


def _alone(context: AnalysisContext) -> StructureComparison:
    section = Section()
    parameters = context.parameters
    r_max = parameters.r_max or default_r_max([context.first_frame()], parameters.bin_width)
    analysis, source = _run_rdf(context, r_max)
    section.curves |= _curves("rdf", structure_of(analysis), source)
    return StructureComparison(section, analysis, source)
