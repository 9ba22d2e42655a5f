# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions of the distance made of smooth bumps, learnt separately for every pair of elements."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class PairSpline(nn.Module):
    """f_c(x) = sum_k w_c,k B_k(x), B_k(x) = (1 - cos(2 pi t))^2 / 4 on the support of bump k.

    t runs from 0 to 1 over the support, which is span + 1 grid spacings wide; the last bump ends at
    x = 1, where it vanishes with three derivatives. As in nequip-allegro 0.8
    (``TwoBodySplineScalarEmbed``).

    Args:
        n_classes: number of pairs of elements.
        n_channels: functions per pair.
        n_splines: bumps.
        span: bumps that overlap at a grid point, at most ``n_splines``.
    """

    def __init__(self, n_classes: int, n_channels: int, n_splines: int, span: int) -> None:
        super().__init__()
        self.n_channels = n_channels
        self.n_splines = n_splines
        width = (span + 1) / n_splines
        self.frequency = 2.0 * math.pi / width
        dtype = torch.get_default_dtype()
        lower = torch.arange(-span, n_splines - span, dtype=dtype) / n_splines
        self.width = width
        self.register_buffer("lower", lower, False)
        bound = math.sqrt(3.0 / max(span, 1))
        weight = torch.empty(n_classes, n_channels, n_splines).uniform_(-bound, bound)
        self.weight = nn.Parameter(weight)

    def forward(self, x: Tensor, classes: Tensor) -> Tensor:
        """Map scaled distances ``[n]`` and classes ``[n]`` to ``[n, n_channels]``."""
        inside = torch.clamp(x[:, None] - self.lower, 0.0, self.width)
        bumps = 0.25 * (1.0 - torch.cos(self.frequency * inside)).square()
        weights = self.weight.index_select(0, classes)
        return torch.bmm(weights, bumps.to(weights.dtype)[:, :, None])[:, :, 0]
