# SPDX-License-Identifier: GPL-2.0-or-later
"""Equiformer's gate and layer norm through operators that keep only their input.

The plain forms keep, for the derivative, copies of blocks and a factor for every channel or even
component.
"""

from __future__ import annotations

import torch
from e3nn import o3
from torch import Tensor, nn

from egraff.nn.equivariant import EquivariantLayerNorm, SwishGate


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


class FusedLayerNorm(nn.Module):
    """Stands where a layer norm stood, and is called as it was.

    Args:
        plain: the norm to replace; even scalars, if there are any, are its first block.
        dtype: floating-point type of the model.
    """

    def __init__(self, plain: EquivariantLayerNorm, dtype: torch.dtype) -> None:
        super().__init__()
        self.eps: float = plain.eps
        self.sizes: list[int] = [mul * dim for _, mul, dim, _ in plain.blocks]
        # of each component that of its channel
        dims = torch.tensor([dim for _, mul, dim, _ in plain.blocks for _ in range(mul)])
        weight = plain.weight.detach().repeat_interleave(dims)
        self.register_buffer("weight", weight.to(dtype))
        self.register_buffer("bias", plain.bias.detach().to(dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[n, irreps.dim]`` to the same shape."""
        return torch.ops.egraff.block_norm(x, self.weight, self.bias, self.sizes, self.eps)
