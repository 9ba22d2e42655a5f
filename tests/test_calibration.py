# SPDX-License-Identifier: GPL-2.0-or-later
"""How often stated errors hold the truth, on processes whose mean is known.

One standard error of a normal distribution holds it 68 times of 100; of an error that is itself
estimated from eight blocks (Student's t with 7 degrees of freedom) 65 times.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from egraff.statistics import equilibration_start, mean_with_error

N_SERIES = 400


def relaxation(n: int, tau: float, rng: np.random.Generator) -> np.ndarray:
    """Return series of variance 1 whose correlations decay as exp(-t / tau), [N_SERIES, n]."""
    phi = np.exp(-1.0 / tau)
    noise = rng.normal(size=(N_SERIES, n + int(12 * tau)))
    return lfilter([np.sqrt(1 - phi**2)], [1, -phi], noise)[:, -n:]


def oscillation(n: int, tau: float, period: float, rng: np.random.Generator) -> np.ndarray:
    """Return series of variance 1, correlations exp(-t / tau) cos(2 pi t / period)."""
    phi = np.exp(-1.0 / tau + 2j * np.pi / period)
    noise = rng.normal(size=(2, N_SERIES, n + int(12 * tau)))
    filtered = lfilter([np.sqrt(1 - abs(phi) ** 2)], [1, -phi], noise[0] + 1j * noise[1])
    return filtered.real[:, -n:]


# The lengths are at least twenty times the longest correlation time.
PROCESSES = {
    "independent, 100": lambda r: r.normal(size=(N_SERIES, 100)),
    "independent, 600": lambda r: r.normal(size=(N_SERIES, 600)),
    "relaxation of 2 in 100": lambda r: relaxation(100, 2, r),
    "relaxation of 5 in 600": lambda r: relaxation(600, 5, r),
    "relaxation of 60 in 6000": lambda r: relaxation(6000, 60, r),
    "oscillation that decays in 20, in 600": lambda r: oscillation(600, 20, 12, r),
    "slow mode under an oscillation, 3000": lambda r: (
        0.5 * relaxation(3000, 60, r) + oscillation(3000, 20, 12, r)
    ),
    "weak slow mode under an oscillation, 6000": lambda r: (
        0.2 * relaxation(6000, 100, r) + oscillation(6000, 20, 12, r)
    ),
    "two relaxations, 6000": lambda r: relaxation(6000, 3, r) + 0.3 * relaxation(6000, 150, r),
}


@pytest.mark.parametrize("name", PROCESSES)
def test_one_standard_error_holds_the_truth_two_times_of_three(name, record_property):
    series = PROCESSES[name](np.random.default_rng(11))
    means = [mean_with_error(row) for row in series]
    stated = [mean for mean in means if mean.error is not None]
    held = np.mean([abs(mean.value) < mean.error for mean in stated])
    record_property("held", float(held))
    assert len(stated) > 0.9 * N_SERIES
    # the fraction of 400 is known to 0.024; an eighth of a series is 3 to 8 correlation times
    assert 0.60 <= held <= 0.78


def test_a_series_that_is_too_short_says_so():
    """Ten correlation times: what is left without an error is what would mislead most."""
    series = relaxation(600, 60, np.random.default_rng(11))
    means = [mean_with_error(row) for row in series]
    assert np.mean([mean.error is None for mean in means]) > 0.4
    longer = [mean.longer for mean in means if mean.error is None]
    assert 1.0 < np.median(longer) < 10.0


def test_stationary_series_are_used_from_the_start():
    for series in (
        relaxation(2000, 20, np.random.default_rng(3)),
        PROCESSES["independent, 600"](np.random.default_rng(4)),
    ):
        starts = np.array([equilibration_start(row) for row in series])
        assert np.mean(starts == 0) > 0.8


@pytest.mark.parametrize("decay", [40, 150])
def test_what_drifts_is_left_out(decay):
    """What is left of the drift afterwards is small beside the error of the mean."""
    noise = relaxation(4000, 10, np.random.default_rng(5))
    drift = 10.0 * np.exp(-np.arange(4000) / decay)
    excess = []
    for row in noise:
        start = equilibration_start(row + drift)
        excess.append(drift[start:].mean() / mean_with_error((row + drift)[start:]).error)
    assert np.median(excess) < 0.5
