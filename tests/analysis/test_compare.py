# SPDX-License-Identifier: GPL-2.0-or-later
"""The EGraFFBench metrics and Wasserstein-1 on inputs whose answer is known."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from egraff.analysis.compare import (
    energy_violation,
    energy_violation_offset_free,
    force_violation,
    geometric_mean,
    jensen_shannon,
    wasserstein,
    wright_factor,
    wright_factor_sqrt,
)
from egraff.errors import InputError

RANDOM = np.random.default_rng(0)
G = RANDOM.uniform(0.0, 3.0, 60)
P, Q = RANDOM.uniform(0.0, 1.0, (2, 60))


def test_wright_factor():
    assert wright_factor(G, G) == 0.0
    assert wright_factor(np.zeros(60), G) == pytest.approx(1.0)
    assert wright_factor(1.1 * G, G) == pytest.approx(0.01)
    assert wright_factor_sqrt(1.1 * G, G) == pytest.approx(0.1)
    # the arbitrary volume of a molecule's g cancels
    assert wright_factor(7.0 * P, 7.0 * G) == pytest.approx(wright_factor(P, G))


def test_jensen_shannon():
    assert jensen_shannon(P, P) == 0.0
    assert jensen_shannon(P, Q) == pytest.approx(jensen_shannon(Q, P))
    assert jensen_shannon(P, Q) == pytest.approx(jensenshannon(P, Q) ** 2)
    assert jensen_shannon([1, 0, 0], [0, 0, 5]) == pytest.approx(np.log(2.0))
    # (1, 0) and (1/2, 1/2): (ln(4/3) + ln(2/3) / 2 + ln(2) / 2) / 2
    exact = 0.5 * (np.log(4 / 3) + 0.5 * np.log(2 / 3) + 0.5 * np.log(2))
    assert jensen_shannon([1, 0], [1, 1]) == pytest.approx(exact)


def test_wasserstein_is_the_shift_of_a_peak():
    p, q = np.zeros(50), np.zeros(50)
    p[10], q[25] = 3.0, 7.0
    assert wasserstein(p, q, 0.05) == pytest.approx(15 * 0.05)
    centres = np.arange(60) * 0.1
    expected = wasserstein_distance(centres, centres, P, Q)
    assert wasserstein(P, Q, 0.1) == pytest.approx(expected)


def test_energy_violation():
    e = np.array([-2.0, 3.0, 0.0])
    np.testing.assert_allclose(energy_violation(e, e), 0.0)
    np.testing.assert_allclose(energy_violation(e, np.zeros(3)), [1.0, 1.0, 0.0])
    np.testing.assert_allclose(energy_violation(e, -e), [2.0, 2.0, 0.0])
    # a 1 eV error at -17660 eV, as in 3BPA
    assert energy_violation([-17661.0], [-17660.0])[0] == pytest.approx(1.6e-9, rel=0.01)


def test_offset_free_energy_violation():
    e = RANDOM.normal(size=200000)
    other = RANDOM.normal(size=200000)
    np.testing.assert_allclose(energy_violation_offset_free(e + 1e4, e), 0.0, atol=1e-12)
    assert energy_violation_offset_free(e, other).mean() == pytest.approx(1.0, abs=0.02)
    assert energy_violation_offset_free(e, -e).mean() == pytest.approx(2.0)


def test_force_violation():
    f = RANDOM.normal(size=(4, 500, 3))
    g = RANDOM.normal(size=(4, 500, 3))
    np.testing.assert_allclose(force_violation(f, f), 0.0)
    np.testing.assert_allclose(force_violation(np.zeros_like(f), f), 1.0)
    np.testing.assert_allclose(force_violation(-f, f), 1.0)
    np.testing.assert_allclose(force_violation(f, g), np.sqrt(0.5), atol=0.02)
    np.testing.assert_allclose(force_violation(0 * f, 0 * f), 0.0)


def test_geometric_mean_and_its_band():
    errors = np.array([[1e-2, 1.0], [1e-4, 1.0]])
    mean = geometric_mean(errors)
    np.testing.assert_allclose(mean.value, [1e-3, 1.0])
    spread = np.std(np.log([1e-2, 1e-4]), ddof=1)
    np.testing.assert_allclose(mean.upper, [1e-3 * np.exp(2 * spread), 1.0])
    np.testing.assert_allclose(mean.lower, [1e-3 * np.exp(-2 * spread), 1.0])
    assert geometric_mean(np.array([[0.0], [1.0]])).value[0] == 0.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wright_factor(G, G[:5]), r"one shape, got \(60,\) and \(5,\)"),
        (lambda: wright_factor([], []), "expected at least one value, got none"),
        (lambda: wright_factor(G, 0 * G), "expected a reference that is not zero everywhere"),
        (lambda: jensen_shannon([-1.0, 2.0], [1.0, 1.0]), "expected finite values >= 0"),
        (lambda: jensen_shannon([0.0, 0.0], [1.0, 1.0]), "at least one value above 0, got none"),
        (lambda: wasserstein([np.nan], [1.0], 1.0), "wasserstein: expected finite values >= 0"),
        (
            lambda: energy_violation_offset_free([1.0, 1.0], [2.0, 2.0]),
            "expected energies that vary, got constant ones",
        ),
        (
            lambda: force_violation(np.zeros((2, 3)), np.zeros((2, 3))),
            r"expected forces \[n_times, n_atoms, 3\], got shape \(2, 3\)",
        ),
        (lambda: geometric_mean(np.ones(3)), r"expected errors \[n_rollouts, n_times\]"),
        (lambda: geometric_mean(-np.ones((2, 2))), "expected finite values >= 0, got -1"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message):
        call()
