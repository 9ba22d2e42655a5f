# SPDX-License-Identifier: GPL-2.0-or-later
"""How far the training frames reach: what a run is compared with that leaves them.

An exported model carries this with the identity of its training data
(:data:`egraff.metadata.VISITED`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from egraff.data import Frame
from egraff.metadata import pair_name
from egraff.neighbours import find_edges


def visited(
    frames: Sequence[Frame], elements: Sequence[str], *, r_max: float, stress_weight: float
) -> dict[str, Any]:
    """Return the extremes of the training frames.

    Args:
        frames: training frames.
        elements: elements of the model.
        r_max: its cutoff in Angstrom; longer distances are not looked for.
        stress_weight: weight of the stress in the loss.

    Returns:
        ``shortest_distances_ang``, by pairs of elements that come within the cutoff
        (:func:`~egraff.metadata.pair_name`); ``largest_force_ev_per_ang``, of an atom; and
        ``n_stress_frames``, from which stress was learnt.
    """
    shortest = np.full((len(elements), len(elements)), np.inf)
    index = {element: number for number, element in enumerate(elements)}
    for frame in frames:
        species = np.array([index[symbol] for symbol in frame.symbols])
        edges = find_edges(frame.positions, frame.cell, frame.pbc, r_max=r_max)
        centres, neighbours = species[edges.index]
        np.minimum.at(shortest, (centres, neighbours), np.linalg.norm(edges.vector, axis=1))
    sizes = [np.linalg.norm(frame.forces, axis=1) for frame in frames if frame.forces is not None]
    largest = max((float(np.nanmax(size, initial=0.0)) for size in sizes), default=0.0)
    with_stress = [frame for frame in frames if frame.stress is not None and frame.pbc.all()]
    return {
        "shortest_distances_ang": {
            pair_name(first, second): round(float(shortest[i, j]), 6)
            for i, first in enumerate(elements)
            for j, second in enumerate(elements[i:], start=i)
            if np.isfinite(shortest[i, j])
        },
        "largest_force_ev_per_ang": largest,
        "n_stress_frames": len(with_stress) if stress_weight > 0 else 0,
    }
