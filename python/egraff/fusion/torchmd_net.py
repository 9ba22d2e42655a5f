# SPDX-License-Identifier: GPL-2.0-or-later
"""Fused forms of the equivariant transformer's blocks."""

from __future__ import annotations

import torch
from torch import Tensor

from egraff.fusion.attention import FusedNeighbourEmbedding, FusedScalarVectorAttention
from egraff.fusion.registry import Fusion, fuse_parts, fused_form
from egraff.models.torchmd_net import TorchMDNet
from egraff.nn.edges import Distances
from egraff.nn.scalar_vector import NeighbourEmbedding, ScalarVectorAttention


@fused_form(TorchMDNet, accepts=lambda model: model.lower == 0.0)
def fuse_torchmd_net(model: TorchMDNet, fusion: Fusion, name: str) -> TorchMDNet:
    """Swap the layers of a transformer."""
    fuse_parts(model, fusion, name)
    model.exchange_widths = [layer.exchange_width for layer in model.layers]
    if model.neighbour_embedding is None:
        del model.exchange_widths[0]  # elements are known everywhere
    return model


@fused_form(NeighbourEmbedding)
def fuse_neighbour_embedding(
    plain: NeighbourEmbedding, fusion: Fusion, name: str
) -> FusedNeighbourEmbedding:
    """Tabulate the filter of a neighbour embedding."""
    plain64 = fusion.model64.get_submodule(name)

    def filters(distances: Distances) -> Tensor:
        radial, envelope = fusion.model64.radial_functions(distances)
        return plain64.filter(radial) * envelope[:, None]

    tables = fusion.tables.add(name, filters, zero_at_cutoff=False)
    return FusedNeighbourEmbedding(plain, tables, dtype=fusion.dtype)


@fused_form(ScalarVectorAttention)
def fuse_attention(
    plain: ScalarVectorAttention, fusion: Fusion, name: str
) -> FusedScalarVectorAttention:
    """Tabulate the filters of an attention layer."""
    plain64 = fusion.model64.get_submodule(name)

    def filters(distances: Distances) -> Tensor:
        radial, envelope = fusion.model64.radial_functions(distances)
        return torch.cat(plain64.filters(radial, envelope), dim=1)

    own = filters(fusion.tables.at(0, torch.zeros(1, dtype=torch.float64)))[0]
    return FusedScalarVectorAttention(
        plain,
        fusion.tables.add(name, filters, zero_at_cutoff=False),
        own,
        attention_act=fusion.model64.config.attn_activation,
        dtype=fusion.dtype,
    )
