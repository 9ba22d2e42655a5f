# SPDX-License-Identifier: GPL-2.0-or-later
"""Error of the mean of a correlated series, from the slowest part of its spectrum.

The squared error of the mean of n values is S(0) / n, with S the power spectrum, however the series
is correlated. S(0) itself cannot be seen, as the mean was subtracted; the slowest ten Fourier modes
are next to it (Heidelberger and Welch, Commun. ACM 24, 233 (1981)). A fast oscillation is far from
them, so that a slow mode under it counts as it should; in sums of autocorrelations it is lost.

What S does between them and zero is a question of shape: flat, rising towards zero as
1 / (1 + (k / k0)^2) where correlations decay slowly, or falling as 1 + (k / k0)^2 where
fluctuations cancel over time, as those of a thermostat with feedback do. A periodogram's values are
independent and exponentially distributed (Whittle, Ark. Mat. 2, 423 (1953)), which gives each shape
a likelihood; all shapes are averaged with it, so that not knowing the shape is part of the error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import stdtr

#: Slowest modes used: more tell S more precisely, but further from zero.
_N_MODES = 10
#: Shapes that rise and fall, each with k0 from these up to where they are flat within the modes.
_SLOWEST, _CANCELS, _FLAT, _N_SHAPES = 0.5, 0.3, 16.0, 12
#: Prior weights of slow correlations and of fluctuations that cancel; the rest is for a flat S.
_WEIGHT_SLOW, _WEIGHT_CANCELS = 0.4, 0.2
#: Below this k0 = T / (2 pi tau), seven to eight correlation times, S(0) is mostly a guess.
_UNRESOLVED = 1.2
#: k0 of a series of twenty correlation times, from where on errors hold what they should.
_RESOLVED = 20.0 / (2.0 * np.pi)
#: Weight of cancelling shapes from which on it is said: of one series of white noise in a hundred.
_SURELY = 0.8
#: Cumulative probability at one standard deviation of a normal distribution.
_ONE_SIGMA = 0.841344746


@dataclass(frozen=True)
class SlowPart:
    """What the slowest modes say about a mean.

    Attributes:
        error: half the width of the interval that holds the true mean 68 times of 100.
        longer: how many times as long the series should be at least to tell its error; None where
            it is long enough.
        cancels: whether fluctuations cancel over time, so that the error is an upper bound.
    """

    error: float
    longer: float | None
    cancels: bool


def _shapes(k: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """S(k) / S(0) of every shape, `[n_shapes, n_modes]`, with its prior weight and its k0."""
    slow = np.geomspace(_SLOWEST, _FLAT, _N_SHAPES)
    cancelling = np.geomspace(_CANCELS, _FLAT, _N_SHAPES)
    shapes = np.concatenate(
        [
            np.ones((1, len(k))),
            1.0 / (1.0 + (k / slow[:, None]) ** 2),
            1.0 + (k / cancelling[:, None]) ** 2,
        ]
    )
    each = np.full(_N_SHAPES, 1.0 / _N_SHAPES)
    flat = [1.0 - _WEIGHT_SLOW - _WEIGHT_CANCELS]
    prior = np.concatenate([flat, _WEIGHT_SLOW * each, _WEIGHT_CANCELS * each])
    return shapes, prior, np.concatenate([[np.inf], slow, np.full(_N_SHAPES, np.inf)])


def slow_part(series: np.ndarray, *, line_removed: bool = False) -> SlowPart:
    """Error of the mean of a stationary series that varies.

    Args:
        series: `[n_times]`, finite, at least 3 values at even times.
        line_removed: whether a least-squares line was subtracted, and part of the modes with it.
    """
    n = len(series)
    n_modes = min(_N_MODES, (n - 1) // 2)
    modes = np.fft.rfft(series - series.mean())[1 : n_modes + 1]
    power = np.abs(modes) ** 2 / n
    k = np.arange(1.0, n_modes + 1.0)
    if line_removed:  # a share 6 / (pi k)^2 of the square of a line is in mode k, in its sine alone
        power = power / (1.0 - 3.0 / (np.pi * k) ** 2)
    shapes, prior, k0 = _shapes(k)
    at_zero = np.maximum((power / shapes).mean(axis=1), np.finfo(float).tiny)
    # the likelihood with S(0) integrated out, under a prior that is flat in its logarithm
    logarithm = np.log(prior) - np.log(shapes).sum(axis=1) - n_modes * np.log(at_zero)
    weight = np.exp(logarithm - logarithm.max())
    weight /= weight.sum()
    # of each shape the mean's distribution is Student's, with two degrees of freedom per mode
    scale = np.sqrt(at_zero / n)

    def outside(error: float) -> float:
        return float(weight @ stdtr(2 * n_modes, error / scale)) - _ONE_SIGMA

    error = brentq(outside, 0.0, 10.0 * scale.max(), rtol=1e-6)
    longer = None
    if weight[k0 < _UNRESOLVED].sum() > 0.5:
        slow = np.isfinite(k0)
        longer = _RESOLVED * float(weight[slow] @ (1.0 / k0[slow]) / weight[slow].sum())
    cancels = weight[1 + _N_SHAPES :].sum() > _SURELY
    return SlowPart(float(error), longer, bool(cancels))
