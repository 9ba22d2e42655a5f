# SPDX-License-Identifier: GPL-2.0-or-later
"""Activation functions by the names that configuration files use."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor, nn

ActivationName = Literal["silu", "swish", "ssp", "tanh", "sigmoid", "mish", "gelu"]


class ShiftedSoftplus(nn.Module):
    """ln(1 + exp(x)) - ln 2, zero at zero (Schütt et al., J. Chem. Phys. 148, 241722 (2018))."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply to every element."""
        return nn.functional.softplus(x) - math.log(2.0)


def activation(name: ActivationName) -> nn.Module:
    """Return a new module of this name; ``swish`` is the older name of ``silu``."""
    classes: dict[str, type[nn.Module]] = {
        "silu": nn.SiLU,
        "swish": nn.SiLU,
        "ssp": ShiftedSoftplus,
        "tanh": nn.Tanh,
        "sigmoid": nn.Sigmoid,
        "mish": nn.Mish,
        "gelu": nn.GELU,
    }
    return classes[name]()
