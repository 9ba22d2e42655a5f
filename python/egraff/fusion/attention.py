# SPDX-License-Identifier: GPL-2.0-or-later
"""Fused layers of the equivariant transformer: operators that store nothing per edge.

``egraff::attention_source`` computes everything that edges read from an atom, in the order in which
they read it. ``egraff::scalar_vector_attention`` takes distance filters from a table, forms score
and messages of each edge in registers and adds them to the receiving atom. An atom's
attention to itself is one more edge. ``egraff::gated_vector_update`` updates the atom
with the sums. All have first derivatives only.
"""

from __future__ import annotations

import torch
from e3nn import o3
from torch import Tensor, nn

from egraff.fusion.convolution import FusedEdgeConvolution
from egraff.fusion.distance_tables import PairTables
from egraff.fusion.layout import in_lines, lanes_of, pad, padded
from egraff.fusion.radial_grid import GRID_START
from egraff.fusion.radial_table import VALUE
from egraff.nn.activations import ActivationName
from egraff.nn.convolution import EdgeConvolution
from egraff.nn.edges import Edges
from egraff.nn.scalar_vector import NeighbourEmbedding, ScalarVectorAttention

# functions of the distance per channel: filters of keys, and of the three parts of the values
N_FILTERS = 4


class FusedScalarVectorAttention(nn.Module):
    """Drop-in replacement for `ScalarVectorAttention`.

    Args:
        plain: the layer to replace.
        tables: one, of the layer's ``filters``, ``4 width`` functions.
        own: ``[4 width]`` float64, the same functions for an atom and itself.
        attention_act: activation of the scores.
        dtype: floating-point type of the model.

    Attributes:
        exchange_width: columns that neighbours need of each atom.
    """

    def __init__(
        self,
        plain: ScalarVectorAttention,
        tables: PairTables,
        own: Tensor,
        *,
        attention_act: ActivationName,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        width = plain.width
        self.width = width
        self.n_heads = plain.n_heads
        self.vectors_in = plain.vectors_in
        self.attention_act: str = attention_act
        self.grid_start = GRID_START
        self.grid_stretch = tables.grid.stretch
        self.norm = plain.norm
        self.query = plain.query
        self.output = plain.output
        self.vector = plain.vector
        lanes = lanes_of(dtype)
        weight, bias = source_map(plain, lanes)
        row = weight.shape[0] // (4 if plain.vectors_in else 3)
        self.exchange_width: int = (6 if plain.vectors_in else 3) * row
        self.register_buffer("source_weight", weight.to(dtype))
        self.register_buffer("source_bias", bias.to(dtype))
        self.register_buffer("pair_scale", tables.pair_scale)
        (rows,) = tables.in_type(dtype)
        rows = nn.functional.pad(rows, (0, 0, 0, 0, 0, 2))
        rows[-2, VALUE] = own
        self.register_buffer("table", _chunks(rows, plain.n_heads))

    def source(self, normed: Tensor, v: Tensor) -> Tensor:
        """Return everything that an edge reads from its neighbour, ``[n, exchange_width]``.

        Args:
            normed: ``[n, width]``, normalised (:attr:`norm`) scalars.
            v: ``[n, 3, width]`` vectors; not read when ``vectors_in`` is false.
        """
        if not self.vectors_in:
            v = normed.new_zeros(normed.shape[0], 0, self.width)
        return torch.ops.egraff.attention_source(
            normed, v, self.source_weight, self.source_bias, self.n_heads
        )

    def forward(
        self,
        x: Tensor,
        v: Tensor,
        normed: Tensor,
        source: Tensor,
        edges: Edges,
        own: tuple[Tensor, Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Return scalars and vectors of the local atoms after this layer.

        Arguments and results are those of the plain layer, but for one:

        Args:
            x: ``[n_local, width]``.
            v: ``[n_local, 3, width]``.
            normed: ``[n_local, width]``.
            source: ``[n_nodes, exchange_width]``.
            edges: those of the graph.
            own: not read; the table includes it.
        """
        scalar, dv = torch.ops.egraff.scalar_vector_attention(
            self.query(normed),
            source,
            edges.vector,
            edges.index,
            edges.species,
            self.table,
            self.pair_scale,
            self.n_heads,
            self.attention_act,
            self.grid_start,
            self.grid_stretch,
        )
        weight, bias = self.output.weight, self.output.bias
        if self.vector is None:  # of three parts only the last concerns scalars
            first = 2 * self.width
            return x + nn.functional.linear(scalar, weight[first:], bias[first:]), dv
        return torch.ops.egraff.gated_vector_update(
            x, v, scalar, dv, weight, bias, self.vector.weight
        )


class FusedNeighbourEmbedding(nn.Module):
    """Drop-in replacement for `NeighbourEmbedding`.

    Args:
        plain: the embedding to replace.
        tables: of the distance filter, ``width`` functions.
        dtype: floating-point type of the model.
    """

    def __init__(
        self,
        plain: NeighbourEmbedding,
        tables: PairTables,
        *,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        self.embedding = plain.embedding
        self.combine = plain.combine
        scalars, one = o3.Irreps(f"{plain.width}x0e"), o3.Irreps("0e")
        self.convolution = FusedEdgeConvolution(
            EdgeConvolution(scalars, one, one), tables, dtype=dtype
        )

    def forward(self, x: Tensor, edges: Edges) -> Tensor:
        """Mix the elements of the neighbours into the features, ``[n_local, width]``."""
        around = self.convolution(self.embedding(edges.species), edges, edges.radial)
        return self.combine(torch.cat([x, around], dim=1))


def source_map(plain: ScalarVectorAttention, lanes: int) -> tuple[Tensor, Tensor]:
    """Return the linear map from an atom's scalars to what edges read from it.

    Args:
        plain: the layer.
        lanes: numbers in a cache line.

    Returns:
        ``[n_maps * row, width]`` and ``[n_maps * row]``: keys, values for scalars, for the
        direction and, if there are vectors, for these, each padded as :func:`pad_heads` does.
    """
    order = torch.arange(3 * plain.width).view(plain.n_heads, 3, plain.head_width)
    scalar, vector, direction = order.transpose(0, 1).flatten(1)
    maps = []
    for name in ("weight", "bias"):
        key, value = getattr(plain.key, name).detach(), getattr(plain.value, name).detach()
        rows = [key, value[scalar], value[direction]]
        if plain.vectors_in:
            rows.append(value[vector])
        maps.append(torch.cat([pad_heads(row.t(), plain.n_heads, lanes).t() for row in rows]))
    return maps[0].contiguous(), maps[1].contiguous()


def pad_heads(x: Tensor, n_heads: int, lanes: int) -> Tensor:
    """Pad the channels of each head, the last dimension, with zeros as the operators expect.

    Heads are padded to a power of two or to whole cache lines, and all together to whole lines.
    """
    x = x.unflatten(-1, (n_heads, -1))
    width = x.shape[-1]
    wide = 1 << (width - 1).bit_length() if width <= lanes else padded(width, lanes)
    return pad(nn.functional.pad(x, (0, wide - width)).flatten(-2), lanes)


def _chunks(rows: Tensor, n_heads: int) -> Tensor:
    """Cut ``[n_rows, 4, 4 width]`` into cache lines: ``[n_chunks, n_rows, 4, 4, lanes]``."""
    lanes = lanes_of(rows.dtype)
    rows = pad_heads(rows.unflatten(2, (N_FILTERS, -1)), n_heads, lanes)
    return in_lines(rows, lanes).permute(3, 0, 1, 2, 4).contiguous()
