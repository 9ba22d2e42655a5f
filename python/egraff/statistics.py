# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors of means over correlated time series, and of anything else by resampling.

Successive frames of a simulation are not independent. Two estimates of the error of a mean are
made: from autocorrelations, which is the more precise one but stops too early where a slow mode
hides under a fast oscillation, as in pressures; and from the scatter of means over long blocks
(Flyvbjerg and Petersen, J. Chem. Phys. 91, 461 (1989)). The larger one counts.
tests/test_calibration.py says how often such errors hold the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.fft import next_fast_len

from egraff.errors import InputError

#: Fewer independent runs or blocks than this and an error estimate is not worth printing.
MINIMUM_SAMPLES = 4.0
#: From so many independent runs on their scatter is an error: it leans on no correlations.
MINIMUM_RUNS = 3
#: A correlated series worth fewer independent samples gets no error: blocks of an eighth of it are
#: then no longer than its correlation.
MINIMUM_WORTH = 8.0
#: Numbers of blocks: long ones, half and a quarter as long. Neighbouring numbers are averaged, for
#: block boundaries are arbitrary.
_LONG, _MEDIUM, _SHORT = (7, 8, 9), (14, 16, 18), (28, 32, 36)
#: Where the squared error still grows by more than this from short to long blocks, no length of
#: blocks is long enough.
_GROWTH = 3.0
#: Blocks that scatter so much less than autocorrelations have it (in the square) mean the same as a
#: trough of these, see below.
_MUCH_LESS = 0.4
#: A correlation that many standard errors below zero behind the first zero means that the series
#: oscillates about its mean: what correlations add up to before it is then taken back behind it.
_OSCILLATES = 5.0
#: Share of resampled sets that must have a value for their spread to be an error.
_MOSTLY = 0.95


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
    """Statistical inefficiency g of a time series: n / g independent samples tell its mean as well.

    The larger one of those from blocks and from `initial_positive_sequence`; below 18 values, where
    there are no blocks to speak of, the latter. Of series that oscillate about their mean that of
    blocks, which may be below 1.

    Args:
        series: `[n_times]`; at least 2 values.

    Raises:
        InputError: fewer than 2 values, or values that are not finite.
    """
    series = _checked(series)
    if _is_constant(series):
        return 1.0
    n, from_correlations = len(series), initial_positive_sequence(series)
    if n < max(_MEDIUM):
        return from_correlations
    from_blocks = float(min(n * _variance_of_mean(series) / np.var(series), n))
    oscillates = from_blocks < _MUCH_LESS * from_correlations or _oscillates(series)
    return from_blocks if oscillates else max(from_blocks, from_correlations)


