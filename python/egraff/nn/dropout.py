# SPDX-License-Identifier: GPL-2.0-or-later
"""Dropout that leaves equivariance intact; inactive in evaluation.

N. Srivastava et al., J. Mach. Learn. Res. 15, 1929 (2014); G. Huang et al., ECCV 2016,
arXiv:1603.09382 (stochastic depth). What is kept is divided by the share that is kept, so that
means do not change.
"""

from __future__ import annotations

import torch
from e3nn import o3
from torch import Tensor, nn


class ChannelDropout(nn.Module):
    """Drop whole channels of features, all components of a channel together, atom by atom.

    Args:
        irreps: irreps of the features.
        rate: share of the channels that is dropped, below 1.
    """

    def __init__(self, irreps: o3.Irreps, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.n_channels: int = irreps.num_irreps
        dims = torch.tensor([block.ir.dim for block in irreps for _ in range(block.mul)])
        channel = torch.repeat_interleave(torch.arange(self.n_channels), dims)
        self.register_buffer("component_channel", channel, False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[n, irreps.dim]`` to the same shape."""
        if not self.training or self.rate == 0.0:
            return x
        kept = torch.ones(x.shape[0], self.n_channels, dtype=x.dtype, device=x.device)
        kept = nn.functional.dropout(kept, self.rate)
        return x * kept.index_select(1, self.component_channel)


class BranchDropout(nn.Module):
    """Drop a residual branch, for all atoms of a batch together (stochastic depth).

    Args:
        rate: share of the steps in which it is dropped, below 1.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[n, width]`` to the same shape."""
        if not self.training or self.rate == 0.0:
            return x
        return x * nn.functional.dropout(torch.ones(1, dtype=x.dtype, device=x.device), self.rate)
