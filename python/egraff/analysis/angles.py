# SPDX-License-Identifier: GPL-2.0-or-later
"""Distributions of bond angles for every species triplet."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from MDAnalysis.analysis.results import ResultsGroup
from MDAnalysis.core.groups import AtomGroup

from egraff.analysis.parallel import ParallelAnalysis
from egraff.analysis.rdf import pair_name
from egraff.analysis.trajectory.fields import frame_geometry, species_labels
from egraff.errors import InputError
from egraff.neighbours import find_edges


def edge_pairs(centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of edges that share their centre, each pair once.

    Args:
        centre: ascending, `[n_edges]`.

    Returns:
        Two index arrays into the edges, `[n_pairs]` each.
    """
    counts = np.bincount(centre) if len(centre) else np.zeros(0, dtype=np.int64)
    last = np.repeat(np.cumsum(counts), counts)  # end of the group of each edge
    partners = last - np.arange(len(centre)) - 1
    first = np.repeat(np.arange(len(centre)), partners)
    begin = np.repeat(np.cumsum(partners) - partners, partners)
    second = first + 1 + np.arange(len(first)) - begin
    return first, second


class AngleDistribution(ParallelAnalysis):
    """Distribution of the angle j-i-k over all pairs of neighbours j, k of each atom i.

    Args:
        atoms: the atoms.
        cutoff: neighbours are nearer than this, Angstrom: one length, or one for each species
            pair (``{"H-O": 1.3, ...}``); pairs that are not named have no bonds.
        bin_width: degrees.

    After `run`, in ``results``: ``angle`` `[n_bins]` bin centres in degrees; ``triplets``, names
    such as ``H-O-H`` with the centre in the middle; ``density`` `[n_triplets, n_bins]` in 1/degree,
    each integrating to 1 (zero when there is no such angle); ``counts``
    `[n_frames, n_triplets, n_bins]`.

    Raises:
        InputError: a cutoff is not positive, or names a species that is not there.
    """

    def __init__(
        self,
        atoms: AtomGroup,
        *,
        cutoff: float | Mapping[str, float],
        bin_width: float = 1.0,
        verbose: bool = False,
    ) -> None:
        super().__init__(atoms.universe.trajectory, verbose=verbose)
        self.atoms = atoms
        self.n_bins = max(1, round(180.0 / bin_width))
        labels = species_labels(atoms)
        self.species = sorted(set(labels))
        self._index = np.searchsorted(self.species, labels)
        self._cutoffs = self._cutoff_matrix(cutoff)
        n = len(self.species)
        self._triplet_of = np.zeros((n, n, n), dtype=np.int64)
        self.triplets: list[str] = []
        for centre in range(n):
            for a in range(n):
                for b in range(a, n):
                    self._triplet_of[a, centre, b] = len(self.triplets)
                    self._triplet_of[b, centre, a] = len(self.triplets)
                    names = (self.species[a], self.species[centre], self.species[b])
                    self.triplets.append("-".join(names))

    def _cutoff_matrix(self, cutoff: float | Mapping[str, float]) -> np.ndarray:
        n = len(self.species)
        names = {pair_name(a, b) for a in self.species for b in self.species}
        if isinstance(cutoff, Mapping):
            for name in cutoff:
                if pair_name(*name.split("-")) not in names:
                    raise InputError(
                        f"expected species pairs of {', '.join(self.species)}, got {name}",
                        where="cutoff",
                    )
            table = {pair_name(*name.split("-")): length for name, length in cutoff.items()}
        else:
            table = dict.fromkeys(names, cutoff)
        for name, length in table.items():
            if not length > 0.0:
                raise InputError(f"expected a length above 0 A, got {length}", where=name)
        matrix = np.zeros((n, n))
        for a in range(n):
            for b in range(n):
                matrix[a, b] = table.get(pair_name(self.species[a], self.species[b]), 0.0)
        return matrix

    def _prepare(self) -> None:
        self.results.counts = []

    def _single_frame(self) -> None:
        positions, cell, pbc = frame_geometry(self.atoms)
        edges = find_edges(
            positions,
            cell,
            pbc,
            r_max=float(self._cutoffs.max()),
            species=self._index,
            pair_cutoffs=self._cutoffs,
        )
        length = np.linalg.norm(edges.vector, axis=1, keepdims=True)
        # atoms in one place have no direction from one to the other: no angle is counted there
        unit = np.divide(edges.vector, length, out=np.zeros_like(edges.vector), where=length > 0.0)
        first, second = edge_pairs(edges.index[0])
        apart = (length[first, 0] > 0.0) & (length[second, 0] > 0.0)
        first, second = first[apart], second[apart]
        cosine = np.clip(np.sum(unit[first] * unit[second], axis=1), -1.0, 1.0)
        bins = (np.degrees(np.arccos(cosine)) * self.n_bins / 180.0).astype(np.int64)
        species = self._index
        triplet = self._triplet_of[
            species[edges.index[1][first]],
            species[edges.index[0][first]],
            species[edges.index[1][second]],
        ]
        flat = triplet * self.n_bins + np.minimum(bins, self.n_bins - 1)
        counts = np.bincount(flat, minlength=len(self.triplets) * self.n_bins)
        self.results.counts.append(counts.reshape(len(self.triplets), self.n_bins))

    def _get_aggregator(self) -> ResultsGroup:
        return ResultsGroup(lookup={"counts": ResultsGroup.flatten_sequence})

    def _conclude(self) -> None:
        results = self.results
        results.counts = np.array(results.counts, dtype=np.float64)
        width = 180.0 / self.n_bins
        results.angle = (np.arange(self.n_bins) + 0.5) * width
        results.triplets = self.triplets
        total = results.counts.sum(axis=0)
        number = total.sum(axis=1, keepdims=True)
        results.density = total / np.where(number > 0.0, number, 1.0) / width
