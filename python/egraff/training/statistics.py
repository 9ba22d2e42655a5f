# SPDX-License-Identifier: GPL-2.0-or-later
"""What a model is told about the training set before it learns: energies, forces, neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from egraff.data import Frame, fit_reference_energies, reference_energies_from_atoms
from egraff.errors import InputError
from egraff.graph import Graph
from egraff.training.config import TrainConfig


def reference_energies(
    config: TrainConfig, frames: Sequence[Frame], elements: Sequence[str]
) -> tuple[list[float], str]:
    """Return E0 of every element in eV, and where the numbers come from.

    Raises:
        InputError: an element has no energy in the source that was chosen.
    """
    source = config.reference_energies
    if source == "auto":
        source = "isolated_atoms" if config.isolated_atoms else "least_squares"
    if source == "isolated_atoms":
        found = reference_energies_from_atoms(
            config.isolated_atoms, elements=elements, energy_key=config.energy_key
        )
    elif source == "least_squares":
        found = fit_reference_energies(frames, elements)
    else:
        found, source = source, "given"
    missing = [element for element in elements if element not in found]
    if missing:
        raise InputError(
            f"expected an energy for each of {', '.join(elements)}, got none for "
            f"{', '.join(missing)}",
            where="training settings",
            field="reference_energies",
            fix="add the element",
        )
    return [float(found[element]) for element in elements], source


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


def energy_baseline(frames: Sequence[Frame], elements: Sequence[str]) -> dict[str, float]:
    """Return the energies per element of the predictor that only counts atoms.

    For a set of one composition that is its mean energy. Elements without a training atom are
    left out.
    """
    present = {symbol for frame in frames for symbol in frame.symbols}
    return fit_reference_energies(frames, [el for el in elements if el in present])
