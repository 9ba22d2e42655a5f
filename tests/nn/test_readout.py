# SPDX-License-Identifier: GPL-2.0-or-later
"""Readouts against e3nn's linear maps and activation, and their heads."""

from __future__ import annotations

import pytest
import torch
from e3nn import o3
from e3nn.nn import Activation

from egraff.nn.readout import GATES, LinearReadout, NonLinearReadout

IRREPS = o3.Irreps("5x0e + 2x1o")


def test_linear_is_e3nns():
    torch.manual_seed(0)
    readout = LinearReadout(IRREPS, n_heads=3, head=1)
    reference = o3.Linear(IRREPS, "3x0e")
    with torch.no_grad():
        readout.weight.copy_(reference.weight.view(5, 3))
    x = IRREPS.randn(4, -1)
    torch.testing.assert_close(readout(x), reference(x)[:, 1])


@pytest.mark.parametrize("gate", [*GATES, "none"])
def test_perceptron_is_e3nns(gate):
    torch.manual_seed(0)
    readout = NonLinearReadout(IRREPS, 4, gate, n_heads=1, head=0)
    first, last = o3.Linear(IRREPS, "4x0e"), o3.Linear("4x0e", "0e")
    with torch.no_grad():
        readout.weight_1.copy_(first.weight.view(5, 4))
        readout.weight_2.copy_(last.weight.view(4, 1))
    x = IRREPS.randn(6, -1)
    hidden = Activation("4x0e", [GATES.get(gate)])(first(x))
    torch.testing.assert_close(readout(x), last(hidden)[:, 0])


def test_a_head_does_not_depend_on_the_others():
    torch.manual_seed(0)
    readout = NonLinearReadout(IRREPS, 4, "silu", n_heads=2, head=1)
    x = IRREPS.randn(3, -1)
    before = readout(x)
    with torch.no_grad():
        readout.weight_1[:, :4] += 1.0
        readout.weight_2[:, 0] += 1.0
        readout.weight_2[:4] += 1.0
    assert torch.equal(readout(x), before)
