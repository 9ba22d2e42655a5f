# SPDX-License-Identifier: GPL-2.0-or-later
"""Structure of a simulation against that of a reference, with errors and the noise floor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from egraff.analysis.compare import (
    jensen_shannon,
    wasserstein,
    wright_factor,
    wright_factor_sqrt,
)
from egraff.analysis.metric import Metric, not_enough_data
from egraff.analysis.rdf import RadialDistribution
from egraff.errors import InputError
from egraff.statistics import (
    MINIMUM_SAMPLES,
    block_means,
    bootstrap_error,
    resampled,
    standard_error,
    statistical_inefficiency,
)

_MOST_BLOCKS = 20
_TOO_FEW = "too few independent blocks for an error"
_RARE = "a pair so rare that parts of the trajectories hold none: no error"
#: Pairs of samples whose differences are averaged to tell the noise.
_N_NOISE = 100


@dataclass(frozen=True)
class Structure:
    """RDFs of one trajectory in blocks that are independent enough to give errors.

    Attributes:
        r: bin centres, `[n_bins]`, Angstrom.
        bin_width: Angstrom.
        pairs: names of the species pairs, ``total`` last.
        g: radial distribution functions, means of all frames, `[n_pairs, n_bins]`.
        counts: mean pair counts, `[n_pairs, n_bins + 1]`; the last bin holds the pairs beyond
            ``r_max`` (of molecules; 0 for periodic systems).
        g_blocks: mean g(r) of each block, `[n_blocks, n_pairs, n_bins]`.
        count_blocks: mean pair counts of each block, `[n_blocks, n_pairs, n_bins + 1]`.
        n_frames: frames analysed.
        n_eff: independent frames among them.
        periodic: whether g(r) is normalised by the volume.
    """

    r: np.ndarray
    bin_width: float
    pairs: tuple[str, ...]
    g: np.ndarray
    counts: np.ndarray
    g_blocks: np.ndarray
    count_blocks: np.ndarray
    n_frames: int
    n_eff: float
    periodic: bool

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

    @property
    def range(self) -> str:
        """Which distances are compared in which bins: part of what every measure means."""
        reach = self.r[-1] + 0.5 * self.bin_width
        return f"r < {reach:g} A in bins of {self.bin_width:g} A"


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
    n_eff = min(n_frames / inefficiency, float(n_frames))
    n_blocks = int(min(_MOST_BLOCKS, max(1.0, n_eff if inefficiency <= 1.0 else n_eff / 2.0)))
    return _of_frames(analysis, slice(None), n_blocks, n_eff)


def _of_frames(
    analysis: RadialDistribution, frames: slice, n_blocks: int, n_eff: float
) -> Structure:
    results = analysis.results
    curves = analysis.curves()[frames]
    counts = np.concatenate([results.counts, results.beyond[:, :, None]], axis=2)[frames]
    return Structure(
        r=results.r,
        bin_width=analysis.bin_width,
        pairs=tuple(results.pairs),
        g=curves.mean(axis=0),
        counts=counts.mean(axis=0),
        g_blocks=block_means(curves, n_blocks),
        count_blocks=block_means(counts, n_blocks),
        n_frames=len(curves),
        n_eff=n_eff,
        periodic=results.periodic,
    )


class _Measure(NamedTuple):
    """A difference between two structures.

    Attributes:
        of: function of two curves and the width of their bins.
        unit: of its value.
        definition: what it is.
        of_counts: whether the curves are histograms of distances; else they are g(r).
    """

    of: Callable[[np.ndarray, np.ndarray, float], float]
    unit: str
    definition: str
    of_counts: bool

    def rows(self, structure: Structure, pair: int) -> np.ndarray:
        """The curve of each block, `[n_blocks, n]`."""
        return (structure.count_blocks if self.of_counts else structure.g_blocks)[:, pair]

    def mean(self, structure: Structure, pair: int) -> np.ndarray:
        """The curve of all frames, `[n]`."""
        return (structure.counts if self.of_counts else structure.g)[pair]


#: In the order of the report. Wasserstein-1 leads: it grows with the distance by which a peak is
#: moved, where the others saturate, and it hardly depends on the bins.
_MEASURES = {
    "wasserstein": _Measure(
        wasserstein,
        "A",
        "Wasserstein-1 distance of the normalised pair-distance histograms",
        True,
    ),
    "wright_factor": _Measure(
        lambda a, b, width: wright_factor(a, b),
        "1",
        "sum (g - g_ref)^2 / sum g_ref^2 over r (plain form, no root)",
        False,
    ),
    "wright_factor_sqrt": _Measure(
        lambda a, b, width: wright_factor_sqrt(a, b),
        "1",
        "sqrt(sum (g - g_ref)^2 / sum g_ref^2) over r (square-root form)",
        False,
    ),
    "jensen_shannon": _Measure(
        lambda a, b, width: jensen_shannon(a, b),
        "nat",
        "Jensen-Shannon divergence of the normalised pair-distance histograms, natural logarithm",
        True,
    ),
}


def compare_structures(
    run: Structure, reference: Structure, *, provenance: str, prefix: str = ""
) -> list[Metric]:
    """Wasserstein-1, Wright factor (both forms) and JSD of every species pair, with errors.

    Errors are bootstrapped over the independent blocks of both trajectories; ``noise`` is the value
    that these blocks would give if both were samples of one structure.

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
        for name, measure in _MEASURES.items():
            text = {
                "name": f"{prefix}{name}[{pair}]",
                "unit": measure.unit,
                "definition": f"{measure.definition}; {run.range}",
                "provenance": provenance,
            }
            metrics.append(_measured(text, measure, run, reference, index))
    return metrics


