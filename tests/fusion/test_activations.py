# SPDX-License-Identifier: GPL-2.0-or-later
"""Nonlinearities have the numbers that the operators give them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from torch import nn

from egraff.fusion.activations import Activation, activation_of

HEADER = Path(__file__).parents[2] / "cpp" / "ops" / "simd" / "activations.h"


def test_numbers_are_those_of_the_operators():
    names = re.search(r"enum class Activation \{(.*?)\}", HEADER.read_text(encoding="utf-8"))[1]
    assert [name.strip() for name in names.split(",")] == [known.name for known in Activation]


def test_others_are_refused():
    with pytest.raises(ValueError, match=r"expected one of SILU, .*SIGMOID, got ReLU\(\)"):
        activation_of(nn.ReLU())
