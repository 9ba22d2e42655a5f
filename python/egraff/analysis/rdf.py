# SPDX-License-Identifier: GPL-2.0-or-later
"""Radial distribution functions of all species pairs in one pass over a trajectory.

Distances come from a neighbour list with all periodic images, so curves are right at any r, also
beyond half of a small box, where minimum-image codes count too few pairs.
"""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
from MDAnalysis.analysis.results import ResultsGroup
from MDAnalysis.core.groups import AtomGroup
from vesin import NeighborList

from egraff.analysis.parallel import ParallelAnalysis
from egraff.analysis.trajectory.fields import frame_geometry, species_labels
from egraff.errors import InputError
from egraff.neighbours import checked_box, safe_grid

TOTAL = "total"


def pair_name(a: str, b: str) -> str:
    """Name of a species pair, in alphabetical order: ``H-O``."""
    return "-".join(sorted((a, b)))


class RadialDistribution(ParallelAnalysis):
    """g(r) of every species pair, and the total one, with the counts behind them.

    Periodic frames: g_ab(r) = n_ab(r) V / (N_ab v(r)), where n_ab(r) is the number of pairs in a
    shell of volume v(r) and N_ab = N_a N_b, or N_a (N_a - 1) / 2 for like atoms; 1 for an ideal
    gas at every r.

    Frames that are not periodic in all three directions (molecules, wires, slabs): there is no
    volume, so the curve is the *pair-distance distribution* over that of points uniform in a
    sphere of radius ``r_max``: V in the formula becomes 4/3 pi r_max^3. V cancels in the Wright
    factor.

    Args:
        atoms: the atoms; an updating group is not supported.
        r_max: largest distance, Angstrom; it can exceed half of the box.
        bin_width: width of a bin, Angstrom.
        self_images: also count an atom's own periodic images (normalised by N_a^2 / 2 pairs): a
            crystal has the same curve in a cell of any size, an ideal gas 1 on average over r.
        n_threads: threads of the neighbour list.

    After `run`, in ``results``: ``r`` `[n_bins]` bin centres in Angstrom; ``edges``; ``pairs``,
    names such as ``H-O`` with ``total`` last (a species of one atom has no pair with itself);
    ``g`` `[n_pairs, n_bins]`; ``counts`` `[n_frames, n_pairs, n_bins]` pairs per frame; ``volume``
    `[n_frames]` in Angstrom^3; ``beyond`` `[n_frames, n_pairs]`, for molecules the number of pairs
    farther apart than r_max (0 in frames periodic in any direction, which have no last pair);
    ``periodic``, in all directions; ``times_ps`` `[n_frames]`.

    Raises:
        InputError: ``r_max`` or ``bin_width`` is not positive, or there is a single atom.
    """

    def __init__(
        self,
        atoms: AtomGroup,
        *,
        r_max: float,
        bin_width: float = 0.05,
        self_images: bool = False,
        n_threads: int = 1,
        verbose: bool = False,
    ) -> None:
        super().__init__(atoms.universe.trajectory, verbose=verbose)
        for name, value in (("r_max", r_max), ("bin_width", bin_width)):
            if not value > 0.0:
                raise InputError(f"expected a length above 0 A, got {value}", where=name)
        self.atoms = atoms
        self.n_bins = max(1, round(r_max / bin_width))
        self.r_max = self.n_bins * bin_width
        self.bin_width = bin_width
        self.self_images = self_images
        self.n_threads = n_threads
        labels = species_labels(atoms)
        self.species = sorted(set(labels))
        self._index = np.searchsorted(self.species, labels)
        self._pair_of = np.zeros((len(self.species), len(self.species)), dtype=np.int64)
        self.pairs: list[str] = []
        own = 0.0 if self_images else 1.0
        total = float(len(labels))
        numbers = np.bincount(self._index, minlength=len(self.species)).astype(float)
        n_pairs: list[float] = []
        for a, b in combinations_with_replacement(range(len(self.species)), 2):
            number = numbers[a] * (numbers[a] - own) / 2 if a == b else numbers[a] * numbers[b]
            if number > 0.0:  # a single atom of a species has no partner of its kind
                self._pair_of[a, b] = self._pair_of[b, a] = len(self.pairs)
                self.pairs.append(pair_name(self.species[a], self.species[b]))
                n_pairs.append(number)
        self.n_pairs = np.array([*n_pairs, total * (total - own) / 2])
        if not self.pairs:
            raise InputError("expected at least two atoms, got one", where="atoms")

    def _prepare(self) -> None:
        self.results.counts = []
        self.results.volume = []
        self.results.beyond = []
        self.results.times_ps = []
        self._neighbours = None

    def _single_frame(self) -> None:
        positions, cell, pbc = frame_geometry(self.atoms)
        first, second, distance = self._pairs_within(positions, cell, np.array(pbc))
        if not self.self_images:
            other = first != second
            if not other.all():  # in a large box there are none, and millions of pairs to copy
                first, second, distance = first[other], second[other], distance[other]
        bins = np.minimum((distance / self.bin_width).astype(np.int64), self.n_bins - 1)
        pair = self._pair_of[self._index[first], self._index[second]]
        counts = np.bincount(
            pair * self.n_bins + bins, minlength=len(self.pairs) * self.n_bins
        ).reshape(len(self.pairs), self.n_bins)
        counts = np.vstack([counts, counts.sum(axis=0)])
        periodic = all(pbc)
        self.results.counts.append(counts)
        self.results.volume.append(abs(np.linalg.det(cell)) if periodic else 0.0)
        self.results.beyond.append(
            np.zeros(len(counts)) if any(pbc) else self.n_pairs - counts.sum(axis=1)
        )
        self.results.times_ps.append(self._ts.time)

    def _pairs_within(self, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray):
        """Indices and distance of every pair nearer than ``r_max``, each once."""
        box = checked_box(positions, cell, pbc)
        positions, cutoff = safe_grid(positions, box, pbc, self.r_max)
        if self._neighbours is None or self._neighbours.cutoff != cutoff:
            self._neighbours = NeighborList(
                cutoff=cutoff, full_list=False, n_threads=self.n_threads
            )
        found = self._neighbours.compute(positions, box, pbc, "ijd")
        if cutoff > self.r_max:
            near = found[2] < self.r_max
            found = [values[near] for values in found]
        return found

    def __getstate__(self) -> dict:
        # analyses travel between processes, C memory does not
        return {**self.__dict__, "_neighbours": None}

    def _get_aggregator(self) -> ResultsGroup:
        names = ("counts", "volume", "beyond", "times_ps")
        return ResultsGroup(lookup={name: ResultsGroup.flatten_sequence for name in names})

    def _conclude(self) -> None:
        results = self.results
        for name in ("counts", "volume", "beyond", "times_ps"):
            results[name] = np.array(results[name], dtype=np.float64)
        results.edges = np.arange(self.n_bins + 1) * self.bin_width
        results.r = (np.arange(self.n_bins) + 0.5) * self.bin_width
        results.pairs = [*self.pairs, TOTAL]
        results.periodic = bool(np.all(results.volume > 0.0))
        self._shells = 4.0 / 3.0 * np.pi * np.diff(results.edges**3)
        sphere = 4.0 / 3.0 * np.pi * self.r_max**3
        results.norm = np.where(results.volume > 0.0, results.volume, sphere)
        results.g = self.curves().mean(axis=0)

    def curves(self) -> np.ndarray:
        """g(r) of each frame, `[n_frames, n_pairs, n_bins]`."""
        scale = self.results.norm[:, None, None] / (self.n_pairs[None, :, None] * self._shells)
        return self.results.counts * scale