def _oscillates(series: np.ndarray) -> bool:
    """Whether correlations become negative for certain before they die away."""
    covariance = autocovariance(series)
    rho = covariance[: len(series) // 4] / covariance[0]
    below = np.flatnonzero(rho <= 0.0)
    if not below.size:
        return False
    # as far behind the first zero as it took to get there, and once more: the first trough
    trough = rho[below[0] : 3 * below[0] + 2].min()
    # Bartlett's formula at lags beyond all correlations
    error = np.sqrt((1.0 + 2.0 * np.sum(rho[1 : below[0]] ** 2)) / len(series))
    return bool(trough < -_OSCILLATES * error)


def _checked(series: np.ndarray) -> np.ndarray:
    series = np.asarray(series, dtype=np.float64)
    if series.ndim != 1 or len(series) < 2:
        raise InputError(
            f"expected a series of at least 2 values, got shape {series.shape}", where="series"
        )
    if not np.all(np.isfinite(series)):
        raise InputError("expected finite values, got NaN or infinity", where="series")
    return series


def _is_constant(series: np.ndarray) -> bool:
    """Whether the variance of a series is rounding."""
    return bool(np.var(series) <= (1e-13 * max(1e-300, np.abs(series).max())) ** 2)


def _variance_from_blocks(series: np.ndarray, numbers: Sequence[int]) -> float:
    """Squared error of the mean, averaged over numbers of blocks."""
    found = []
    for n_blocks in numbers:
        length = len(series) // n_blocks
        blocks = series[len(series) - n_blocks * length :].reshape(n_blocks, length)
        found.append(blocks.mean(axis=1).var(ddof=1) / n_blocks)
    return float(np.mean(found))


def _variance_of_mean(series: np.ndarray) -> float:
    """Squared error of the mean from blocks, of a series of at least 18 values.

    A block of b values with a correlation time tau misses a share tau / b of it, so two lengths
    give the limit of long blocks; where they do not differ so, the longer ones are taken as they
    are.
    """
    long = _variance_from_blocks(series, _LONG)
    return max(long, 2.0 * long - _variance_from_blocks(series, _MEDIUM))


def initial_positive_sequence(series: np.ndarray) -> float:
    """Statistical inefficiency g = 1 + 2 sum_t (1 - t/n) rho(t) from autocorrelations, at least 1.

    The sum stops at the first pair of lags whose correlations add up to nothing (Geyer, Statist.
    Sci. 7, 473 (1992), section 3.3).
    """
    covariance = autocovariance(series)
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
        error: standard error, None where the series is too short for one.
        n_eff: number of independent samples, at most that of the samples.
        inefficiency: statistical inefficiency g, in samples.
        longer: where there is no error, how many times as long the series should be at least.
    """

    value: float
    error: float | None
    n_eff: float
    inefficiency: float
    longer: float | None = None


def mean_with_error(series: np.ndarray) -> Mean:
    """Mean and standard error of a stationary, correlated series, `[n_times]`.

    There is no error where the series is worth less than `MINIMUM_WORTH` independent samples, or
    where the estimate still grows with the length of the blocks.
    """
    series = _checked(series)
    n, g = len(series), statistical_inefficiency(series)
    value, n_eff = float(series.mean()), len(series) / g
    if _is_constant(series):
        return Mean(value, 0.0, float(n), 1.0)
    longer = None
    if n >= max(_SHORT) and _variance_from_blocks(series, _LONG) > _GROWTH * _variance_from_blocks(
        series, _SHORT
    ):
        longer = _GROWTH
    if n_eff < MINIMUM_WORTH:
        longer = max(longer or 1.0, MINIMUM_WORTH / n_eff)
    # sum of squares over n - g: the variance of a correlated series is underestimated by it
    error = float(np.sqrt(np.var(series) / (n_eff - 1.0))) if longer is None else None
    return Mean(value, error, float(min(n_eff, n)), g, longer)


def equilibration_start(series: np.ndarray) -> int:
    """First index from which a series looks as it does in its second half; at most half of it.

    Blocks of a twentieth are compared with the mean of the second half: the start is behind the
    last one that is further from it than three times what the second half's own correlation
    explains. (To maximise the apparent number of independent samples instead, as Chodera, J. Chem.
    Theory Comput. 12, 1799 (2016), prefers windows whose correlations are underestimated.)

    Args:
        series: `[n_times]`, finite.
    """
    series = np.asarray(series, dtype=np.float64)
    n_blocks = min(20, len(series) // 2)
    second = series[len(series) // 2 :]
    if n_blocks < 4 or _is_constant(series):
        return 0
    length = len(series) // n_blocks
    means = series[: n_blocks * length].reshape(n_blocks, length).mean(axis=1)
    # neither the scatter of blocks nor of single values can be larger than that of all
    worth = max(1.0, length / statistical_inefficiency(second))
    allowed = 3.0 * np.sqrt(np.var(second) / worth)
    early = means[: n_blocks // 2]
    off = np.flatnonzero(np.abs(early - second.mean()) > allowed)
    return min(int(off[-1] + 1) * length, len(series) // 2) if off.size else 0


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
) -> float | None:
    """Standard deviation of a statistic over resampled data sets; None where many have none.

    Of n rows n - 1 are drawn (Rao and Wu, J. Am. Stat. Assoc. 83, 231 (1988)): with n the error of
    a mean would be too small by sqrt((n - 1) / n), 13 % for 4 rows.

    Args:
        statistic: function of the arrays in ``samples``; NaN where a set has no value.
        samples: each `[n, ...]`, resampled along its first axis with replacement, independently;
            the rows must be independent (seeds, or blocks longer than the correlation time).
        n_resamples: number of resampled sets.
        seed: of the random numbers, so that reports are reproducible.
    """
    random = np.random.default_rng(seed)
    values = np.array(
        [statistic(*(resampled(rows, random) for rows in samples)) for _ in range(n_resamples)]
    )
    known = values[np.isfinite(values)]
    # a spread of what is left would be that of sets chosen for having a value
    return float(np.std(known, ddof=1)) if len(known) > _MOSTLY * n_resamples else None


def resampled(rows: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """One less than all rows, drawn with replacement; see `bootstrap_error`."""
    return rows[random.integers(0, len(rows), max(1, len(rows) - 1))]


def summary_over_runs(values: Sequence[float]) -> Mean:
    """Mean over independent runs, with its standard error from their scatter."""
    array = np.asarray(values, dtype=np.float64)
    error = float(standard_error(array)) if len(array) >= MINIMUM_RUNS else None
    return Mean(float(array.mean()), error, float(len(array)), 1.0)


def geometric_over_runs(values: Sequence[float]) -> Mean:
    """Geometric mean over independent runs; a value of zero makes it zero, without an error."""
    array = np.asarray(values, dtype=np.float64)
    if np.any(array <= 0.0):
        return Mean(0.0, None, float(len(array)), 1.0)
    logarithm = summary_over_runs(np.log(array).tolist())
    mean = float(np.exp(logarithm.value))
    error = None if logarithm.error is None else mean * logarithm.error
    return Mean(mean, error, logarithm.n_eff, 1.0)
