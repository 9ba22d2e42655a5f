# SPDX-License-Identifier: GPL-2.0-or-later
"""The nonlinearities that operators know, by the numbers that exported files hold."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

import torch
from torch import nn

from egraff.nn.activations import ShiftedSoftplus


class Activation(IntEnum):
    """The numbers, as in ``cpp/ops/simd/activations.h``."""

    SILU, TANH, MISH, GELU, SSP, SIGMOID = range(6)


_KNOWN: dict[Callable, Activation] = {
    nn.SiLU: Activation.SILU,
    nn.Tanh: Activation.TANH,
    nn.Mish: Activation.MISH,
    nn.GELU: Activation.GELU,
    ShiftedSoftplus: Activation.SSP,
    nn.Sigmoid: Activation.SIGMOID,
    # what e3nn's gates hold
    nn.functional.silu: Activation.SILU,
    torch.tanh: Activation.TANH,
}


def activation_of(act: nn.Module | Callable) -> Activation:
    """Return the number of a module or a function.

    Raises:
        ValueError: operators do not know it.
    """
    kind = type(act) if isinstance(act, nn.Module) else act
    if kind not in _KNOWN:
        names = ", ".join(known.name for known in Activation)
        raise ValueError(f"expected one of {names}, got {act}")
    return _KNOWN[kind]
