# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers that stand in Python and in the operators are the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from torch import nn

from egraff.fusion.activations import Activation, activation_of
from egraff.fusion.convolution import MAX_L

OPS = Path(__file__).parents[2] / "cpp" / "ops"


def stated(header: str, pattern: str) -> str:
    """Return what a header says."""
    return re.search(pattern, (OPS / header).read_text(encoding="utf-8"))[1]


def test_numbers_of_nonlinearities():
    names = stated("simd/activations.h", r"enum class Activation \{(.*?)\}")
    assert [name.strip() for name in names.split(",")] == [known.name for known in Activation]


def test_other_nonlinearities_are_refused():
    with pytest.raises(ValueError, match=r"expected one of SILU, .*SIGMOID, got ReLU\(\)"):
        activation_of(nn.ReLU())


def test_highest_order():
    assert int(stated("edges/orders.h", r"constexpr int MAX_L = (\d+);")) == MAX_L
