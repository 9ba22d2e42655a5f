# SPDX-License-Identifier: GPL-2.0-or-later
"""What follows from g(r): coordination numbers and the structure factor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from egraff.analysis.metric import Metric
from egraff.analysis.rdf import RadialDistribution
from egraff.analysis.series import mean_metric
from egraff.errors import InputError
from egraff.statistics import resampled

#: Bins over which g is smoothed, and standard errors that make a rise or a fall: of 200 runs one
#: has a rise of three of them somewhere by chance.
_SMOOTHED, _RESOLVED = 5, 4.0
#: Bins on each side of the lowest one to which a parabola is fitted.
_AROUND = 5
#: Resampled sets of blocks that tell how well a minimum is placed; the share that must have one.
_N_MINIMA, _MOSTLY = 200, 0.95
NO_SHELL = "noise may have placed the minimum of g(r) that ends the shell: no error, run longer"


def structure_factor(
    q: np.ndarray, r: np.ndarray, g: np.ndarray, number_density: float, *, window: bool = False
) -> np.ndarray:
    """Structure factor S(q) = 1 + 4 pi rho int r^2 (g(r) - 1) sin(q r) / (q r) dr.

    The integral is exact for a g(r) that is constant within each bin; beyond the last bin g is
    taken to be 1.

    Args:
        q: wave vectors, `[n_q]`, 1/Angstrom, above 0.
        r: centres of even bins that begin at zero, `[n_bins]`, Angstrom.
        g: `[n_bins]`.
        number_density: atoms per Angstrom^3.
        window: multiply g - 1 by Lorch's sin(pi r / R) / (pi r / R), which removes the ripples of
            a cut at R (Lorch, J. Phys. C 2, 229 (1969)) at the price of broader peaks.

    Returns:
        `[n_q]`, dimensionless.

    Raises:
        InputError: a wave vector is not above 0.
    """
    q = np.asarray(q, dtype=np.float64)
    if np.any(q <= 0.0):
        raise InputError(f"expected wave vectors above 0, got {q.min()}", where="q")
    width = r[1] - r[0]
    edges = np.append(r - 0.5 * width, r[-1] + 0.5 * width)
    h = np.asarray(g, dtype=np.float64) - 1.0
    if window:
        h = h * np.sinc(r / edges[-1])
    # int r sin(q r) dr = (sin(q r) - q r cos(q r)) / q^2
    x = q[:, None] * edges[None, :]
    primitive = (np.sin(x) - x * np.cos(x)) / q[:, None] ** 3
    return 1.0 + 4.0 * np.pi * number_density * np.diff(primitive, axis=1) @ h


def smoothed(g: np.ndarray) -> np.ndarray:
    """Running mean of curves `[..., n_bins]` over five bins; neighbouring bins have like errors."""
    window = np.ones(_SMOOTHED) / _SMOOTHED
    return np.apply_along_axis(np.convolve, -1, g, window, mode="same")


def first_minimum(r: np.ndarray, g: np.ndarray, error: np.ndarray | None = None) -> float | None:
    """Distance of the first minimum of g after its first peak above 1, or None.

    g is smoothed over five bins first. With errors, ups and downs of less than four of them are no
    peaks and no minima, so that two samples of one structure have the same minimum; its place is
    that of a parabola about the lowest bin, which moves as little with the noise as can be.

    Args:
        r: bin centres, `[n_bins]`.
        g: `[n_bins]`.
        error: standard error of g smoothed by `smoothed`, `[n_bins]`; None for none.
    """
    smooth = smoothed(g)
    noise = np.zeros(len(g)) if error is None else _RESOLVED * error
    above = np.flatnonzero(smooth > 1.0 + noise)
    if not above.size:
        return None
    peak = int(above[0])
    for bin_ in range(peak, len(g)):
        if smooth[bin_] >= smooth[peak]:
            peak = bin_
        elif smooth[bin_] < smooth[peak] - noise[bin_]:
            break
    bottom = peak
    for bin_ in range(peak, len(g)):
        if smooth[bin_] < smooth[bottom]:
            bottom = bin_
        elif smooth[bin_] > smooth[bottom] + noise[bin_]:
            break
    else:
        return None  # it does not rise again within the range: the minimum is not in sight
    return None if bottom >= len(g) - 3 else _vertex(r, g, bottom)


def _vertex(r: np.ndarray, g: np.ndarray, bottom: int) -> float:
    """Lowest point of a parabola through g about a bin, at most `_AROUND` bins from it."""
    near = slice(max(0, bottom - _AROUND), bottom + _AROUND + 1)
    width = r[1] - r[0]
    square, slope, _ = np.polyfit((r[near] - r[bottom]) / width, g[near], 2)
    if square <= 0.0:
        return float(r[bottom])
    return float(r[bottom] + width * np.clip(-0.5 * slope / square, -_AROUND, _AROUND))


def resampled_minima(r: np.ndarray, blocks: np.ndarray, error: np.ndarray) -> np.ndarray:
    """First minima of g over resampled sets of independent blocks, NaN where a set has none.

    Args:
        r: bin centres, `[n_bins]`.
        blocks: g of each block, `[n_blocks, n_bins]`.
        error: standard error of their mean, smoothed, `[n_bins]`.

    Returns:
        `[n_sets]`, Angstrom.
    """
    random = np.random.default_rng(0)
    found = (
        first_minimum(r, resampled(blocks, random).mean(axis=0), error) for _ in range(_N_MINIMA)
    )
    return np.array([np.nan if minimum is None else minimum for minimum in found])


def coordination_numbers(
    analysis: RadialDistribution,
    cutoff: float,
    *,
    provenance: str,
    minima: np.ndarray | None = None,
) -> list[Metric]:
    """Mean number of neighbours b of an atom a nearer than ``cutoff``, for every ordered pair.

    Args:
        analysis: finished.
        cutoff: Angstrom; pairs of the bin that it is in count for the share of it that is within.
        provenance: for the metrics.
        minima: where the cutoff was found in the same data, see `resampled_minima`: what it would
            have been in others, which becomes a part of the error. None where it was given.

    Returns:
        ``coordination[a-b]``, "b around a", dimensionless.

    Raises:
        InputError: the cutoff is beyond the range of the analysis.
    """
    if not 0.0 < cutoff <= analysis.r_max * (1.0 + 1e-9):
        raise InputError(
            f"expected a cutoff up to {analysis.r_max:g} A, got {cutoff:g}",
            where="cutoff",
            fix="run the analysis with a larger r_max",
        )
    labels = np.array(analysis.species)[analysis._index]
    metrics = []
    for pair_index, pair in enumerate(analysis.pairs):
        within = np.cumsum(analysis.results.counts[:, pair_index], axis=1)
        edges = analysis.bin_width * np.arange(analysis.n_bins + 1)
        within = np.concatenate([np.zeros((len(within), 1)), within], axis=1)
        first, second = pair.split("-")
        ordered = {(first, second), (second, first)}
        for centre, other in sorted(ordered):
            each = (2.0 if centre == other else 1.0) / np.sum(labels == centre)
            metric = mean_metric(
                f"coordination[{centre}-{other}]",
                each * np.array([np.interp(cutoff, edges, row) for row in within]),
                "1",
                f"mean number of {other} nearer than {cutoff:.3g} A to {centre}",
                provenance,
            )
            if minima is not None and metric.error is not None:
                numbers = np.interp(minima, edges, each * within.mean(axis=0))
                metric = _with_cutoff(metric, numbers)
            metrics.append(metric)
    return metrics


def _with_cutoff(metric: Metric, numbers: np.ndarray) -> Metric:
    """Add to the error of a number of neighbours what the place of the minimum adds.

    Args:
        metric: with the error at one cutoff.
        numbers: mean number of neighbours up to each of the resampled minima, `[n_sets]`.
    """
    known = numbers[np.isfinite(numbers)]
    if not len(known) or len(known) < _MOSTLY * len(numbers):
        return replace(metric, error=None, note=NO_SHELL)
    return replace(metric, error=float(np.hypot(metric.error, np.std(known, ddof=1))))
