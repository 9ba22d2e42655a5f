# SPDX-License-Identifier: GPL-2.0-or-later
"""Swap the layers of an equivariant transformer for fused ones, before it is exported."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from egraff.fuse_distance import (
    DistanceTables,
    TabulatedEdges,
    register_isolated_atoms,
)
from egraff.models.torchmd_net import TorchMDNet
from egraff.nn.fused_attention import FusedNeighbourEmbedding, FusedScalarVectorAttention
from egraff.nn.scalar_vector import NeighbourEmbedding, ScalarVectorAttention


class FusedTorchMDNet(TabulatedEdges, TorchMDNet):
    """A transformer whose layers have been swapped by :func:`fuse_attention`."""


def fuse_attention(
    model: TorchMDNet, fused: TorchMDNet, tolerance: tuple[float, float]
) -> list[dict[str, int | float | str]]:
    """Swap the layers of ``fused``.

    Args:
        model: a plain model; it is not changed.
        fused: a copy of it, which becomes a :class:`FusedTorchMDNet`.
        tolerance: bounds on the errors of the tables and of their derivatives.

    Returns:
        For each fused layer: its name, tables, knots, errors, bytes.

    Raises:
        EgraffError: the functions of the distance are not smooth.
    """
    exact = copy.deepcopy(model).to(torch.float64)
    tables = DistanceTables(model, tolerance)
    common = {"pair_scale": tables.pair_scale, "dtype": tables.dtype}

    def embedding_filter(plain: NeighbourEmbedding, x: Tensor) -> Tensor:
        return plain.filter(exact.basis(x)) * exact.envelope(x)[:, None]

    def attention_filters(plain: ScalarVectorAttention, x: Tensor) -> Tensor:
        return torch.cat(plain.filters(exact.basis(x), exact.envelope(x)), dim=1)

    if exact.neighbour_embedding is not None:
        plain = exact.neighbour_embedding
        table = tables.add("neighbour_embedding", lambda x: embedding_filter(plain, x))
        fused.neighbour_embedding = FusedNeighbourEmbedding(
            fused.neighbour_embedding, table, **common
        )
    for k, layer in enumerate(exact.layers):
        table = tables.add(f"layers.{k}", lambda x, layer=layer: attention_filters(layer, x))
        at_zero = attention_filters(layer, torch.zeros(1, dtype=torch.float64))
        fused.layers[k] = FusedScalarVectorAttention(
            fused.layers[k],
            table,
            at_zero[0].detach(),
            attention_act=model.config.attn_activation,
            **common,
        )
    fused.exchange_widths = [layer.exchange_width for layer in fused.layers]
    if exact.neighbour_embedding is None:
        del fused.exchange_widths[0]  # elements are known everywhere
    fused.__class__ = FusedTorchMDNet
    register_isolated_atoms(fused)
    return tables.reports
