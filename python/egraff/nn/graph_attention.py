# SPDX-License-Identifier: GPL-2.0-or-later
"""Equivariant attention over an atom's neighbours, with scores from a perceptron or a dot product.

Y.-L. Liao, T. Smidt, ICLR 2023, arXiv:2206.11990, sections 3.2-3.4.
"""

from __future__ import annotations

import math

import torch
from e3nn import o3
from torch import Tensor, nn

from egraff.nn.edges import Edges, envelope_of, sum_at_centres
from egraff.nn.equivariant import (
    DepthwiseProduct,
    DistanceNetwork,
    EquivariantLinear,
    SmoothLeakyReLU,
    SwishGate,
    UnitVariance,
    sort_even_first,
)


def edge_softmax(scores: Tensor, envelope: Tensor, centre: Tensor, n_local: int) -> Tensor:
    """Softmax over the edges of each centre, with every edge weighted by its envelope u.

        a_ij = u_ij ( u_ij exp z_ij / sum_k u_ik exp z_ik )

    A plain softmax jumps when a neighbour crosses the cutoff. With the envelope inside, an edge
    leaves the sum smoothly; the one in front lets a lone neighbour leave too, for which the bracket
    is one at any distance. With u = 1 this is the plain softmax.

    Args:
        scores: ``[n_edges, n_heads]``, z.
        envelope: ``[n_edges]``, u.
        centre: ``[n_edges]``.
        n_local: number of centres.

    Returns:
        ``[n_edges, n_heads]``.
    """
    n_heads = scores.shape[1]
    largest = torch.zeros(n_local, n_heads, dtype=scores.dtype, device=scores.device)
    index = centre[:, None].expand(centre.shape[0], n_heads)
    largest = largest.scatter_reduce(0, index, scores.detach(), "amax", include_self=False)
    weights = torch.exp(scores - largest.index_select(0, centre)) * envelope[:, None]
    total = sum_at_centres(weights, centre, n_local)
    return envelope[:, None] * weights / (total.index_select(0, centre) + 1e-16)


