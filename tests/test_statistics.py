# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors of correlated means against the exact ones of an autoregressive process."""

import numpy as np
import pytest

from egraff.analysis.metric import Metric, not_enough_data
from egraff.analysis.series import geometric_mean_metric, mean_metric
from egraff.errors import InputError
from egraff.statistics import (
    block_means,
    bootstrap_error,
    equilibration_start,
    geometric_over_runs,
    mean_with_error,
    standard_error,
    statistical_inefficiency,
    summary_over_runs,
)
from tests.analysis.systems import autoregressive


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9, 0.97])
def test_inefficiency_is_the_exact_one(phi):
    x = autoregressive(20000, phi, seed=1, n_series=8)
    found = np.mean([statistical_inefficiency(series) for series in x.T])
    assert found == pytest.approx((1 + phi) / (1 - phi), rel=0.08)


@pytest.mark.parametrize("phi", [0.0, 0.8, 0.95])
def test_error_of_the_mean_covers(phi):
    x = autoregressive(4000, phi, seed=2, n_series=300)
    means = [mean_with_error(series) for series in x.T]
    pulls = np.array([mean.value / mean.error for mean in means])
    # the spread of 300 pulls is known to 4 %
    assert np.std(pulls) == pytest.approx(1.0, abs=0.13)


def test_anticorrelated_series_have_smaller_errors():
    """The exact inefficiency is (1 - 0.6) / (1 + 0.6); that from some twelve blocks is noisy."""
    x = autoregressive(2000, -0.6, seed=3, n_series=50)
    found = np.median([statistical_inefficiency(series) for series in x.T])
    assert found == pytest.approx(0.25, rel=0.3)
    assert mean_with_error(x[:, 0]).n_eff == 2000.0


def test_constant_series():
    mean = mean_with_error(np.full(50, -3.7e4))
    assert (mean.value, mean.error, mean.inefficiency) == (-3.7e4, 0.0, 1.0)


def test_too_short_for_an_error():
    mean = mean_with_error(np.arange(20.0))
    assert mean.error is None
    assert mean.n_eff < 8
    # a correlation time of the whole length needs at most twice 20 / pi times as much
    assert 3.0 < mean.longer < 40.0 / np.pi


def test_few_values_have_no_error():
    for series in (np.array([1.0, 3.0, 2.0, 2.5, 1.5, 2.0, 1.0]), np.full(7, 2.0)):
        mean = mean_with_error(series)
        assert (mean.error, mean.n_eff, mean.inefficiency) == (None, 1.0, 7.0)
        assert mean.longer == pytest.approx(8 / 7)


@pytest.mark.parametrize(
    ("series", "message"),
    [
        (np.array([1.0]), "expected a series of at least 2 values"),
        (np.ones((3, 2)), "expected a series of at least 2 values"),
        (np.array([1.0, np.nan, 2.0]), "expected finite values, got NaN or infinity"),
    ],
)
def test_bad_series(series, message):
    with pytest.raises(InputError, match=message):
        statistical_inefficiency(series)


def test_equilibration_is_found():
    noise = autoregressive(2000, 0.5, seed=4)[:, 0]
    start = equilibration_start(noise + 30.0 * np.exp(-np.arange(2000) / 80.0))
    assert 200 <= start <= 700
    assert equilibration_start(noise) < 200


def test_error_from_blocks_longer_than_the_correlation():
    x = autoregressive(20000, 0.8, seed=5, n_series=20)
    exact = np.sqrt(9.0 / (1 - 0.8**2) / 20000)  # sigma^2 g / n
    assert np.mean(standard_error(block_means(x, 40))) == pytest.approx(exact, rel=0.1)
    assert standard_error([1.0, 2.0, 3.0]) == pytest.approx(1.0 / np.sqrt(3.0))


def test_block_means():
    np.testing.assert_allclose(block_means(np.arange(6.0), 3), [0.5, 2.5, 4.5])
    with pytest.raises(InputError, match="expected 1 to 6 blocks for 6 values, got 7"):
        block_means(np.arange(6.0), 7)


def test_bootstrap_error_of_a_mean():
    x = np.random.default_rng(6).normal(size=400)
    error = bootstrap_error(lambda rows: float(rows.mean()), x, n_resamples=2000)
    assert error == pytest.approx(x.std() / 20.0, rel=0.06)
    assert error == bootstrap_error(lambda rows: float(rows.mean()), x, n_resamples=2000)


def test_bootstrap_error_of_few_rows_is_not_too_small():
    x = np.random.default_rng(7).normal(size=4)
    error = bootstrap_error(lambda rows: float(rows.mean()), x, n_resamples=20_000)
    assert error == pytest.approx(x.std(ddof=1) / 2.0, rel=0.02)


def test_summary_over_runs():
    summary = summary_over_runs([1.0, 2.0, 3.0, 4.0])
    assert summary.value == 2.5
    assert summary.error == pytest.approx(np.std([1, 2, 3, 4], ddof=1) / 2.0)
    assert summary_over_runs([1.0, 2.0]).error is None
    assert summary_over_runs([1.0, 2.0, 3.0]).error == pytest.approx(1.0 / np.sqrt(3.0))


def test_geometric_mean_over_runs():
    mean = geometric_over_runs([0.1, 1.0, 10.0])
    assert mean.value == pytest.approx(1.0)
    assert mean.error == pytest.approx(np.log(10.0) / np.sqrt(3.0))
    assert geometric_over_runs([0.0, 1.0, 2.0]).value == 0.0


TEXT = {"unit": "K", "definition": "d", "provenance": "p"}


def test_metric_to_json_and_back():
    metric = Metric(name="m", value=1, error=0.5, n_eff=3, note="n", **TEXT)
    assert Metric.from_dict(metric.as_dict()) == metric
    assert set(Metric(name="m", value=1.0, **TEXT).as_dict()) == {
        "name",
        "value",
        "error",
        "unit",
        "n_eff",
        "definition",
        "provenance",
    }


def test_metric_refuses_what_is_not_a_number():
    with pytest.raises(InputError, match="metric m: expected a finite error, got nan"):
        Metric(name="m", value=1.0, error=float("nan"), **TEXT)
    with pytest.raises(InputError, match="expected a note with a value of None, got none"):
        Metric(name="m", value=None, **TEXT)
    assert not_enough_data("m", "K", "d", "p", "too short").note == "too short"


def test_metrics_of_series():
    x = 5.0 + autoregressive(4000, 0.5, seed=7)[:, 0]
    metric = mean_metric("m", x, "K", "d", "p")
    assert metric.value == pytest.approx(x.mean())
    assert 600 < metric.n_eff < 1500  # exactly 1333; the larger one of two estimates of the error
    assert mean_metric("m", x[:1], "K", "d", "p").note == "one sample: no error"
    geometric = geometric_mean_metric("m", np.exp(x), "1", "d", "p")
    assert geometric.value == pytest.approx(np.exp(x.mean()))
    assert geometric.error == pytest.approx(geometric.value * metric.error)
    assert geometric_mean_metric("m", np.array([0.0, 1.0]), "1", "d", "p").value == 0.0


def test_resampled_sets_without_a_value_cost_the_error_only_where_they_are_many():
    rows = np.arange(1.0, 21.0)

    def mean_of_large(values):
        large = values[values > limit]
        return large.mean() if len(large) else np.nan

    limit = 1.0
    assert bootstrap_error(mean_of_large, rows) > 0.0
    limit = 19.0  # one in 20: 19 draws miss it in 38 % of all sets
    assert bootstrap_error(mean_of_large, rows) is None
