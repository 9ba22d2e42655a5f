# SPDX-License-Identifier: GPL-2.0-or-later
"""Tensor features on edges, ``[n_edges, channels, irreps.dim]``, as Allegro has them.

All irreps have the same number of channels, which stay apart in products (Musaelian et al.,
arXiv:2204.05249, eq. 3-9).
"""

from __future__ import annotations

import math

import torch
from e3nn import o3
from torch import Tensor, nn


class WeightedHarmonics(nn.Module):
    """Spherical harmonics of an edge times a weight for each channel, and for each l.

    Args:
        irreps_sh: irreps of the harmonics, multiplicity one each.
        n_channels: channels.
        individual: one weight for each l; otherwise one for all.
    """

    def __init__(self, irreps_sh: o3.Irreps, n_channels: int, *, individual: bool = True) -> None:
        super().__init__()
        self.n_channels = n_channels
        self.n_groups: int = len(irreps_sh) if individual else 1
        self.dim: int = irreps_sh.dim
        self.n_weights = n_channels * self.n_groups
        # [n_groups, dim]: which components a weight is for; a matrix, because picking single
        # columns is slow, its derivative even more so
        groups = torch.ones(1, irreps_sh.dim)
        if individual:
            groups = torch.block_diag(*[torch.ones(1, ir.dim) for _, ir in irreps_sh])
        self.register_buffer("groups", groups, False)

    def forward(self, harmonics: Tensor, weights: Tensor) -> Tensor:
        """Map ``[n_edges, dim]`` and ``[n_edges, n_weights]`` to ``[n_edges, n_channels, dim]``."""
        weights = torch.mm(weights.reshape(-1, self.n_groups), self.groups)
        return harmonics[:, None, :] * weights.view(-1, self.n_channels, self.dim)


class ChannelProduct(nn.Module):
    """Clebsch-Gordan product channel by channel: out_u = sum over paths p of w_up (a_u (x)_p b_u).

    Args:
        irreps_a: irreps of the first factor, multiplicity one each.
        irreps_b: irreps of the second factor.
        irreps_out: irreps of the product.
        n_channels: channels.
        coupled: weights depend on path and channel; otherwise on the path alone.

    Attributes:
        n_paths: paths in the order (output, first, second irrep).
    """

    def __init__(
        self,
        irreps_a: o3.Irreps,
        irreps_b: o3.Irreps,
        irreps_out: o3.Irreps,
        n_channels: int,
        *,
        coupled: bool,
    ) -> None:
        super().__init__()
        paths = []
        for (_, ir_out), to in zip(irreps_out, irreps_out.slices(), strict=True):
            for (_, ir_a), of_a in zip(irreps_a, irreps_a.slices(), strict=True):
                for (_, ir_b), of_b in zip(irreps_b, irreps_b.slices(), strict=True):
                    if ir_out in ir_a * ir_b:
                        path = torch.zeros(irreps_a.dim, irreps_b.dim, irreps_out.dim)
                        # unit-variance components in give unit-variance components out
                        path[of_a, of_b, to] = o3.wigner_3j(ir_a.l, ir_b.l, ir_out.l) * math.sqrt(
                            ir_out.dim
                        )
                        paths.append(path)
        coupling = torch.stack(paths)
        # only pairs of components that some path needs are ever multiplied; for a product into
        # scalars that is the diagonal
        pair_a, pair_b = (coupling != 0).any(3).any(0).nonzero(as_tuple=True)
        self.n_paths: int = len(paths)
        self.n_channels = n_channels
        self.dim_a: int = irreps_a.dim
        self.dim_b: int = irreps_b.dim
        self.n_pairs: int = pair_a.shape[0]
        self.dim_out: int = irreps_out.dim
        self.coupled = coupled
        self.register_buffer("coupling", coupling[:, pair_a, pair_b].flatten(1), False)
        self.register_buffer("pair_a", pair_a, False)
        self.register_buffer("pair_b", pair_b, False)
        weight = torch.empty(n_channels if coupled else 1, self.n_paths)
        nn.init.uniform_(weight, -math.sqrt(3.0), math.sqrt(3.0))
        self.weight = nn.Parameter(weight)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Multiply ``[n, n_channels, irreps_a.dim]`` by ``[n, n_channels, irreps_b.dim]``."""
        n = a.shape[0]
        pairs = a.index_select(2, self.pair_a) * b.index_select(2, self.pair_b)
        matrix = torch.mm(self.weight, self.coupling)
        if self.coupled:
            matrix = matrix.view(self.n_channels, self.n_pairs, self.dim_out)
            return torch.bmm(pairs.transpose(0, 1), matrix).transpose(0, 1)
        matrix = matrix.view(self.n_pairs, self.dim_out)
        product = torch.mm(pairs.reshape(n * self.n_channels, self.n_pairs), matrix)
        return product.view(n, self.n_channels, self.dim_out)