class _Heads(nn.Module):
    """Irreps with ``n_heads`` times the channels of one head, as ``[n, n_heads, head.dim]``."""

    def __init__(self, irreps_head: o3.Irreps, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.dims: list[int] = [block.dim for block in irreps_head]
        self.irreps = o3.Irreps([(block.mul * n_heads, block.ir) for block in irreps_head])

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[n, irreps.dim]`` to ``[n, n_heads, head.dim]``."""
        parts: list[Tensor] = []
        start = 0
        for dim in self.dims:
            stop = start + dim * self.n_heads
            parts.append(x[:, start:stop].reshape(x.shape[0], self.n_heads, dim))
            start = stop
        return torch.cat(parts, dim=2)


class _Merge(nn.Module):
    """The inverse of :class:`_Heads`."""

    def __init__(self, irreps_head: o3.Irreps, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.dims: list[int] = [block.dim for block in irreps_head]

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[n, n_heads, head.dim]`` to ``[n, irreps.dim]``."""
        parts: list[Tensor] = []
        for part in x.split_with_sizes(self.dims, dim=2):
            parts.append(part.reshape(x.shape[0], self.n_heads * part.shape[2]))
        return torch.cat(parts, dim=1)


class MLPAttention(nn.Module):
    """Scores from a perceptron on the message's scalars, values from the same message.

    Args:
        irreps_message: irreps of the sum of the two atoms' features.
        irreps_sh: irreps of the harmonics.
        irreps_head: irreps of one head, even scalars first.
        n_heads: number of heads.
        radial_widths: basis functions and hidden widths of the radial network.
        nonlinear: pass values through a gate and a second product (section 3.2); otherwise scores
            and values are one linear map of the first product.
        dropout: share of attention weights dropped in training.
    """

    def __init__(
        self,
        irreps_message: o3.Irreps,
        irreps_sh: o3.Irreps,
        irreps_head: o3.Irreps,
        n_heads: int,
        radial_widths: list[int],
        *,
        nonlinear: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.n_scores: int = irreps_head.count("0e")
        self.nonlinear = nonlinear
        scores = o3.Irreps([(self.n_scores, "0e")])
        self.value_heads = _Heads(irreps_head, n_heads)
        irreps_value = self.value_heads.irreps
        if nonlinear:
            keep = irreps_message
            self.score_heads = _Heads(scores, n_heads)
        else:
            # scalars of scores and values share a block, and within it every head has its own
            self.score_heads = _Heads((scores + irreps_head).simplify(), n_heads)
            keep = self.score_heads.irreps
        self.product = DepthwiseProduct(irreps_message, irreps_sh, keep)
        self.radial = DistanceNetwork([*radial_widths, self.product.n_weights])
        self.score = EquivariantLinear(self.product.irreps_out, self.score_heads.irreps)
        self.value = None
        if nonlinear:
            self.value = _GatedValue(
                self.product.irreps_out, irreps_message, irreps_sh, irreps_value
            )
        self.act = UnitVariance(SmoothLeakyReLU())
        bound = math.sqrt(6.0 / (n_heads + self.n_scores))
        self.direction = nn.Parameter(torch.empty(n_heads, self.n_scores).uniform_(-bound, bound))
        self.dropout = nn.Dropout(dropout)
        self.merge = _Merge(irreps_head, n_heads)
        self.irreps_out = irreps_value

    def forward(self, message: Tensor, edges: Edges) -> Tensor:
        """Attend: map ``[n_edges, irreps_message.dim]`` to ``[n_local, irreps_out.dim]``."""
        sh, centre, n_local = edges.harmonics, edges.index[0], edges.n_local
        message = self.product(message, sh, self.radial(edges.radial))
        both = self.score_heads(self.score(message))
        if self.value is not None:
            value = self.value_heads(self.value(message, sh))
        else:
            value = both[:, :, self.n_scores :]
        scores = (self.act(both[:, :, : self.n_scores]) * self.direction).sum(dim=2)
        weights = self.dropout(edge_softmax(scores, envelope_of(edges), centre, n_local))
        return self.merge(sum_at_centres(value * weights[:, :, None], centre, n_local))


class _GatedValue(nn.Module):
    """Non-linear message: linear map, gate, a second product with its own weights, linear map."""

    def __init__(
        self,
        irreps_product: o3.Irreps,
        irreps_message: o3.Irreps,
        irreps_sh: o3.Irreps,
        irreps_value: o3.Irreps,
    ) -> None:
        super().__init__()
        self.gate = SwishGate(irreps_message)
        self.first = EquivariantLinear(irreps_product, self.gate.irreps_in)
        self.product = DepthwiseProduct(irreps_message, irreps_sh, irreps_value)
        self.weight = nn.Parameter(torch.randn(1, self.product.n_weights))
        self.second = EquivariantLinear(self.product.irreps_out, irreps_value)

    def forward(self, message: Tensor, sh: Tensor) -> Tensor:
        """Map ``[n_edges, irreps_product.dim]`` to ``[n_edges, irreps_value.dim]``."""
        return self.second(self.product(self.gate(self.first(message)), sh, self.weight))


class DotProductAttention(nn.Module):
    """Scores from the dot product of the centre's query with the message's key (appendix C.3).

    Args:
        irreps_query: irreps of the centre's features.
        irreps_message: irreps of the sum of the two atoms' features.
        irreps_sh: irreps of the harmonics.
        irreps_head: irreps of one head.
        n_heads: number of heads.
        radial_widths: basis functions and hidden widths of the radial network.
        dropout: share of attention weights dropped in training.
    """

    def __init__(
        self,
        irreps_query: o3.Irreps,
        irreps_message: o3.Irreps,
        irreps_sh: o3.Irreps,
        irreps_head: o3.Irreps,
        n_heads: int,
        radial_widths: list[int],
        *,
        dropout: float,
    ) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.query_heads = _Heads(irreps_head, n_heads)
        self.heads = _Heads(irreps_head, 2 * n_heads)
        self.query = EquivariantLinear(irreps_query, self.query_heads.irreps)
        self.product = DepthwiseProduct(irreps_message, irreps_sh, self.heads.irreps)
        self.radial = DistanceNetwork([*radial_widths, self.product.n_weights])
        self.key_value = EquivariantLinear(self.product.irreps_out, self.heads.irreps)
        # every irrep counts equally, whatever its dimension
        factors = [
            (irreps_head.num_irreps * block.ir.dim) ** -0.5
            for block in irreps_head
            for _ in range(block.dim)
        ]
        self.register_buffer("factor", torch.tensor(factors), False)
        self.dropout = nn.Dropout(dropout)
        self.merge = _Merge(irreps_head, n_heads)
        self.irreps_out = self.query_heads.irreps

    def forward(self, x: Tensor, message: Tensor, edges: Edges) -> Tensor:
        """Attend; as :class:`MLPAttention`, with x ``[n_local, irreps_query.dim]``."""
        query = self.query_heads(self.query(x)) * self.factor
        centre = edges.index[0]
        message = self.product(message, edges.harmonics, self.radial(edges.radial))
        both = self.heads(self.key_value(message))
        key, value = both[:, : self.n_heads], both[:, self.n_heads :]
        scores = (query.index_select(0, centre) * key).sum(dim=2)
        weights = self.dropout(edge_softmax(scores, envelope_of(edges), centre, edges.n_local))
        return self.merge(sum_at_centres(value * weights[:, :, None], centre, edges.n_local))


class GraphAttention(nn.Module):
    """Attention block on node features: merge both atoms of an edge, attend, project.

    Args:
        irreps: irreps of the node features, in and out.
        irreps_message: irreps of the messages.
        irreps_sh: irreps of the harmonics.
        irreps_head: irreps of one head; blocks are sorted here.
        n_heads: number of heads.
        radial_widths: basis functions and hidden widths of the radial networks.
        kind: ``mlp`` or ``dot_product``.
        nonlinear: see :class:`MLPAttention`.
        dropout: share of attention weights dropped in training.

    Attributes:
        exchange_width: columns that neighbours need of each atom.
    """

    def __init__(
        self,
        irreps: o3.Irreps,
        irreps_message: o3.Irreps,
        irreps_sh: o3.Irreps,
        irreps_head: o3.Irreps,
        n_heads: int,
        radial_widths: list[int],
        *,
        kind: str,
        nonlinear: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        irreps_head, _ = sort_even_first(irreps_head)
        self.exchange_width: int = irreps_message.dim
        self.merge_neighbour = EquivariantLinear(irreps, irreps_message)
        self.merge_centre = EquivariantLinear(irreps, irreps_message, bias=False)
        self.mlp = None
        self.dot_product = None
        if kind == "mlp":
            self.mlp = MLPAttention(
                irreps_message,
                irreps_sh,
                irreps_head,
                n_heads,
                radial_widths,
                nonlinear=nonlinear,
                dropout=dropout,
            )
            attended = self.mlp.irreps_out
        else:
            self.dot_product = DotProductAttention(
                irreps,
                irreps_message,
                irreps_sh,
                irreps_head,
                n_heads,
                radial_widths,
                dropout=dropout,
            )
            attended = self.dot_product.irreps_out
        self.projection = EquivariantLinear(attended, irreps)

    def forward(self, x: Tensor, edges: Edges, exchange: bool) -> Tensor:
        """Update ``[n_local, irreps.dim]``.

        Args:
            x: ``[n_local, irreps.dim]``.
            edges: those of the graph.
            exchange: whether to fetch the ghosts' rows.

        Returns:
            ``[n_local, irreps.dim]``.
        """
        sent = self.merge_neighbour(x)
        if exchange:
            sent = torch.ops.egraff.ghost_exchange(sent, edges.species.shape[0])
        message = sent.index_select(0, edges.index[1])
        message = message + self.merge_centre(x).index_select(0, edges.index[0])
        if self.mlp is not None:
            attended = self.mlp(message, edges)
        else:
            attended = self.dot_product(x, message, edges)
        return self.projection(attended)
