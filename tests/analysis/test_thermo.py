# SPDX-License-Identifier: GPL-2.0-or-later
"""Drift and means of thermo output, in their stated units."""

import numpy as np
import pytest

from egraff.analysis.thermo import conserved_drift, linear_drift, nve_drift, production_mean
from egraff.errors import InputError
from egraff.statistics import equilibration_start
from tests.analysis.systems import autoregressive

TIME = np.arange(2000) * 0.01  # ps


def test_synthetic_drift_in_its_unit():
    # 0.5 meV per atom and ps for 100 atoms is 0.05 eV/ps
    noise = 0.002 * autoregressive(2000, 0.7, seed=1)[:, 0]
    kinetic = 4.0 + 0.25 * np.random.default_rng(2).normal(size=2000)
    metrics = {
        metric.name: metric
        for metric in nve_drift(TIME, -300.0 + 0.05 * TIME + noise, kinetic, 100, provenance="p")
    }
    drift = metrics["nve_drift"]
    assert drift.unit == "meV/atom/ps"
    assert drift.value == pytest.approx(0.5, abs=4 * drift.error)
    assert drift.error < 0.005
    relative = metrics["nve_drift_relative"]
    assert relative.unit == "1/ps"
    assert relative.value == pytest.approx(0.05 / 0.25, rel=0.05)
    assert metrics["nve_fluctuation"].value == pytest.approx(np.std(noise) / 0.25, rel=0.05)


def test_error_of_the_drift_covers():
    pulls = []
    for seed in range(200):
        noise = autoregressive(500, 0.8, seed=seed)[:, 0]
        slope, error, _ = linear_drift(TIME[:500], 3.0 * TIME[:500] + noise)
        pulls.append((slope - 3.0) / error)
    assert np.std(pulls) == pytest.approx(1.0, abs=0.2)


def test_drift_without_enough_data():
    short = nve_drift(TIME[:5], np.ones(5), np.ones(5), 2, provenance="p")
    assert all(metric.value is None for metric in short)
    assert short[0].note == "5 rows of finite energy, at least 10 are needed"
    with_nan = np.where(np.arange(2000) > 1000, np.nan, -1.0 + 0.1 * TIME)
    drift = nve_drift(TIME, with_nan, np.sin(TIME), 1000, provenance="p")[0]
    assert drift.value == pytest.approx(0.1)
    still = nve_drift(TIME, TIME, np.ones(2000), 1, provenance="p")
    assert still[1].note == "the kinetic energy does not vary"


def test_drift_needs_times():
    with pytest.raises(InputError, match="time_ps: expected at least 3 different times, got 1"):
        linear_drift(np.zeros(4), np.arange(4.0))


def test_production_mean_leaves_out_equilibration():
    noise = 5.0 * autoregressive(2000, 0.5, seed=3)[:, 0]
    values = 300.0 + noise - 290.0 * np.exp(-TIME / 0.5)
    start = equilibration_start(values)
    metric = production_mean(
        "temperature", values, "K", "temperature", provenance="log: Temp", rows=slice(start, 2000)
    )
    assert metric.value == pytest.approx(300.0, abs=4 * metric.error)
    # an error from ten modes is known to a quarter
    assert metric.error == pytest.approx(np.std(noise) * np.sqrt(3 / 1700), rel=0.5)
    assert "rows" in metric.provenance
    broken = np.append(values, [np.nan, np.inf])
    text = ("K", "temperature")
    whole = production_mean("t", broken, *text, provenance="p", rows=slice(0, 2002))
    assert "2 rows are not finite" in whole.note
    assert production_mean("t", values, *text, provenance="p", rows=slice(0, 3)).value is None


def test_drift_of_a_conserved_quantity_in_its_unit():
    # 2 meV per atom and ps for 50 atoms is 0.1 eV/ps
    noise = 0.01 * autoregressive(2000, 0.5, seed=9)[:, 0]
    metric = conserved_drift(TIME, -3.0 + 0.1 * TIME + noise, 50, provenance="log: Econserve")
    assert (metric.name, metric.unit) == ("conserved_drift", "meV/atom/ps")
    assert metric.value == pytest.approx(2.0, abs=4 * metric.error)
    # without a walk an upper bound: both ends, 2 x 0.01 eV, over 20 ps and 50 atoms
    assert metric.error < 0.03
    few = conserved_drift(TIME[:5], np.ones(5), 50, provenance="p")
    assert few.note == "5 finite rows, at least 10 are needed"


def test_error_of_a_conserved_quantity_that_wanders():
    """Increments at random beneath fluctuations: the true slope of the walk is zero."""
    random = np.random.default_rng(4)
    held = []
    for _ in range(100):
        walk = np.cumsum(random.normal(size=600)) + 10.0 * random.normal(size=600)
        metric = conserved_drift(0.04 * np.arange(600), walk, 1, provenance="p")
        held.append(abs(metric.value) < metric.error)
    assert 0.6 < np.mean(held) < 0.85  # uncertain by 0.05; the larger of two regimes' errors
