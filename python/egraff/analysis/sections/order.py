# SPDX-License-Identifier: GPL-2.0-or-later
"""Local order: coordination numbers, structure factor, angles and bond lengths of a run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from ase.symbols import Symbols

from egraff.analysis.angles import AngleDistribution
from egraff.analysis.bonds import (
    BOND_FACTOR,
    BondLengths,
    bond_length_deviation,
    find_bonds,
    radii_of,
)
from egraff.analysis.compare import jensen_shannon
from egraff.analysis.context import AnalysisContext
from egraff.analysis.metric import Metric
from egraff.analysis.rdf import RadialDistribution, pair_name
from egraff.analysis.reference import Reference
from egraff.analysis.section import Section, evenly_spaced
from egraff.analysis.sections.structure import StructureComparison, compared_structures
from egraff.analysis.series import mean_metric
from egraff.analysis.structure import Structure, structure_of
from egraff.analysis.structure_factor import (
    NO_SHELL,
    coordination_numbers,
    first_minimum,
    resampled_minima,
    smoothed,
    structure_factor,
)
from egraff.analysis.trajectory.fields import frame_geometry
from egraff.analysis.trajectory.frames import frames_universe
from egraff.errors import InputError
from egraff.statistics import standard_error

#: Angles are counted in at most this many frames, and atoms of all frames together.
_MOST_ANGLE_FRAMES = 100
_MOST_ANGLE_ATOMS = 100_000
_FEWEST_ANGLE_FRAMES = 5
#: S(q) from a g(r) that is known over less than this (Angstrom) is mostly the window's.
_SHORTEST_RANGE = 5.0
_LARGEST_Q = 12.0
_N_Q = 240


def order(context: AnalysisContext) -> Section:
    """Everything about local order that the run's species and boundaries give meaning to."""
    section = Section()
    try:
        compared = compared_structures(context)
    except InputError:  # without g(r) there is no order to tell; the part on structure says why
        return section
    own = structure_of(compared.analysis)
    if own.periodic:
        shells = _shells(compared.reference or own)
        _coordination(section, compared, own, shells)
        _structure_factor(section, compared, own)
        cutoffs = _nearest_only(shells)
        placed = (compared.reference or own).has_error
        chosen_by = "the first minimum of g(r) of each species' nearest partner"
    else:
        cutoffs, placed = _covalent(context.universe().atoms.elements), True
        chosen_by = f"{BOND_FACTOR:g} times the sum of covalent radii"
        _bond_lengths(section, context)
    if cutoffs:
        _angles(section, context, cutoffs, chosen_by, placed=placed)
    return section


def _shells(structure: Structure) -> dict[str, float]:
    """Radius of the first coordination shell of every species pair that has one, Angstrom."""
    found = {}
    errors = _smoothed_errors(structure)
    for index, pair in enumerate(structure.pairs[:-1]):
        error = None if errors is None else errors[index]
        minimum = first_minimum(structure.r, structure.g[index], error)
        if minimum is not None:
            found[pair] = minimum
    return found


def _nearest_only(shells: dict[str, float]) -> dict[str, float]:
    """Of the pairs of each species, the one whose first shell is the smallest."""
    nearest: dict[str, float] = {}
    for species in {name for pair in shells for name in pair.split("-")}:
        own = {pair: radius for pair, radius in shells.items() if species in pair.split("-")}
        pair = min(own, key=own.__getitem__)
        nearest[pair] = own[pair]
    return nearest


def _covalent(elements: np.ndarray) -> dict[str, float]:
    species = sorted(set(elements))
    radii = dict(zip(species, radii_of(np.array(species)), strict=True))
    return {pair_name(a, b): BOND_FACTOR * (radii[a] + radii[b]) for a in species for b in species}


def _smoothed_errors(structure: Structure) -> np.ndarray | None:
    """Standard errors of the smoothed g of every pair, or None."""
    return standard_error(smoothed(structure.g_blocks)) if structure.has_error else None


