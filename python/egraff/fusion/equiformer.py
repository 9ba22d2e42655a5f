# SPDX-License-Identifier: GPL-2.0-or-later
"""Fused forms of Equiformer's blocks.

A radial network has hundreds of outputs, which are combinations of the fewer functions in its last
hidden layer: these become the table.
"""

from __future__ import annotations

import torch
from e3nn import o3
from torch import Tensor, nn

from egraff.fusion import node_blocks  # noqa: F401 - registers forms
from egraff.fusion.convolution import MAX_L, FusedEdgeConvolution
from egraff.fusion.distance_tables import PairTables
from egraff.fusion.graph_attention import FusedGraphAttention, RadialFunctions
from egraff.fusion.registry import Fusion, fuse_parts, fused_form
from egraff.models.equiformer import EdgeDegreeEmbedding, Equiformer
from egraff.nn.convolution import EdgeConvolution
from egraff.nn.edges import Distances, Edges
from egraff.nn.equivariant import DistanceNetwork
from egraff.nn.graph_attention import GraphAttention


class FusedEdgeDegree(nn.Module):
    """Drop-in replacement for `EdgeDegreeEmbedding`.

    What an edge adds to a channel of order l is a function of its length times the harmonics of
    that order. So it is an edge convolution of ones, in float64 as the plain sum is.

    Args:
        plain: the embedding to replace.
        irreps: irreps of the node features.
        irreps_sh: irreps of the harmonics.
        tables: of what :func:`degree_functions` returns.
    """

    def __init__(
        self,
        plain: EdgeDegreeEmbedding,
        irreps: o3.Irreps,
        irreps_sh: o3.Irreps,
        tables: PairTables,
    ) -> None:
        super().__init__()
        self.width: int = max(block.mul for block in irreps)
        ones = o3.Irreps([(self.width, "0e")])
        convolution = EdgeConvolution(ones, irreps_sh, irreps)
        # the same coefficients, in float64
        convolution.products[0].coupling = plain.product.products[0].coupling
        self.convolution = FusedEdgeConvolution(convolution, tables, dtype=torch.float64)
        made = zip(convolution.irreps_out, convolution.irreps_out.slices(), strict=True)
        starts = {block.ir: part.start for block, part in made}
        # first column of the convolution, or -1 for zeros, and how many
        self.parts: list[tuple[int, int]] = [
            (starts.get(block.ir, -1), block.dim) for block in irreps
        ]

    def forward(self, edges: Edges) -> Tensor:
        """Sum over the edges of each atom; return ``[n_local, irreps.dim]``."""
        vector, n_local = edges.vector, edges.n_local
        edges64 = Edges(
            vector.to(torch.float64),
            edges.index,
            edges.species,
            n_local,
            edges.harmonics,
            edges.radial,
            None,
        )
        ones = torch.ones(
            edges.species.shape[0], self.width, dtype=torch.float64, device=vector.device
        )
        total = self.convolution(ones, edges64, edges.radial).to(vector.dtype)
        parts: list[Tensor] = []
        for start, dim in self.parts:
            if start < 0:
                parts.append(torch.zeros(n_local, dim, dtype=total.dtype, device=total.device))
            else:
                parts.append(total[:, start : start + dim])
        return torch.cat(parts, dim=1)


def can_fuse_equiformer(model: Equiformer) -> bool:
    """Tell whether there are fused operators for these options.

    They are for scores from a perceptron and non-linear messages, as in all of the paper's models
    but the ablations, and for features and harmonics up to ``MAX_L``.
    """
    config = model.config
    irreps = [config.irreps_node_embedding, config.irreps_sh, config.irreps_head]
    irreps.append(config.irreps_pre_attn or config.irreps_node_embedding)
    return (
        config.attention == "mlp"
        and config.nonlinear_message
        and max(o3.Irreps(text).lmax for text in irreps) <= MAX_L
    )


@fused_form(Equiformer, accepts=can_fuse_equiformer)
def fuse_equiformer(model: Equiformer, fusion: Fusion, name: str) -> Equiformer:
    """Swap the blocks of an Equiformer."""
    fuse_parts(model, fusion, name)
    model.exchange_widths = [block.attention.exchange_width for block in model.blocks]
    return model


@fused_form(EdgeDegreeEmbedding)
def fuse_edge_degree(plain: EdgeDegreeEmbedding, fusion: Fusion, name: str) -> FusedEdgeDegree:
    """Tabulate what an edge adds."""
    plain64 = fusion.model64.get_submodule(name)
    irreps = o3.Irreps(fusion.model64.config.irreps_node_embedding)
    irreps_sh = o3.Irreps(fusion.model64.config.irreps_sh)

    def functions(distances: Distances) -> Tensor:
        radial, envelope = fusion.model64.radial_functions(distances)
        return degree_functions(plain64, irreps, radial, envelope)

    tables = fusion.tables.add(name, functions, zero_at_cutoff=False, dtype=torch.float64)
    return FusedEdgeDegree(plain64, irreps, irreps_sh, tables)


@fused_form(GraphAttention)
def fuse_graph_attention(plain: GraphAttention, fusion: Fusion, name: str) -> FusedGraphAttention:
    """Tabulate the last hidden layer of the radial network."""
    plain64 = fusion.model64.get_submodule(name)
    network = plain64.mlp.radial

    def functions(distances: Distances) -> Tensor:
        return hidden_functions(network, *fusion.model64.radial_functions(distances))

    tables = fusion.tables.add(name, functions, zero_at_cutoff=False)
    matrix = torch.cat([network.output.weight.T, network.output.bias[None]]).detach()
    return FusedGraphAttention(plain64, RadialFunctions(tables, matrix), dtype=fusion.dtype)


def hidden_functions(network: DistanceNetwork, radial: Tensor, envelope: Tensor) -> Tensor:
    """Return what is tabulated of a radial network, ``[n, n_hidden + 2]``.

    The last hidden layer and 1, of which the weights are linear combinations, and the envelope.
    There are some ten times fewer of them than there are weights.

    Args:
        network: the network.
        radial: ``[n, n_basis]``.
        envelope: ``[n]``.
    """
    one = torch.ones_like(envelope) + 0.0 * envelope
    return torch.cat([network.hidden(radial), one[:, None], envelope[:, None]], dim=1)


def degree_functions(
    plain: EdgeDegreeEmbedding, irreps: o3.Irreps, radial: Tensor, envelope: Tensor
) -> Tensor:
    """Return what an edge adds to every channel, for each of its harmonics.

    Args:
        plain: the edge-degree embedding.
        irreps: irreps of the node features.
        radial: ``[n, n_basis]``.
        envelope: ``[n]``.

    Returns:
        ``[n, n_harmonics * width]``, of those harmonics that occur in ``irreps`` with the channels
        padded to the most that an irrep has.
    """
    weights = plain.radial(radial) * envelope[:, None] * plain.normalisation
    width = max(block.mul for block in irreps)
    (product,) = plain.product.products
    matrices = dict(
        zip(
            (block.ir for block in plain.projection.irreps_out),
            plain.projection.matrices(),
            strict=True,
        )
    )
    parts = []
    for k, ir in enumerate(product.irreps_out):
        of_path = weights[:, k * plain.n_scalars : (k + 1) * plain.n_scalars]
        part = of_path @ (plain.constant[:, None] * matrices[ir])
        if ir == o3.Irrep("0e"):
            part = part + envelope[:, None] * plain.bias * plain.normalisation
        parts.append(nn.functional.pad(part, (0, width - part.shape[1])))
    return torch.cat(parts, dim=1)
