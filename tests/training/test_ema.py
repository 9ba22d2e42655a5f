# SPDX-License-Identifier: GPL-2.0-or-later
"""The running average of the weights against its definition in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from egraff.training.ema import ExponentialMovingAverage


def model() -> nn.Module:
    torch.manual_seed(0)
    made = nn.Linear(3, 2).double()
    made.frozen = nn.Parameter(torch.ones(2, dtype=torch.float64), requires_grad=False)
    return made


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.99])
def test_against_numpy(decay):
    layer = model()
    average = ExponentialMovingAverage(layer, decay=decay)
    expected = layer.weight.detach().numpy().copy()
    rng = np.random.default_rng(1)
    for n in range(30):
        with torch.no_grad():
            layer.weight += torch.from_numpy(rng.normal(size=(2, 3)))
        average.update(layer)
        d = min(decay, (1 + n) / (10 + n))
        expected = d * expected + (1 - d) * layer.weight.detach().numpy()
    np.testing.assert_allclose(average.average["weight"].numpy(), expected, rtol=1e-12)


def test_weights_come_back_after_use():
    layer = model()
    average = ExponentialMovingAverage(layer, decay=0.9)
    with torch.no_grad():
        layer.weight += 1.0
    raw = layer.weight.detach().clone()
    kept = average.average["weight"].clone()
    with average.averaged(layer):
        assert torch.equal(layer.weight, kept)
    assert torch.equal(layer.weight, raw)
    assert torch.equal(average.average["weight"], kept)


def test_fixed_parameters_are_not_averaged():
    assert set(ExponentialMovingAverage(model(), decay=0.9).average) == {"weight", "bias"}


def test_state():
    layer = model()
    first = ExponentialMovingAverage(layer, decay=0.9)
    with torch.no_grad():
        layer.weight += 1.0
    first.update(layer)
    second = ExponentialMovingAverage(model(), decay=0.9)
    second.load_state_dict(first.state_dict())
    for average in (first, second):
        average.update(layer)
    assert second.n_updates == 2
    assert torch.equal(first.average["weight"], second.average["weight"])
