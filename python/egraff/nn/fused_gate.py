# SPDX-License-Identifier: GPL-2.0-or-later
"""Equiformer's gate through an operator that keeps nothing but its input for the derivative."""

from __future__ import annotations

import torch
from e3nn import o3
from torch import Tensor, nn

from egraff.nn.equivariant import SwishGate


class FusedSwishGate(nn.Module):
    """Stands where a gate stood, and is called as it was.

    Args:
        plain: the gate to replace.
    """

    def __init__(self, plain: SwishGate) -> None:
        super().__init__()
        gated = [block for block in plain.irreps_out if block.ir != o3.Irrep("0e")]
        self.n_scalars: int = plain.n_scalars
        self.channels: list[int] = [block.mul for block in gated]
        self.dims: list[int] = [block.ir.dim for block in gated]
        self.scale: float = plain.act.scale
        self.gate_scale: float = plain.gate_act.scale

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[n, irreps_in.dim]`` of the plain gate to ``[n, irreps_out.dim]``."""
        return torch.ops.egraff.swish_gate(
            x, self.n_scalars, self.channels, self.dims, self.scale, self.gate_scale
        )
