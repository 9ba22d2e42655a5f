# SPDX-License-Identifier: GPL-2.0-or-later
"""Radial distribution functions of a run, and how they differ from a reference's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms

from egraff.analysis.frames import default_r_max, frames_universe
from egraff.analysis.rdf import RadialDistribution
from egraff.analysis.runs import Run
from egraff.analysis.section import Section, evenly_spaced, production_frames, universe_of
from egraff.analysis.structure import (
    Structure,
    compare_structures,
    expected_noise,
    noise_floor,
    structure_of,
)
from egraff.errors import InputError

if TYPE_CHECKING:
    from egraff.analysis.pipeline import Parameters, Reference

_FEWEST_FRAMES = 2


def _run_rdf(run: Run, r_max: float, parameters: Parameters, section: Section):
    universe = universe_of(run)
    section.problems += [problem.message for problem in universe.trajectory.problems]
    times = universe.trajectory.times_ps
    first = production_frames(run, times, fewest=_FEWEST_FRAMES)
    most = parameters.structure_frames(len(universe.atoms))
    chosen = [first + index for index in evenly_spaced(len(times) - first, most)]
    source = f"{run.dump.name}: {len(chosen)} of {len(times)} frames, from {times[first]:g} ps"
    analysis = RadialDistribution(
        universe.atoms,
        r_max=r_max,
        bin_width=parameters.bin_width,
        n_threads=parameters.threads,
    )
    return analysis.run(frames=chosen, **parameters.processes(len(chosen))), source


def _reference_rdf(reference: Reference, r_max: float, parameters: Parameters):
    frames = reference.frames
    most = parameters.structure_frames(len(frames[0]))
    chosen = [frames[index] for index in evenly_spaced(len(frames), most)]
    universe = frames_universe(chosen, where=reference.path)
    analysis = RadialDistribution(
        universe.atoms,
        r_max=r_max,
        bin_width=parameters.bin_width,
        n_threads=parameters.threads,
    )
    return analysis.run(**parameters.processes(len(chosen)))


def _check_composition(run: Run, frame: Atoms, symbols: np.ndarray, where: str) -> None:
    """The run must hold the reference's elements in the same proportions."""

    def fractions(elements):
        return {symbol: np.mean(np.asarray(elements) == symbol) for symbol in set(elements)}

    own, other = fractions(list(symbols)), fractions(frame.get_chemical_symbols())
    same = own.keys() == other.keys() and all(abs(own[k] - other[k]) < 1e-9 for k in own)
    if not same:
        raise InputError(
            f"expected the composition of the reference, {frame.get_chemical_formula()}, got "
            f"{Atoms(list(symbols)).get_chemical_formula()} in {run.dump}",
            where=where,
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

    def frames(self) -> tuple[np.ndarray, np.ndarray, Structure] | None:
        """g(r) of each frame, times in ps, and the reference's structure, where there is one."""
        if self.reference is None:
            return None
        return self.analysis.curves(), self.analysis.results.times_ps, self.reference


def structure(run: Run, reference: Reference, parameters: Parameters) -> StructureComparison:
    """RDFs of the run and the reference, and every measure between them."""
    section = Section()
    r_max = parameters.r_max or reference.once(
        ("r_max", parameters.bin_width),
        lambda: default_r_max(reference.frames, parameters.bin_width),
    )
    atoms = universe_of(run).atoms
    _check_composition(run, reference.frames[0], atoms.elements, reference.path)
    analysis, source = _run_rdf(run, r_max, parameters, section)
    reference_analysis = reference.once(
        ("rdf", r_max, parameters), lambda: _reference_rdf(reference, r_max, parameters)
    )
    own, other = structure_of(analysis), structure_of(reference_analysis)
    name = Path(reference.path).name
    provenance = (
        f"{source}; {name}: {other.n_frames} frames; r < {analysis.r_max:g} A in "
        f"bins of {analysis.bin_width:g} A"
    )
    section.metrics += compare_structures(own, other, provenance=provenance)
    section.metrics += expected_noise(own, other, provenance=provenance)
    try:
        section.metrics += noise_floor(
            reference_analysis, provenance=f"{name}: first against second half"
        )
    except InputError as error:  # the comparison itself does not need it
        section.problems.append(f"noise floor left out: {error}")
    section.curves |= _curves("rdf", own, source)
    section.curves |= _curves("rdf_reference", other, f"{name}: {other.n_frames} frames")
    return StructureComparison(section, analysis, source, other, reference_analysis)


def structure_alone(run: Run, parameters: Parameters) -> StructureComparison:
    """RDFs of the run when there is no reference to compare with."""
    section = Section()
    universe = universe_of(run)
    ts = universe.trajectory.ts
    first = Atoms(
        universe.atoms.elements,
        positions=ts.data["positions"],
        cell=ts.data["cell"],
        pbc=ts.data["pbc"],
    )
    r_max = parameters.r_max or default_r_max([first], parameters.bin_width)
    analysis, source = _run_rdf(run, r_max, parameters, section)
    section.curves |= _curves("rdf", structure_of(analysis), source)
    return StructureComparison(section, analysis, source)
