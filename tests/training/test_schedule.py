# SPDX-License-Identifier: GPL-2.0-or-later
"""Learning rates against torch's plateau scheduler and the cosine's formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from egraff.training.config import check_config
from egraff.training.schedule import LearningRate


def rate(**settings) -> LearningRate:
    base = {"data": "x", "model": "nequip", "warmup_steps": 0, "lr": 0.01}
    return LearningRate(check_config({**base, **settings}), steps_per_epoch=10)


@pytest.mark.parametrize("patience", [0, 3])
def test_plateau_is_torchs(patience):
    ours = rate(plateau_patience=patience, plateau_factor=0.5, min_lr=1e-4)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.01)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=patience, min_lr=1e-4
    )
    losses = np.random.default_rng(2).lognormal(size=60) + np.linspace(3, 0, 60)
    for epoch, loss in enumerate(losses):
        ours.end_epoch(float(loss), step=10 * (epoch + 1))
        theirs.step(float(loss))
        assert ours.at(0) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
    assert ours.at(0) < 0.01


def test_epochs_of_the_warm_up_do_not_count():
    ours = rate(plateau_patience=0, warmup_steps=25)
    for step in (10, 20, 30):
        ours.end_epoch(1.0, step=step)
    assert ours.bad_epochs == 0
    assert ours.level == 0.005


def test_cosine():
    ours = rate(schedule="cosine", epochs=20, min_lr=0.002)
    assert ours.at(0) == 0.01
    assert ours.at(100) == pytest.approx(0.006)
    assert ours.at(50) == pytest.approx(0.002 + 0.008 * 0.5 * (1 + math.cos(math.pi / 4)))
    assert ours.at(200) == pytest.approx(0.002)
    assert ours.at(900) == pytest.approx(0.002)


def test_constant():
    ours = rate(schedule="constant", plateau_patience=0)
    for step in range(5):
        ours.end_epoch(1.0, step=step)
    assert ours.at(1000) == 0.01


def test_warm_up_is_linear():
    ours = rate(schedule="constant", warmup_steps=4)
    expected = [0.0025, 0.005, 0.0075, 0.01, 0.01]
    assert [ours.at(step) for step in range(5)] == pytest.approx(expected)


def test_state():
    first, second = rate(plateau_patience=1), rate(plateau_patience=1)
    for step in (1, 2):
        first.end_epoch(1.0, step=step)
    second.load_state_dict(first.state_dict())
    for average in (first, second):
        average.end_epoch(1.0, step=3)
    assert first.at(0) == second.at(0) == 0.005
