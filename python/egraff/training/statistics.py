# SPDX-License-Identifier: GPL-2.0-or-later
"""What a model needs to know of the training set before it learns: energies, forces, neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from egraff.data import (
    Frame,
    describe_isolated,
    fit_errors,
    fit_reference_energies,
    isolated_energies,
    read_isolated_atoms,
    shortest_distance,
    undetermined_elements,
)
from egraff.data.isolated_atoms import SAME_ENERGY
from egraff.errors import InputError
from egraff.graph import Graph
from egraff.training.config import TrainConfig

_VAGUE = 1.0  # eV; as large as a bond, so that energies of other molecules are useless


@dataclass(frozen=True)
class ReferenceEnergies:
    """E0 of every element, and its origin.

    Attributes:
        values: in eV, in the order of the elements.
        source: ``isolated_atoms``, ``least_squares``, both joined by ``_and_``, or ``given``.
        notes: what a user should know about them.
    """

    values: list[float]
    source: str
    notes: list[str] = field(default_factory=list)


def reference_energies(
    config: TrainConfig,
    frames: Sequence[Frame],
    elements: Sequence[str],
    isolated: Sequence[Frame] = (),
) -> ReferenceEnergies:
    """Choose E0 of every element.

    Args:
        config: settings of the training.
        frames: training frames, without isolated atoms.
        elements: elements of the model, each of which occurs in the frames or is known otherwise.
        isolated: isolated atoms that stood among the frames.

    Raises:
        InputError: an element has no energy in the source that was chosen, or isolated atoms
            contradict one another or the energies that were given.
    """
    atoms = list(isolated)
    if config.isolated_atoms is not None:
        atoms = [*read_isolated_atoms(config.isolated_atoms, keys=config.labels), *atoms]
    # also where they are not used: contradictory labels are a fault of the data
    alone = isolated_energies(atoms)
    known = {element: alone[element] for element in elements if element in alone}
    source = config.reference_energies
    if isinstance(source, dict):
        return ReferenceEnergies(_given(source, elements, known, atoms), "given", _unused(isolated))
    if source == "least_squares" or (source == "auto" and not known):
        values = fit_reference_energies(frames, elements)
        notes = [*_unused(isolated), *_undetermined(frames, values)]
        return ReferenceEnergies(list(values.values()), "least_squares", notes)
    missing = [element for element in elements if element not in known]
    if missing and source == "isolated_atoms":
        raise InputError(
            f"no isolated atom of {', '.join(missing)}; there are atoms of "
            f"{', '.join(alone) or 'no element'}",
            where=config.isolated_atoms or config.data,
            field="reference_energies",
            fix="add the atom (--isolated-atoms), or set reference_energies to auto, which fits "
            "the missing ones",
        )
    values = fit_reference_energies(frames, elements, known=known)
    notes = _used(isolated, elements)
    if missing:
        notes.append(
            f"E0 of {', '.join(known)} is that of the isolated atoms; {', '.join(missing)} has "
            "none, and its E0 is fitted to the training energies by least squares"
        )
        notes += _undetermined(frames, values, known)
    return ReferenceEnergies(
        list(values.values()),
        "isolated_atoms_and_least_squares" if missing else "isolated_atoms",
        notes,
    )


def _given(
    given: Mapping[str, float],
    elements: Sequence[str],
    known: Mapping[str, float],
    atoms: Sequence[Frame],
) -> list[float]:
    """Check energies that the user gave."""
    missing = [element for element in elements if element not in given]
    if missing:
        raise InputError(
            f"expected an energy for each of {', '.join(elements)}, got none for "
            f"{', '.join(missing)}",
            where="training settings",
            field="reference_energies",
            fix="add the element",
        )
    for element, energy in known.items():
        if abs(energy - given[element]) > SAME_ENERGY:
            others = describe_isolated([atom for atom in atoms if atom.symbols[0] == element])
            raise InputError(
                f"expected the energy of the isolated atom {others}, {energy:.6g} eV, for "
                f"{element}, got {given[element]:.6g} eV",
                where="training settings",
                field="reference_energies",
                fix="correct one of the two, or remove the atom from the data",
            )
    return [float(given[element]) for element in elements]


def _used(isolated: Sequence[Frame], elements: Sequence[str]) -> list[str]:
    notes = []
    if ours := [frame for frame in isolated if frame.symbols[0] in elements]:
        notes.append(
            f"isolated atoms in the data give E0, and are not trained or validated on: "
            f"{describe_isolated(ours)}"
        )
    if others := [frame for frame in isolated if frame.symbols[0] not in elements]:
        notes.append(
            f"isolated atoms of elements that no other frame has are left out: "
            f"{describe_isolated(others)}"
        )
    return notes


def _unused(isolated: Sequence[Frame]) -> list[str]:
    if not isolated:
        return []
    return [
        f"isolated atoms in the data are left out, as no model can learn them beside the E0 that "
        f"was chosen: {describe_isolated(isolated)}"
    ]


def _undetermined(
    frames: Sequence[Frame], fitted: Mapping[str, float], known: Iterable[str] = ()
) -> list[str]:
    """Describe which fitted energies the data do not determine, and the consequence."""
    remedy = "isolated atoms (--isolated-atoms) would determine it"
    if open_ := undetermined_elements(frames, list(fitted), known=known):
        return [
            f"the compositions of the training frames do not determine E0 of {', '.join(open_)}: "
            "each gets the mean energy per atom plus the deviation of least norm. Energies of "
            "other compositions, of fragments and of single atoms are shifted by an unknown "
            f"constant; {remedy}"
        ]
    errors = fit_errors(frames, fitted, known=known)
    vague = {element: error for element, error in errors.items() if error > _VAGUE}
    if not vague:
        return []
    shown = ", ".join(f"{el} ({fitted[el]:.1f} +- {error:.1g} eV)" for el, error in vague.items())
    return [
        f"the compositions of the training frames hardly determine E0 of {shown}: energies of "
        f"other compositions are off by as much; {remedy}"
    ]


def energy_scale(
    config: TrainConfig, frames: Sequence[Frame], elements: Sequence[str]
) -> list[float]:
    """Return the energy in eV that one unit of the network's output stands for, by element.

    The root mean square of the force components in eV/A, read as eV: energies that vary by this
    much over an Angstrom are what the network has to describe.

    Raises:
        InputError: all forces are zero.
    """
    if isinstance(config.energy_scale, float):
        return [config.energy_scale] * len(elements)
    forces = np.concatenate([frame.forces for frame in frames])
    overall = float(np.sqrt(np.mean(forces**2)))
    if overall == 0:
        raise InputError(
            f"all forces of the {len(frames)} training frames are zero",
            where=config.data,
            field=config.forces_key,
            fix="label the frames, or name the right forces_key",
        )
    if config.energy_scale == "force_rms":
        return [overall] * len(elements)
    symbols = np.array([symbol for frame in frames for symbol in frame.symbols])
    scales = []
    for element in elements:
        own = forces[symbols == element]
        rms = float(np.sqrt(np.mean(own**2))) if len(own) else 0.0
        # an element that never feels a force (isolated atoms only) still needs a scale
        scales.append(rms or overall)
    return scales


def mean_neighbours(graphs: Sequence[Graph]) -> float:
    """Return the mean number of edges per atom.

    One at least: a dilute gas must not make the sums over its few edges large.
    """
    edges = sum(graph.edge_index.shape[1] for graph in graphs)
    return max(edges / sum(graph.n_atoms for graph in graphs), 1.0)


def check_neighbours(
    graphs: Sequence[Graph], frames: Sequence[Frame], *, r_max: float
) -> list[str]:
    """Refuse a cutoff within which nothing has a neighbour; tell how many atoms have none.

    Args:
        graphs: the graphs of the training frames.
        frames: these frames.
        r_max: the cutoff in Angstrom, for messages.

    Raises:
        InputError: there is not one edge, so that nothing but E0 could be learnt.
    """
    n_atoms = sum(graph.n_atoms for graph in graphs)
    alone = n_atoms - sum(len(graph.edge_index[0].unique()) for graph in graphs)
    if alone == n_atoms:
        shortest = min(shortest_distance(frame) for frame in frames)
        raise InputError(
            f"expected a cutoff within which atoms have neighbours, got {r_max:g} A; the shortest "
            f"distance in the {len(frames)} training frames is {shortest:.3g} A",
            where="training settings",
            field="r_max",
            fix="give a larger --r-max; 4 to 6 is usual",
        )
    if not alone:
        return []
    return [
        f"{alone} of {n_atoms} atoms of the training frames ({100 * alone / n_atoms:.2g} %) have "
        f"no neighbour within the cutoff of {r_max:g} A: they get E0 and feel no force"
    ]


def energy_baseline(frames: Sequence[Frame], elements: Sequence[str]) -> dict[str, float]:
    """Return the energies per element of the predictor that only counts atoms.

    For a set of one composition that is its mean energy. Elements without a training atom are
    left out.
    """
    present = {symbol for frame in frames for symbol in frame.symbols}
    return fit_reference_energies(frames, [el for el in elements if el in present])
