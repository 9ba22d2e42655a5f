# SPDX-License-Identifier: GPL-2.0-or-later
"""Structure of a simulation against that of a reference, with errors and the noise floor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from egraff.analysis.compare import (
    jensen_shannon,
    wasserstein,
    wright_factor,
    wright_factor_sqrt,
)
from egraff.analysis.metric import Metric, not_enough_data
from egraff.analysis.rdf import RadialDistribution
from egraff.analysis.statistics import (
    MINIMUM_SAMPLES,
    block_means,
    bootstrap_error,
    standard_error,
    statistical_inefficiency,
)
from egraff.errors import InputError

_MOST_BLOCKS = 20
_TOO_FEW = "too few independent blocks for an error"


@dataclass(frozen=True)
class Structure:
    """RDFs of one trajectory in blocks that are independent enough to give errors.

    Attributes:
        r: bin centres, `[n_bins]`, Angstrom.
        bin_width: Angstrom.
        pairs: names of the species pairs, ``total`` last.
        g_blocks: mean g(r) of each block, `[n_blocks, n_pairs, n_bins]`.
        count_blocks: mean pair counts of each block, `[n_blocks, n_pairs, n_bins + 1]`; the last
            bin holds the pairs beyond ``r_max`` (of molecules; 0 for periodic systems).
        n_frames: frames analysed.
        n_eff: independent frames among them.
        periodic: whether g(r) is normalised by the volume.
    """

    r: np.ndarray
    bin_width: float
    pairs: tuple[str, ...]
    g_blocks: np.ndarray
    count_blocks: np.ndarray
    n_frames: int
    n_eff: float
    periodic: bool

    @property
    def g(self) -> np.ndarray:
        """Radial distribution functions, averaged over all blocks, `[n_pairs, n_bins]`."""
        return self.g_blocks.mean(axis=0)

    @property
    def counts(self) -> np.ndarray:
        """Mean pair counts, `[n_pairs, n_bins + 1]`."""
        return self.count_blocks.mean(axis=0)

    @property
    def has_error(self) -> bool:
        """Whether there are enough independent blocks to give errors."""
        return len(self.g_blocks) >= MINIMUM_SAMPLES

    @property
    def g_error(self) -> np.ndarray | None:
        """Standard error of `g`, `[n_pairs, n_bins]`, or None."""
        if not self.has_error:
            return None
        return standard_error(self.g_blocks)


def _inefficiency(counts: np.ndarray) -> float:
    """Statistical inefficiency of the slowest large motion of the total pair counts.

    That is the projection of each frame on the first principal component of `[n_frames, n_bins]`.
    """
    centred = counts - counts.mean(axis=0)
    if len(counts) < 2 or not np.any(centred):
        return 1.0
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    return statistical_inefficiency(left[:, 0] * singular[0])


def structure_of(analysis: RadialDistribution) -> Structure:
    """Average a finished `RadialDistribution` in independent blocks."""
    results = analysis.results
    n_frames = len(results.counts)
    inefficiency = _inefficiency(results.counts[:, -1])
    n_eff = n_frames / inefficiency
    n_blocks = int(min(_MOST_BLOCKS, max(1.0, n_eff if inefficiency <= 1.0 else n_eff / 2.0)))
    counts = np.concatenate([results.counts, results.beyond[:, :, None]], axis=2)
    return Structure(
        r=results.r,
        bin_width=analysis.bin_width,
        pairs=tuple(results.pairs),
        g_blocks=block_means(analysis.curves(), n_blocks),
        count_blocks=block_means(counts, n_blocks),
        n_frames=n_frames,
        n_eff=n_eff,
        periodic=results.periodic,
    )


#: name: (function of two blocks' worth of curves, unit, what it says, uses counts)
_MEASURES = {
    "wright_factor": (
        lambda a, b, width: wright_factor(a, b),
        "1",
        "sum (g - g_ref)^2 / sum g_ref^2 over r (plain form, no root)",
        False,
    ),
    "wright_factor_sqrt": (
        lambda a, b, width: wright_factor_sqrt(a, b),
        "1",
        "sqrt(sum (g - g_ref)^2 / sum g_ref^2) over r (square-root form)",
        False,
    ),
    "jensen_shannon": (
        lambda a, b, width: jensen_shannon(a, b),
        "nat",
        "Jensen-Shannon divergence of the normalised pair-distance histograms, natural logarithm",
        True,
    ),
    "wasserstein": (
        lambda a, b, width: wasserstein(a, b, width),
        "A",
        "Wasserstein-1 distance of the normalised pair-distance histograms",
        True,
    ),
}


def _rows(structure: Structure, pair: int, counts: bool) -> np.ndarray:
    return (structure.count_blocks if counts else structure.g_blocks)[:, pair]


def compare_structures(
    run: Structure, reference: Structure, *, provenance: str, prefix: str = ""
) -> list[Metric]:
    """Wright factor (both forms), JSD and Wasserstein-1 of every species pair, with errors.

    Errors are bootstrapped over the independent blocks of both trajectories.

    Args:
        run: the simulation.
        reference: the reference, on the same bins.
        provenance: for the metrics.
        prefix: put before the metric names.

    Raises:
        InputError: species pairs or bins are not the same.
    """
    if run.pairs != reference.pairs:
        raise InputError(
            f"expected the species pairs {', '.join(reference.pairs)}, got {', '.join(run.pairs)}",
            where=provenance,
            fix="give the reference trajectory of the system that was simulated",
        )
    if not np.array_equal(run.r, reference.r):
        raise InputError(
            f"expected the same bins, got {len(reference.r)} and {len(run.r)}", where=provenance
        )
    metrics = []
    for index, pair in enumerate(run.pairs):
        for name, (measure, unit, definition, counts) in _MEASURES.items():
            text = {
                "name": f"{prefix}{name}[{pair}]",
                "unit": unit,
                "definition": definition,
                "provenance": provenance,
            }
            metrics.append(_measure(text, measure, run, reference, index, counts))
    return metrics


def _measure(text, measure, run: Structure, reference: Structure, pair: int, counts: bool):
    rows, rows_ref = _rows(run, pair, counts), _rows(reference, pair, counts)
    if not np.any(rows_ref > 0.0) or not np.any(rows > 0.0):
        note = "no pair of these species within r_max in one of the trajectories"
        return not_enough_data(**text, note=note)

    def statistic(a: np.ndarray, b: np.ndarray) -> float:
        return measure(a.mean(axis=0), b.mean(axis=0), run.bin_width)

    error = None
    if run.has_error and reference.has_error:
        error = bootstrap_error(statistic, rows, rows_ref)
    return Metric(
        value=statistic(rows, rows_ref),
        error=error,
        n_eff=min(run.n_eff, reference.n_eff),
        note=None if error is not None else _TOO_FEW,
        **text,
    )


def expected_noise(run: Structure, reference: Structure, *, provenance: str) -> list[Metric]:
    """Wright factor that statistical errors alone would give: sum (s^2 + s_ref^2) / sum g_ref^2.

    A Wright factor near it says that no difference is resolved, however small or large it is.
    """
    metrics = []
    definition = "Wright factor (plain) expected between equal structures from the errors of both"
    for index, pair in enumerate(run.pairs):
        text = {
            "name": f"expected_noise_wright_factor[{pair}]",
            "unit": "1",
            "definition": definition,
            "provenance": provenance,
        }
        norm = float(np.sum(reference.g[index] ** 2))
        if not run.has_error or not reference.has_error:
            metrics.append(not_enough_data(**text, note=_TOO_FEW))
        elif not norm > 0.0:
            note = "no pair of these species within r_max in the reference"
            metrics.append(not_enough_data(**text, note=note))
        else:
            noise = float(np.sum(run.g_error[index] ** 2 + reference.g_error[index] ** 2))
            metrics.append(Metric(value=noise / norm, **text))
    return metrics


def noise_floor(analysis: RadialDistribution, *, provenance: str) -> list[Metric]:
    """The same measures between the first and the second half of one trajectory.

    This is how much two samples of the same thing differ; a model cannot be told from the
    reference below it. Each half is half as long, so the floor of the whole is lower still.
    """
    results = analysis.results
    half = len(results.counts) // 2
    if half < 1:
        raise InputError(
            "expected at least 2 frames to compare halves, got 1",
            where=provenance,
            fix="give a longer reference trajectory",
        )
    counts = np.concatenate([results.counts, results.beyond[:, :, None]], axis=2)
    curves = analysis.curves()
    halves = [
        Structure(
            r=results.r,
            bin_width=analysis.bin_width,
            pairs=tuple(results.pairs),
            g_blocks=curves[part].mean(axis=0)[None],
            count_blocks=counts[part].mean(axis=0)[None],
            n_frames=half,
            n_eff=1.0,
            periodic=results.periodic,
        )
        for part in (slice(0, half), slice(half, 2 * half))
    ]
    compared = compare_structures(
        halves[1], halves[0], provenance=provenance, prefix="noise_floor_"
    )
    return [
        Metric(**{**metric.as_dict(), "note": "one pair of halves: no error"})
        if metric.value is not None
        else metric
        for metric in compared
    ]