def _measured(
    text: dict[str, str], measure: _Measure, run: Structure, reference: Structure, pair: int
) -> Metric:
    own, other = measure.mean(run, pair), measure.mean(reference, pair)
    if not np.any(other > 0.0) or not np.any(own > 0.0):
        note = "no pair of these species within r_max in one of the trajectories"
        return not_enough_data(**text, note=note)
    value = measure.of(own, other, run.bin_width)
    n_eff = min(run.n_eff, reference.n_eff)
    if not run.has_error or not reference.has_error:
        return Metric(value=value, n_eff=n_eff, note=_TOO_FEW, **text)
    rows, rows_ref = measure.rows(run, pair), measure.rows(reference, pair)

    def statistic(a: np.ndarray, b: np.ndarray) -> float:
        # the scatter of a block about the mean of another trajectory may lead below zero
        a, b = np.maximum(a.mean(axis=0), 0.0), np.maximum(b.mean(axis=0), 0.0)
        return measure.of(a, b, run.bin_width) if a.any() and b.any() else np.nan

    error = bootstrap_error(statistic, rows, rows_ref)
    noise = _noise(statistic, rows - rows.mean(axis=0) + other, rows_ref)
    note = None if error is not None else _RARE
    return Metric(value=value, error=error, n_eff=n_eff, noise=noise, note=note, **text)


def _noise(
    statistic: Callable[[np.ndarray, np.ndarray], float], rows: np.ndarray, rows_ref: np.ndarray
) -> float | None:
    """Mean of a difference between resampled sets of blocks about one and the same mean."""
    random = np.random.default_rng(0)
    values = [
        statistic(resampled(rows, random), resampled(rows_ref, random)) for _ in range(_N_NOISE)
    ]
    known = np.array(values)[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def noise_floor(analysis: RadialDistribution, *, provenance: str) -> list[Metric]:
    """The same measures between the first and the second half of one trajectory.

    This is how much two samples of the same thing differ; a model cannot be told from the
    reference below it. Each half is half as long, so the floor of the whole is lower still.

    Raises:
        InputError: there is one frame only.
    """
    half = len(analysis.results.counts) // 2
    if half < 1:
        raise InputError(
            "expected at least 2 frames to compare halves, got 1",
            where=provenance,
            fix="give a longer reference trajectory",
        )
    first, second = (
        _of_frames(analysis, part, 1, 1.0) for part in (slice(0, half), slice(half, 2 * half))
    )
    compared = compare_structures(second, first, provenance=provenance, prefix="noise_floor_")
    return [
        replace(metric, note="one pair of halves: no error") if metric.value is not None else metric
        for metric in compared
    ]