def _minima(structure: Structure, pair: str) -> np.ndarray:
    """Where the shell of a pair would end in other samples of this structure; empty if unknown."""
    errors = _smoothed_errors(structure)
    if errors is None:
        return np.empty(0)
    index = structure.pairs.index(pair)
    return resampled_minima(structure.r, structure.g_blocks[:, index], errors[index])


def _coordination(
    section: Section,
    compared: StructureComparison,
    own: Structure,
    shells: dict[str, float],
) -> None:
    """Mean numbers of neighbours in the first shell, of the reference too."""
    sources = [("", compared.analysis, compared.source, own)]
    if compared.reference_analysis is not None:
        n_frames = len(compared.reference_analysis.results.volume)
        where = f"reference: {n_frames} frames"
        # the shells are the reference's: to the run they are given
        sources[0] = (*sources[0][:3], None)
        sources.append(("reference_", compared.reference_analysis, where, compared.reference))
    for prefix, analysis, where, found_in in sources:
        for pair, radius in shells.items():
            if pair not in analysis.pairs:
                continue
            minima = None if found_in is None else _minima(found_in, pair)
            for metric in coordination_numbers(analysis, radius, provenance=where, minima=minima):
                if pair_name(*metric.name[len("coordination[") : -1].split("-")) == pair:
                    content = metric.as_dict()
                    section.metrics.append(
                        Metric.from_dict({**content, "name": prefix + metric.name})
                    )


def _structure_factor(section: Section, compared: StructureComparison, own: Structure) -> None:
    """S(q) of all atoms alike, from the total g(r) within Lorch's window."""
    reach = own.r[-1] + 0.5 * own.bin_width
    if reach < _SHORTEST_RANGE:
        return
    q = np.linspace(np.pi / reach, _LARGEST_Q, _N_Q)

    def of(curve: np.ndarray, structure: Structure, analysis: RadialDistribution) -> np.ndarray:
        density = len(analysis.atoms) / float(np.mean(analysis.results.volume))
        return structure_factor(q, structure.r, curve[-1], density, window=True)

    curve = of(own.g, own, compared.analysis)
    section.curves |= {"sq/q": q, "sq/s": curve}
    if own.has_error:
        blocks = np.array([of(g, own, compared.analysis) for g in own.g_blocks])
        section.curves["sq/s_error"] = standard_error(blocks)
    peak = int(np.argmax(curve))
    # S is linear in g: its mean over frames is the S of the mean g
    density = len(compared.analysis.atoms) / float(np.mean(compared.analysis.results.volume))
    series = [
        structure_factor(q[peak : peak + 1], own.r, g, density, window=True)[0]
        for g in compared.analysis.curves()[:, -1]
    ]
    section.metrics.append(
        mean_metric(
            "structure_factor_peak",
            np.array(series),
            "1",
            f"largest S(q), at q = {q[peak]:.3g} 1/A, all atoms alike, from g(r) below "
            f"{reach:g} A within Lorch's window",
            compared.source,
        )
    )
    if compared.reference is not None and compared.reference_analysis is not None:
        other = compared.reference
        section.curves["sq/s_reference"] = of(other.g, other, compared.reference_analysis)


def _production(context: AnalysisContext, most: int) -> list[int]:
    """At most this many frames of production, evenly spaced."""
    frames = context.production_frames(context.universe().trajectory.times_ps, fewest=2)
    return [frames.start + i for i in evenly_spaced(frames.stop - frames.start, most)]


