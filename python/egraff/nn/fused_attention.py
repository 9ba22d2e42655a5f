# SPDX-License-Identifier: GPL-2.0-or-later
"""The equivariant transformer's layers through operators that store nothing for an edge.

``egraff::scalar_vector_attention`` takes distance filters from a table, forms score and messages of
each edge in registers and adds them to the receiving atom. Also the atom's attention to itself is
one of its edges. ``egraff::gated_vector_update`` is what the atom then makes of the sums. Both have
first derivatives only.
"""

from __future__ import annotations

import torch
from e3nn import o3
from torch import Tensor, nn

from egraff.nn.activations import ActivationName
from egraff.nn.convolution import EdgeConvolution
from egraff.nn.fused import FusedEdgeConvolution
from egraff.nn.radial_table import GRID_START, VALUE, Grid, with_rises
from egraff.nn.scalar_vector import NeighbourEmbedding, ScalarVectorAttention, map_channels

# functions of the distance per channel: filters of keys, and of the three parts of the values
N_FILTERS = 4


class FusedScalarVectorAttention(nn.Module):
    """Stands where an attention layer stood, and is called as it was, but for ``edges``.

    Args:
        plain: the layer to replace.
        knots: ``[n_knots, 3, 4 width]`` float64, as in
            :class:`egraff.nn.radial_table.RadialTable`: what :func:`distance_filters` returns.
        own: ``[4 width]`` float64, the same functions for an atom and itself.
        grid: where the knots lie.
        pair_scale: ``[n_species, n_species]`` float64, 1 / cutoff in 1/Angstrom, row = centre.
        attention_act: activation of the scores.
        dtype: floating-point type of the model.
    """

    def __init__(
        self,
        plain: ScalarVectorAttention,
        knots: Tensor,
        own: Tensor,
        *,
        grid: Grid,
        pair_scale: Tensor,
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
        self.grid_stretch = grid.stretch
        self.norm = plain.norm
        self.query = plain.query
        self.output = plain.output
        self.vector = plain.vector
        # all that an edge reads of its neighbour's scalars, from one product of matrices
        order = parts_first(plain.n_heads, plain.head_width)
        self.source = nn.Linear(width, N_FILTERS * width, dtype=plain.key.weight.dtype)
        with torch.no_grad():
            for name in ("weight", "bias"):
                value = getattr(plain.value, name)[order]
                getattr(self.source, name).copy_(torch.cat([getattr(plain.key, name), value]))
        self.register_buffer("pair_scale", pair_scale.to(torch.float64))
        rows = nn.functional.pad(with_rises(knots), (0, 0, 0, 0, 0, 2))
        rows[-2, VALUE] = own
        self.register_buffer("table", _chunks(rows.to(dtype), plain.n_heads))

    def forward(
        self,
        x: Tensor,
        v: Tensor,
        x_nodes: Tensor,
        v_nodes: Tensor,
        edge_index: Tensor,
        edges: tuple[Tensor, Tensor, Tensor],
        own: tuple[Tensor, Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Return the changes of scalars and vectors of the local atoms.

        Args:
            x: ``[n_local, width]``, normalised (:attr:`norm`) scalars.
            v: ``[n_local, 3, width]`` vectors; not read when ``vectors_in`` is false.
            x_nodes: ``[n_nodes, width]``, ``x`` and the same of all others that edges reach.
            v_nodes: ``[n_nodes, 3, width]``, likewise.
            edge_index: ``[2, n_edges]``, row 0 the receiving centre, ascending.
            edges: edge vectors ``[n_edges, 3]`` in Angstrom, species ``[n_nodes]``, anything.
            own: not read; the table has what it would give.

        Returns:
            ``[n_local, width]`` and ``[n_local, 3, width]``.
        """
        edge_vec, species, _ = edges
        if not self.vectors_in:
            v_nodes = torch.zeros(x_nodes.shape[0], 0, self.width, dtype=x.dtype, device=x.device)
        scalar, dv = torch.ops.egraff.scalar_vector_attention(
            self.query(x),
            self.source(x_nodes),
            v_nodes,
            edge_vec,
            edge_index,
            species,
            self.table,
            self.pair_scale,
            self.n_heads,
            self.attention_act,
            self.grid_start,
            self.grid_stretch,
        )
        out = self.output(scalar)
        if self.vector is None:
            return out[:, 2 * self.width :], dv
        maps = map_channels(v, self.vector.weight)
        return torch.ops.egraff.gated_vector_update(out, maps, dv)


class FusedNeighbourEmbedding(nn.Module):
    """Stands where a neighbour embedding stood, and is called as it was, but for ``edges``.

    Args:
        plain: the embedding to replace.
        knots: ``[n_knots, 3, width]`` float64, the distance filter.
        grid: where the knots lie.
        pair_scale: ``[n_species, n_species]`` float64, 1 / cutoff in 1/Angstrom, row = centre.
        dtype: floating-point type of the model.
    """

    def __init__(
        self,
        plain: NeighbourEmbedding,
        knots: Tensor,
        *,
        grid: Grid,
        pair_scale: Tensor,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        self.embedding = plain.embedding
        self.combine = plain.combine
        scalars, one = o3.Irreps(f"{plain.width}x0e"), o3.Irreps("0e")
        self.convolution = FusedEdgeConvolution(
            EdgeConvolution(scalars, one, one),
            knots[None],
            pair_scale=pair_scale,
            pair_table=torch.zeros_like(pair_scale, dtype=torch.int64),
            dtype=dtype,
            grid_stretch=grid.stretch,
        )

    def forward(
        self, x: Tensor, species: Tensor, edge_index: Tensor, edges: tuple[Tensor, Tensor, Tensor]
    ) -> Tensor:
        """Add what the neighbours are to what the atom is; arguments as in the attention."""
        around = self.convolution(
            self.embedding(species), edges[0], species, edge_index, x.shape[0]
        )
        return self.combine(torch.cat([x, around], dim=1))


def distance_filters(plain: ScalarVectorAttention, radial: Tensor, envelope: Tensor) -> Tensor:
    """Return what a layer makes of distances.

    Args:
        plain: the layer.
        radial: ``[n, n_basis]``.
        envelope: ``[n]``.

    Returns:
        ``[n, 4 width]``: filters of the keys, then of the values' parts for scalars, for the
        neighbour's vector and for the direction, the envelope included wherever it acts.
    """
    n, width = radial.shape[0], plain.width
    ones = torch.ones(n, 3 * width, dtype=radial.dtype) + 0.0 * envelope[:, None]
    key = ones[:, :width]
    if plain.key_filter is not None:
        key = plain.act(plain.key_filter(radial))
    value = ones
    if plain.value_filter is not None:
        value = plain.act(plain.value_filter(radial))
    value = value[:, parts_first(plain.n_heads, plain.head_width)]
    # the envelope of a score is a factor of the scalar message, like that of a value
    acts_on = 3 * width if plain.vector_cutoff else width
    cut = value[:, :acts_on] * envelope[:, None]
    return torch.cat([key, cut, value[:, acts_on:]], dim=1)


def parts_first(n_heads: int, head_width: int) -> Tensor:
    """Return the order that turns values sorted by [head][part] into [part][head]."""
    order = torch.arange(3 * n_heads * head_width).view(n_heads, 3, head_width)
    return order.transpose(0, 1).flatten()


def _chunks(rows: Tensor, n_heads: int) -> Tensor:
    """Cut ``[n_rows, 4, 4 width]`` into cache lines: ``[n_chunks, n_rows, 4, 4, lanes]``.

    Heads are padded with zeros to a power of two, or to whole cache lines.
    """
    lanes = 64 // rows.element_size()
    rows = rows.unflatten(2, (N_FILTERS, n_heads, -1))
    width = rows.shape[4]
    padded = 1 << (width - 1).bit_length() if width <= lanes else width + -width % lanes
    rows = nn.functional.pad(rows, (0, padded - width)).flatten(3)
    rows = nn.functional.pad(rows, (0, -rows.shape[3] % lanes))
    return rows.unflatten(3, (-1, lanes)).permute(3, 0, 1, 2, 4).contiguous()
