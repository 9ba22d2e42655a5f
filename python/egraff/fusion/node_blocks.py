# SPDX-License-Identifier: GPL-2.0-or-later
"""Equiformer's feed-forward network and layer norm, through operators that keep only their input.

The plain forms keep, for the derivative, copies of blocks and a factor for every channel or even
component.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from egraff.fusion.gate import FusedGate
from egraff.fusion.layout import ChannelsLast
from egraff.fusion.linear import FusedEquivariantLinear
from egraff.fusion.registry import drop_in
from egraff.nn.equivariant import EquivariantLayerNorm, FeedForward


@drop_in(FeedForward)
class FusedFeedForward(nn.Module):
    """Drop-in replacement for `FeedForward`.

    Args:
        plain: the network to replace.
        dtype: floating-point type of the model.
    """

    def __init__(self, plain: FeedForward, dtype: torch.dtype) -> None:
        super().__init__()
        before, after = (
            ChannelsLast.of(irreps, lanes=1)
            for irreps in (plain.gate.irreps_in, plain.gate.irreps_out)
        )
        self.first = FusedEquivariantLinear(plain.first, dtype, layout_out=before)
        self.gate = FusedGate.of_equiformer(plain.gate)
        self.second = FusedEquivariantLinear(plain.second, dtype, layout_in=after)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[n, irreps_in.dim]`` to ``[n, irreps_out.dim]``."""
        return self.second(self.gate(self.first(x)))


@drop_in(EquivariantLayerNorm)
class FusedLayerNorm(nn.Module):
    """Drop-in replacement for `EquivariantLayerNorm`.

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