def _angles(
    section: Section,
    context: AnalysisContext,
    cutoffs: dict[str, float],
    chosen_by: str,
    *,
    placed: bool,
) -> None:
    """Distributions and means of the angles between neighbours."""
    run, reference = context.run, context.reference
    atoms = context.universe().atoms
    frames = _production(context, _angle_frames(len(atoms)))
    processes = context.parameters.processes(len(frames))
    analysis = AngleDistribution(atoms, cutoff=cutoffs).run(frames=frames, **processes)
    results = analysis.results
    present = [i for i in range(len(results.triplets)) if results.density[i].any()]
    if not present:
        return
    lengths = ", ".join(f"{pair} {radius:.3g} A" for pair, radius in sorted(cutoffs.items()))
    other = _reference_angles(reference, cutoffs)
    for index in present:
        name = results.triplets[index]
        counts = results.counts[:, index]
        per_frame = counts[counts.sum(axis=1) > 0]
        metric = mean_metric(
            f"angle_mean[{name}]",
            per_frame @ results.angle / per_frame.sum(axis=1),
            "degree",
            f"mean angle {name}; neighbours are nearer than {lengths} ({chosen_by})",
            f"{run.dump.name}: {len(frames)} frames",
        )
        section.metrics.append(metric if placed else replace(metric, error=None, note=NO_SHELL))
        if other is None or name not in other.triplets:
            continue
        theirs = other.counts[:, other.triplets.index(name)].sum(axis=0)
        if theirs.any():
            section.metrics.append(
                Metric(
                    name=f"angle_jensen_shannon[{name}]",
                    value=jensen_shannon(counts.sum(axis=0), theirs),
                    unit="nat",
                    definition="Jensen-Shannon divergence between the distributions of the angle "
                    f"{name} in the run and in the reference, at most ln 2",
                    provenance=f"{run.dump.name}: {len(frames)} frames; {reference.name}"
                    f": {len(other.counts)} frames; bins of 1 degree",
                    note="no error: counts of one frame are correlated",
                )
            )
    section.curves |= {
        "adf/angle": results.angle,
        "adf/triplets": np.array([results.triplets[i] for i in present]),
        "adf/density": results.density[present],
    }
    if other is not None:
        rows = [
            other.density[other.triplets.index(results.triplets[i])]
            if results.triplets[i] in other.triplets
            else np.zeros(len(results.angle))
            for i in present
        ]
        section.curves["adf/density_reference"] = np.array(rows)


def _angle_frames(n_atoms: int) -> int:
    return min(_MOST_ANGLE_FRAMES, max(_FEWEST_ANGLE_FRAMES, _MOST_ANGLE_ATOMS // n_atoms))


def _reference_angles(reference: Reference | None, cutoffs: dict[str, float]):
    """Results of the reference's angles with the same cutoffs, computed once."""
    if reference is None:
        return None

    def compute():
        n_atoms = len(reference.frames[0])
        chosen = evenly_spaced(len(reference.frames), _angle_frames(n_atoms))
        frames = [reference.frames[index] for index in chosen]
        universe = frames_universe(frames, where=reference.path)
        return AngleDistribution(universe.atoms, cutoff=cutoffs).run().results

    return reference.once(("adf", tuple(sorted(cutoffs.items()))), compute)


def _bond_lengths(section: Section, context: AnalysisContext) -> None:
    """How far the bonds of a molecule are from the reference's mean lengths."""
    run, reference = context.run, context.reference
    if reference is None:
        return
    atoms = context.universe().atoms
    frame = reference.frames[0]
    if list(atoms.elements) != frame.get_chemical_symbols():
        raise InputError(
            f"expected the atoms of the reference in the same order ({frame.symbols}), got "
            f"{Symbols.fromsymbols(list(atoms.elements))}",
            where=run.dump,
            fix="give a reference of the same molecule, to have its bonds compared",
        )
    universe = frames_universe(reference.frames, where=reference.path)
    bonds = find_bonds(*frame_geometry(universe.atoms), universe.atoms.elements)
    if not len(bonds):
        return
    theirs = reference.once(
        "bonds", lambda: BondLengths(universe.atoms, bonds=bonds).run().results.lengths
    )
    frames = _production(context, context.parameters.max_frames)
    processes = context.parameters.processes(len(frames))
    lengths = BondLengths(atoms, bonds=bonds).run(frames=frames, **processes).results.lengths
    section.metrics += bond_length_deviation(
        lengths,
        theirs,
        provenance=f"{run.dump.name}: {len(frames)} frames, {len(bonds)} bonds of the first frame "
        f"of {reference.name}",
    )
