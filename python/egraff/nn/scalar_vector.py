# SPDX-License-Identifier: GPL-2.0-or-later
"""Blocks on scalar features x ``[n, width]`` and vector features v ``[n, 3, width]``.

Vectors rotate with the structure; linear maps act on their channels only, so that every block is
equivariant without Clebsch-Gordan products. The attention is that of the equivariant transformer
(Thoelke & De Fabritiis, arXiv:2202.02541, section 3), the gated block that of PaiNN (Schütt,
Unke & Gastegger, arXiv:2102.03150).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from egraff.nn.activations import ActivationName, activation
from egraff.nn.edges import Edges, envelope_of, sum_at_centres


def linear(n_in: int, n_out: int, *, bias: bool = True) -> nn.Linear:
    """Return a linear map with Glorot-uniform weights and zero bias."""
    layer = nn.Linear(n_in, n_out, bias=bias)
    nn.init.xavier_uniform_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def vector_length(v: Tensor) -> Tensor:
    """Length over dimension 1, with derivative zero (to any order) where the vector is zero.

    Atoms without neighbours, and atoms on symmetric sites, have vectors that are exactly zero;
    the plain square root would make their forces, or the gradient of a force loss, NaN. So would
    vectors below 1e-12, which count as zero: the second derivative of the root exceeds float32.

    Args:
        v: ``[n, 3, width]``.

    Returns:
        ``[n, width]``.
    """
    square = (v * v).sum(dim=1)
    is_zero = square < 1e-24
    root = torch.sqrt(torch.where(is_zero, torch.ones_like(square), square))
    return torch.where(is_zero, torch.zeros_like(root), root)


def map_channels(v: Tensor, weight: Tensor) -> Tensor:
    """Map the channels of vectors ``[n, 3, n_in]`` with ``[n_out, n_in]`` to ``[n, 3, n_out]``.

    One product of matrices; torch makes of a linear layer on three dimensions one for each atom.
    """
    n = v.shape[0]
    return torch.mm(v.reshape(3 * n, v.shape[2]), weight.t()).view(n, 3, weight.shape[0])


class NeighbourEmbedding(nn.Module):
    """x_i = W [ embedding(Z_i), sum_j embedding'(Z_j) . (W_F e(r_ij)) C(r_ij) ] (eq. 3).

    Args:
        n_species: number of elements.
        width: channels.
        n_basis: radial basis functions.
    """

    def __init__(self, n_species: int, width: int, n_basis: int) -> None:
        super().__init__()
        self.width = width
        self.embedding = nn.Embedding(n_species, width)
        self.filter = linear(n_basis, width)
        self.combine = linear(2 * width, width)

    def forward(self, x: Tensor, edges: Edges) -> Tensor:
        """Mix the elements of the neighbours into the features of the atom.

        Args:
            x: ``[n_local, width]``.
            edges: those of the graph.

        Returns:
            ``[n_local, width]``.
        """
        weights = self.filter(edges.radial) * envelope_of(edges)[:, None]
        messages = weights * self.embedding(edges.species).index_select(0, edges.index[1])
        around = sum_at_centres(messages, edges.index[0], x.shape[0])
        return self.combine(torch.cat([x, around], dim=1))


class ScalarVectorAttention(nn.Module):
    """One attention layer: scores from scalars and distances, messages to scalars and vectors.

    Everything that others read from an atom is computed by the rank that owns it
    (:meth:`source`), so that ghosts only have to be fetched.

    An atom also attends to itself, at distance zero and without a direction. That is a term on
    the atom alone, so the graph needs no edge from an atom to itself.

    Args:
        width: channels.
        n_basis: radial basis functions.
        n_heads: attention heads; divides ``width``.
        distance_keys: let distances act on the scores (eq. 6).
        distance_values: let distances act on the values (eq. 7).
        act: activation of the distance filters.
        attention_act: activation of the scores, in place of a softmax.
        vector_cutoff: apply the cutoff envelope to the values, hence to scalars and vectors;
            otherwise to the scores, hence to scalars only, and vectors jump at the cutoff.
        vectors_in: whether there are vectors to read; the first layer has none yet.

    Attributes:
        exchange_width: columns that neighbours need of each atom.
    """

    def __init__(
        self,
        width: int,
        n_basis: int,
        n_heads: int,
        *,
        distance_keys: bool,
        distance_values: bool,
        act: ActivationName,
        attention_act: ActivationName,
        vector_cutoff: bool,
        vectors_in: bool,
    ) -> None:
        super().__init__()
        self.width = width
        self.n_heads = n_heads
        self.head_width = width // n_heads
        self.vector_cutoff = vector_cutoff
        self.vectors_in = vectors_in
        self.exchange_width: int = (6 if vectors_in else 3) * width
        self.norm = nn.LayerNorm(width)
        self.query = linear(width, width)
        self.key = linear(width, width)
        self.value = linear(width, 3 * width)
        self.output = linear(width, 3 * width)
        self.vector = linear(width, 3 * width, bias=False) if vectors_in else None
        self.key_filter = linear(n_basis, width) if distance_keys else None
        self.value_filter = linear(n_basis, 3 * width) if distance_values else None
        self.act = activation(act)
        self.attention_act = activation(attention_act)

    def source(self, normed: Tensor, v: Tensor) -> Tensor:
        """Return everything that an edge reads from its neighbour.

        Args:
            normed: ``[n, width]``, normalised (:attr:`norm`) scalars.
            v: ``[n, 3, width]`` vectors; not read when ``vectors_in`` is false.

        Returns:
            ``[n, exchange_width]``: keys, values for scalars and for the direction, and, with
            vectors, these times the values for them.
        """
        scalar, vector, direction = self._parts(self.value(normed))
        rows = [self.key(normed), scalar, direction]
        if self.vectors_in:
            rows.append((v * vector[:, None, :]).reshape(v.shape[0], 3 * self.width))
        return torch.cat(rows, dim=1)

    def filters(self, radial: Tensor, envelope: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the filters of distances.

        Args:
            radial: ``[n, n_basis]``.
            envelope: ``[n]``.

        Returns:
            Factors, each ``[n, width]``, of keys and of the values for scalars, for the neighbour's
            vectors and for the direction, the envelope included wherever it acts.
        """
        key = 1.0 + 0.0 * envelope[:, None].expand(envelope.shape[0], self.width)
        scalar, vector, direction = key, key, key
        if self.key_filter is not None:
            key = self.act(self.key_filter(radial))
        if self.value_filter is not None:
            scalar, vector, direction = self._parts(self.act(self.value_filter(radial)))
        # the envelope of a score is a factor of the scalar message, like that of a value
        scalar = scalar * envelope[:, None]
        if self.vector_cutoff:
            vector, direction = vector * envelope[:, None], direction * envelope[:, None]
        return key, scalar, vector, direction

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

        Args:
            x: ``[n_local, width]`` scalars.
            v: ``[n_local, 3, width]`` vectors; not read when ``vectors_in`` is false.
            normed: ``[n_local, width]``, normalised (:attr:`norm`) scalars.
            source: ``[n_nodes, exchange_width]``, what :meth:`source` gives for these, and the
                same of all others that edges reach.
            edges: those of the graph, with directions for harmonics.
            own: basis ``[1, n_basis]`` and envelope ``[1]`` at distance zero, where an atom sees
                itself; the envelope is zero there under a lower cutoff.

        Returns:
            ``[n_local, width]`` and ``[n_local, 3, width]``.
        """
        centre, neighbour = edges.index[0], edges.index[1]
        n_local, width = x.shape[0], self.width
        query = self.query(normed)

        rows = source.index_select(0, neighbour)
        by_key, by_scalar, by_vector, by_direction = self.filters(edges.radial, envelope_of(edges))
        scalars = self._scalars(query.index_select(0, centre), rows, by_key, by_scalar)
        along = rows[:, 2 * width : 3 * width] * by_direction
        vectors = along[:, None, :] * edges.harmonics[:, :, None]
        if self.vectors_in:
            vectors = vectors + self._vectors(rows, by_vector)
        around = sum_at_centres(scalars, centre, n_local)
        dv = sum_at_centres(vectors, centre, n_local)

        rows = source[:n_local]
        by_key, by_scalar, by_vector, by_direction = self.filters(own[0], own[1])
        out = self.output(around + self._scalars(query, rows, by_key, by_scalar))
        if self.vector is None:
            return x + out[:, 2 * width :], dv
        dv = dv + self._vectors(rows, by_vector)
        vector = map_channels(v, self.vector.weight)
        first, second, third = vector.split_with_sizes([width] * 3, dim=2)
        dx = (first * second).sum(dim=1) * out[:, width : 2 * width] + out[:, 2 * width :]
        return x + dx, v + (dv + third * out[:, None, :width])

    def _scalars(self, query: Tensor, rows: Tensor, by_key: Tensor, by_scalar: Tensor) -> Tensor:
        """Return scalar messages ``[n, width]`` to ``query`` from ``rows`` of :meth:`source`."""
        n, width = query.shape[0], self.width
        score = (query * rows[:, :width] * by_key).view(n, self.n_heads, self.head_width)
        weight = self.attention_act(score.sum(dim=2))
        value = (rows[:, width : 2 * width] * by_scalar).view(n, self.n_heads, self.head_width)
        return (value * weight[:, :, None]).view(n, width)

    def _vectors(self, rows: Tensor, by_vector: Tensor) -> Tensor:
        """Return what the neighbours' vectors add to vectors, ``[n, 3, width]``."""
        vectors = rows[:, 3 * self.width :].reshape(rows.shape[0], 3, self.width)
        return vectors * by_vector[:, None, :]

    def _parts(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Split ``[n, 3 width]``, sorted by head, into the three parts of all heads."""
        n = values.shape[0]
        parts = values.view(n, self.n_heads, 3, self.head_width)
        return (
            parts[:, :, 0].reshape(n, self.width),
            parts[:, :, 1].reshape(n, self.width),
            parts[:, :, 2].reshape(n, self.width),
        )


class GatedVectorBlock(nn.Module):
    """Scalars from scalars and vector lengths, and vectors gated by scalars.

    Args:
        width_in: channels in.
        width_out: channels out.
        act: activation.
        activate_scalars: apply the activation to the scalars that go out as well.
        vectors_out: make vectors too; false in the last block, where an energy is wanted.
    """

    def __init__(
        self,
        width_in: int,
        width_out: int,
        act: ActivationName,
        *,
        activate_scalars: bool,
        vectors_out: bool,
    ) -> None:
        super().__init__()
        self.width_out = width_out
        self.activate_scalars = activate_scalars
        self.length = linear(width_in, width_in, bias=False)
        self.vector = linear(width_in, width_out, bias=False) if vectors_out else None
        self.hidden = linear(2 * width_in, width_in)
        self.output = linear(width_in, (2 if vectors_out else 1) * width_out)
        self.act = activation(act)

    def forward(self, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Map ``[n, width_in]``, ``[n, 3, width_in]``; without ``vectors_out``, v is returned."""
        length = vector_length(map_channels(v, self.length.weight))
        out = self.output(self.act(self.hidden(torch.cat([x, length], dim=1))))
        x = out[:, : self.width_out]
        if self.vector is not None:
            v = map_channels(v, self.vector.weight) * out[:, None, self.width_out :]
        if self.activate_scalars:
            x = self.act(x)
        return x, v
