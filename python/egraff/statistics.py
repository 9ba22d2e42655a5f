# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors of means over correlated time series, and of anything else by resampling.

Successive frames of a simulation are not independent; `egraff.spectrum` tells the error of
their mean. tests/test_calibration.py says how often such errors hold the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from egraff.errors import InputError
from egraff.spectrum import slow_part

#: Fewer independent runs or blocks than this and an error estimate is not worth printing.
MINIMUM_SAMPLES = 4.0
#: From so many independent runs on their scatter is an error: it leans on no correlations.
MINIMUM_RUNS = 3
#: With fewer values there is no error: correlations cannot be told from chance.
MINIMUM_VALUES = 8
#: Share of resampled sets that must have a value for their spread to be an error.
_MOSTLY = 0.95


def statistical_inefficiency(series: np.ndarray) -> float:
    """Statistical inefficiency g of a time series: n / g independent samples tell its mean as well.

    Between 1 / n and n, and below 1 where fluctuations cancel over time. Of less than
    `MINIMUM_VALUES` values it cannot be told, and is n.

    Args:
        series: `[n_times]`; at least 2 values.

    Raises:
        InputError: fewer than 2 values, or values that are not finite.
    """
    return mean_with_error(series).inefficiency


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


@dataclass(frozen=True)
class Mean:
    """Mean of a correlated series.

    Attributes:
        value: the mean.
        error: standard error, None where the series is too short for one.
        n_eff: number of independent samples, at most that of the samples.
        inefficiency: statistical inefficiency g, in samples.
        longer: where there is no error, how many times as long the series should be at least.
        cancels: whether fluctuations cancel over time, so that the error is an upper bound.
    """

    value: float
    error: float | None
    n_eff: float
    inefficiency: float
    longer: float | None = None
    cancels: bool = False


def mean_with_error(series: np.ndarray) -> Mean:
    """Mean and standard error of a stationary, correlated series, `[n_times]`.

    There is no error with less than `MINIMUM_VALUES` values, or where the series is not several
    times as long as its correlations.
    """
    series = _checked(series)
    n, value = len(series), float(series.mean())
    if n < MINIMUM_VALUES:
        return Mean(value, None, 1.0, float(n), MINIMUM_VALUES / n)
    if _is_constant(series):
        return Mean(value, 0.0, float(n), 1.0)
    slow = slow_part(series)
    g = min(max(n * slow.error**2 / float(np.var(series)), 1.0 / n), float(n))
    error = slow.error if slow.longer is None else None
    return Mean(value, error, min(n / g, float(n)), g, slow.longer, slow.cancels)


def slope_error(times: np.ndarray, residuals: np.ndarray) -> tuple[float | None, float]:
    """Standard error of a least-squares slope whose residuals are correlated in time.

    The variance of a mean of n values is S(0) / n, that of a slope S(0) / sum (t - <t>)^2.

    Args:
        times: `[n_times]`, even.
        residuals: of the line, `[n_times]`.

    Returns:
        The error in the unit of residuals per time, None where the series is too short for one or
        does not vary, and the number of independent residuals.
    """
    n = len(residuals)
    if n < MINIMUM_VALUES or _is_constant(residuals):
        return None, float(n)
    slow = slow_part(residuals, line_removed=True)
    spread = float(np.sum((times - times.mean()) ** 2))
    n_eff = float(min(np.var(residuals) / slow.error**2, n))
    return (None if slow.longer is not None else slow.error * float(np.sqrt(n / spread))), n_eff


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
