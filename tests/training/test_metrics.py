# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors against numbers worked out by hand, and intervals against theory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from egraff.errors import EgraffError
from egraff.training.metrics import (
    FrameErrors,
    block_length,
    bootstrap,
    concatenate,
    energy_correlation,
    error_metrics,
    frame_errors,
    ratios,
    trivial_errors,
)
from tests.analysis.systems import autoregressive
from tests.training.batches import batch, prediction


def errors_of(graph, made) -> FrameErrors:
    return frame_errors(graph, energy=made.energy, forces=made.forces, stress=made.stress)


def test_known_values():
    graph = batch()
    metrics = error_metrics(errors_of(graph, prediction(graph)))
    # energies off by 0.2 eV (2 atoms) and -0.1 eV (1 atom); forces by 0.3 eV/A in one of nine
    # components; stress by 0.3 eV/A^3 in one of nine elements of the only frame that has one
    assert metrics == pytest.approx(
        {
            "energy_mae_ev_per_atom": 0.1,
            "energy_rmse_ev_per_atom": 0.1,
            "energy_bias_ev_per_atom": 0.0,
            "energy_spread_ev_per_atom": 0.1,
            "energy_mae_ev": 0.15,
            "energy_rmse_ev": np.sqrt(0.025),
            "force_mae_ev_per_ang": 0.3 / 9,
            "force_rmse_ev_per_ang": 0.1,
            "stress_mae_ev_per_ang3": 0.3 / 9,
            "stress_rmse_ev_per_ang3": 0.1,
        }
    )


def test_trivial_predictor():
    graph = batch()
    metrics = error_metrics(trivial_errors(graph, [-2.5]))
    assert metrics["energy_mae_ev"] == pytest.approx((1.0 + 0.5) / 2)
    assert metrics["force_mae_ev_per_ang"] == pytest.approx(2 / 9)
    assert metrics["stress_rmse_ev_per_ang3"] == pytest.approx(0.1)


def test_unlabelled_quantities_are_left_out():
    graph = batch()
    graph.energy[:] = torch.nan
    graph.forces[:2] = torch.nan
    metrics = error_metrics(errors_of(graph, prediction(batch())))
    assert not any(name.startswith("energy") for name in metrics)
    assert metrics["force_mae_ev_per_ang"] == 0.0


def test_a_prediction_that_is_not_a_number_is_an_infinite_error():
    graph = batch()
    made = prediction(graph)
    made.energy[0] = torch.nan
    assert error_metrics(errors_of(graph, made))["energy_mae_ev"] == np.inf


def test_shapes_are_checked():
    graph = batch()
    made = prediction(graph)
    with pytest.raises(EgraffError, match=r"energy: expected labels of shape \[2, 1\]"):
        frame_errors(graph, energy=made.energy[:, None], forces=made.forces, stress=made.stress)


def test_batches_make_no_difference():
    graph = batch()
    one = errors_of(graph, prediction(graph))
    two = concatenate([one, one])
    assert len(two) == 4
    assert error_metrics(two) == pytest.approx(error_metrics(one))


def normal_errors(n_frames: int, seed: int = 0) -> FrameErrors:
    rng = np.random.default_rng(seed)
    none = np.full(n_frames, np.nan)
    force = rng.normal(size=n_frames)
    return FrameErrors(
        n_atoms=np.ones(n_frames, dtype=np.int64),
        energy=rng.normal(size=n_frames),
        label=np.zeros(n_frames),
        force_abs=np.abs(force),
        force_square=force**2,
        stress_abs=none,
        stress_square=none,
    )


def test_bootstrap_width():
    """The mean of |x| over n normal numbers has standard error sqrt((1 - 2/pi)/n)."""
    n_frames = 400
    low, high = bootstrap(normal_errors(n_frames), n_samples=4000)["energy_mae_ev"]
    expected = 2 * 1.96 * np.sqrt((1 - 2 / np.pi) / n_frames)
    assert high - low == pytest.approx(expected, rel=0.1)
    assert low < np.sqrt(2 / np.pi) < high


def test_bootstrap_covers_the_truth():
    truth = np.sqrt(2 / np.pi)
    hits = 0
    for seed in range(300):
        low, high = bootstrap(normal_errors(100, 1000 + seed), n_samples=300)["energy_mae_ev"]
        hits += low <= truth <= high
    # 95 % of 300, give or take three standard deviations
    assert 274 <= hits <= 296


def test_bootstrap_in_portions_and_repeatable():
    errors = normal_errors(50)
    assert bootstrap(errors) == bootstrap(errors)
    assert "stress_mae_ev_per_ang3" not in bootstrap(errors)
    assert bootstrap(normal_errors(1)) == {}


def test_ratios():
    assert ratios({"a": 2.0, "b": 0.0}, {"a": 6.0, "b": 1.0}) == {"a": 3.0}


def correlated_errors(n_frames: int, phi: float, seed: int) -> FrameErrors:
    """Errors along a trajectory: those of the energy are an autoregressive process about 3."""
    errors = normal_errors(n_frames, seed)
    energy = 3.0 + autoregressive(n_frames, phi, seed)[:, 0] * np.sqrt(1 - phi**2)
    return replace(errors, energy=energy)


def test_errors_along_a_trajectory_are_resampled_in_blocks():
    """Twenty trajectories of 600 frames: the scatter of their means is what an interval says."""
    phi, n_frames = 0.9, 600
    exact = np.sqrt((1 + phi) / (1 - phi) / n_frames)
    widths, means = [], []
    for seed in range(20):
        errors = correlated_errors(n_frames, phi, seed)
        assert block_length(errors) > 10
        low, high = bootstrap(errors, n_samples=300)["energy_bias_ev_per_atom"]
        widths.append((high - low) / (2 * 1.96))
        means.append(float(np.mean(errors.energy)))
    assert np.mean(widths) == pytest.approx(exact, rel=0.25)
    assert np.std(means) == pytest.approx(exact, rel=0.5)
    assert block_length(correlated_errors(n_frames, 0.0, 1)) == 1
    # so few that correlations cannot be told
    assert block_length(correlated_errors(20, 0.9, 1)) == 1


def test_an_offset_is_a_bias_and_no_spread():
    errors = normal_errors(200)
    label = np.random.default_rng(4).normal(size=200)
    shifted = replace(errors, energy=np.full(200, 0.8), label=label)
    metrics = error_metrics(shifted)
    assert metrics["energy_mae_ev_per_atom"] == pytest.approx(0.8)
    assert metrics["energy_bias_ev_per_atom"] == pytest.approx(0.8)
    assert metrics["energy_spread_ev_per_atom"] == pytest.approx(0.0, abs=1e-7)
    assert energy_correlation(shifted) == pytest.approx(1.0)
    # predictions of half the variation, with noise of the same size: 0.5 / sqrt(0.5)
    noise = np.random.default_rng(5).normal(size=200)
    noise -= noise.mean() + label * (noise @ label) / (label @ label)
    noise *= np.std(label) / np.std(noise) * 0.5
    halved = replace(errors, energy=-0.5 * label + noise, label=label)
    assert energy_correlation(halved) == pytest.approx(np.sqrt(0.5), abs=0.01)
    assert energy_correlation(replace(errors, label=np.ones(200), energy=np.zeros(200))) is None
