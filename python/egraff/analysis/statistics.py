# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors of means over correlated time series, and of anything else by resampling.

Successive frames of a simulation are not independent. The statistical inefficiency g says how
many of them are worth one independent sample; a mean over n frames then has the error
sigma / sqrt(n / g).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.fft import next_fast_len

from egraff.errors import InputError

#: Fewer independent samples than this and an error estimate is not worth printing.
MINIMUM_SAMPLES = 4.0


def autocovariance(series: np.ndarray) -> np.ndarray:
    """Autocovariance of a series at every lag, by FFT.

    Args:
        series: `[n_times]` or `[n_times, ...]`; each trailing element is its own series.

    Returns:
        Covariances of the same shape, each lag divided by its number of pairs.
    """
    series = np.asarray(series, dtype=np.float64)
    n = len(series)
    centred = series - series.mean(axis=0)
    padded = next_fast_len(2 * n, real=True)
    spectrum = np.fft.rfft(centred, n=padded, axis=0)
    sums = np.fft.irfft(spectrum * spectrum.conj(), n=padded, axis=0)[:n].real
    pairs = np.arange(n, 0, -1).reshape(-1, *[1] * (series.ndim - 1))
    return sums / pairs


def statistical_inefficiency(series: np.ndarray) -> float:
    """Statistical inefficiency g = 1 + 2 sum_t (1 - t/n) rho(t) of a time series.

    The sum stops where Geyer's initial positive sequence does: at the first pair of lags whose
    correlations add up to nothing (Geyer, Statist. Sci. 7, 473 (1992), section 3.3). g is at
    least 1, also for series that are anticorrelated, so that errors are never too small.

    Args:
        series: `[n_times]`; at least 2 values.

    Raises:
        InputError: fewer than 2 values, or values that are not finite.
    """
    series = np.asarray(series, dtype=np.float64)
    if series.ndim != 1 or len(series) < 2:
        raise InputError(
            f"expected a series of at least 2 values, got shape {series.shape}", where="series"
        )
    if not np.all(np.isfinite(series)):
        raise InputError("expected finite values, got NaN or infinity", where="series")
    covariance = autocovariance(series)
    # a constant series: its "covariance" is rounding
    if covariance[0] <= (1e-13 * max(1e-300, np.abs(series).max())) ** 2:
        return 1.0
    n = len(series)
    rho = covariance / covariance[0]
    even = rho[: n - n % 2]
    gammas = even[0::2] + even[1::2]  # Geyer's pairs, the first of which holds lag 0
    negative = np.flatnonzero(gammas <= 0.0)
    count = 2 * int(negative[0] if negative.size else len(gammas))
    lags = np.arange(1, count)
    g = 1.0 + 2.0 * float(np.sum((1.0 - lags / n) * rho[1:count]))
    return float(min(max(g, 1.0), n))


@dataclass(frozen=True)
class Mean:
    """Mean of a correlated series.

    Attributes:
        value: the mean.
        error: standard error, None with fewer than `MINIMUM_SAMPLES` independent samples.
        n_eff: number of independent samples.
        inefficiency: statistical inefficiency g, in samples.
    """

    value: float
    error: float | None
    n_eff: float
    inefficiency: float


def mean_with_error(series: np.ndarray) -> Mean:
    """Mean and standard error of a stationary, correlated series, `[n_times]`."""
    series = np.asarray(series, dtype=np.float64)
    g = statistical_inefficiency(series)
    n_eff = len(series) / g
    error = None
    if n_eff >= MINIMUM_SAMPLES:
        # sum of squares over n - g: the variance of a correlated series is underestimated by it
        error = float(np.sqrt(np.var(series) * n_eff / (n_eff - 1.0) / n_eff))
    return Mean(float(series.mean()), error, float(n_eff), g)


def equilibration_start(series: np.ndarray, *, n_candidates: int = 50) -> int:
    """First index of the part of a series that gives the most independent samples.

    Chodera, J. Chem. Theory Comput. 12, 1799 (2016): discarding the beginning removes the drift
    towards equilibrium but also samples; their number n / g is largest where the two balance.
    At most half of the series is discarded.
    """
    series = np.asarray(series, dtype=np.float64)
    starts = np.unique(np.linspace(0, len(series) // 2, n_candidates).astype(int))
    counts = [
        (len(series) - start) / statistical_inefficiency(series[start:])
        for start in starts
        if len(series) - start >= 2
    ]
    return int(starts[int(np.argmax(counts))]) if counts else 0


def block_means(values: np.ndarray, n_blocks: int) -> np.ndarray:
    """Means over consecutive blocks of nearly equal length.

    Args:
        values: `[n_times, ...]`.
        n_blocks: number of blocks, at most ``n_times``.

    Returns:
        `[n_blocks, ...]`.

    Raises:
        InputError: more blocks than values.
    """
    values = np.asarray(values, dtype=np.float64)
    if not 1 <= n_blocks <= len(values):
        raise InputError(
            f"expected 1 to {len(values)} blocks for {len(values)} values, got {n_blocks}",
            where="n_blocks",
        )
    return np.stack([block.mean(axis=0) for block in np.array_split(values, n_blocks)])


def standard_error(samples: np.ndarray) -> np.ndarray:
    """Standard error of the mean of independent samples `[n, ...]` along the first axis, `[...]`.

    Of `block_means` it is the error of a correlated mean, once blocks are longer than the
    correlation (Flyvbjerg and Petersen, J. Chem. Phys. 91, 461 (1989)).
    """
    samples = np.asarray(samples, dtype=np.float64)
    return samples.std(axis=0, ddof=1) / np.sqrt(len(samples))


def bootstrap_error(
    statistic: Callable[..., float],
    *samples: np.ndarray,
    n_resamples: int = 200,
    seed: int = 0,
) -> float:
    """Standard deviation of a statistic over resampled data sets.

    Of n rows n - 1 are drawn (Rao and Wu, J. Am. Stat. Assoc. 83, 231 (1988)): with n the error of
    a mean would be too small by sqrt((n - 1) / n), 13 % for 4 rows.

    Args:
        statistic: function of the arrays in ``samples``.
        samples: each `[n, ...]`, resampled along its first axis with replacement, independently;
            the rows must be independent (seeds, or blocks longer than the correlation time).
        n_resamples: number of resampled sets.
        seed: of the random numbers, so that reports are reproducible.
    """
    random = np.random.default_rng(seed)
    values = [
        statistic(*(rows[random.integers(0, len(rows), max(1, len(rows) - 1))] for rows in samples))
        for _ in range(n_resamples)
    ]
    return float(np.std(values, ddof=1))


def summary_over_runs(values: Sequence[float]) -> Mean:
    """Mean over independent runs, with its standard error from their scatter."""
    array = np.asarray(values, dtype=np.float64)
    error = float(standard_error(array)) if len(array) >= MINIMUM_SAMPLES else None
    return Mean(float(array.mean()), error, float(len(array)), 1.0)
