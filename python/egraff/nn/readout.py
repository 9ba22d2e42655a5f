# SPDX-License-Identifier: GPL-2.0-or-later
"""From scalar features to energies: MACE's readouts, with one set of weights for each head."""

from __future__ import annotations

import math

import torch
from e3nn import o3
from e3nn.nn import Activation
from torch import Tensor, nn

GATES = {"silu": nn.functional.silu, "tanh": torch.tanh, "abs": torch.abs}


class LinearReadout(nn.Module):
    """Energy as a linear function of the even scalars.

    Args:
        irreps_in: irreps of the features, the even scalars first.
        n_heads: sets of weights.
        head: the one that is used.
    """

    def __init__(self, irreps_in: o3.Irreps, n_heads: int, head: int) -> None:
        super().__init__()
        self.head = head
        self.n_in: int = irreps_in[0].mul
        self.weight = nn.Parameter(torch.randn(self.n_in, n_heads))
        self.scale = 1.0 / math.sqrt(self.n_in)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[n, irreps_in.dim]`` to ``[n]``."""
        return torch.mv(x[:, : self.n_in], self.weight[:, self.head] * self.scale)


class NonLinearReadout(nn.Module):
    """Energy as a perceptron of the even scalars, one hidden layer, no biases.

    Args:
        irreps_in: irreps of the features, the even scalars first.
        width: width of the hidden layer of each head.
        gate: name of the activation, or ``none``.
        n_heads: sets of weights.
        head: the one that is used.
    """

    def __init__(
        self, irreps_in: o3.Irreps, width: int, gate: str, n_heads: int, head: int
    ) -> None:
        super().__init__()
        self.head, self.width = head, width
        self.n_in: int = irreps_in[0].mul
        self.weight_1 = nn.Parameter(torch.randn(self.n_in, n_heads * width))
        self.weight_2 = nn.Parameter(torch.randn(n_heads * width, n_heads))
        self.scale_1 = 1.0 / math.sqrt(self.n_in)
        # over all heads' hidden units, as in mace-torch
        self.scale_2 = 1.0 / math.sqrt(n_heads * width)
        # the activation is scaled to unit second moment of a normal variable
        self.activation = Activation(f"{width}x0e", [GATES.get(gate)])

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[n, irreps_in.dim]`` to ``[n]``."""
        first, last = self.head * self.width, (self.head + 1) * self.width
        hidden = torch.mm(x[:, : self.n_in], self.weight_1[:, first:last] * self.scale_1)
        hidden = self.activation(hidden)
        return torch.mv(hidden, self.weight_2[first:last, self.head] * self.scale_2)
