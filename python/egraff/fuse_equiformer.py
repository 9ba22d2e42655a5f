# SPDX-License-Identifier: GPL-2.0-or-later
"""Swap the blocks of an Equiformer that see edges for fused ones, before it is exported.

A radial network has hundreds of outputs, which are combinations of the fewer functions in its last
hidden layer: these become the table.
"""

from __future__ import annotations

import copy

import torch
from e3nn import o3
from torch import Tensor, nn

from egraff.fuse_distance import (
    DistanceTables,
    TabulatedEdges,
    register_isolated_atoms,
)
from egraff.models.equiformer import EdgeDegreeEmbedding, Equiformer
from egraff.nn.convolution import EdgeConvolution
from egraff.nn.equivariant import (
    DistanceNetwork,
    EquivariantLayerNorm,
    EquivariantLinear,
    FeedForward,
)
from egraff.nn.fused import FusedEdgeConvolution
from egraff.nn.fused_graph_attention import FusedGraphAttention, RadialFunctions
from egraff.nn.fused_linear import FusedEquivariantLinear
from egraff.nn.fused_node_blocks import FusedFeedForward, FusedLayerNorm
from egraff.nn.radial_table import RadialTable

# highest order for which the operator has kernels
MAX_L = 3


class FusedEquiformer(TabulatedEdges, Equiformer):
    """An Equiformer whose blocks have been swapped by :func:`fuse_equiformer`."""


class StepwiseLayerNorm(nn.Module):
    """The layer norm of a module, written out: torch's second derivatives, forward mode, are wrong.

    Args:
        plain: the module.
    """

    def __init__(self, plain: nn.LayerNorm) -> None:
        super().__init__()
        self.plain = plain

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last dimension."""
        x = x - x.mean(dim=-1, keepdim=True)
        x = x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + self.plain.eps)
        return x * self.plain.weight + self.plain.bias


class FusedEdgeDegree(nn.Module):
    """Stands where an edge-degree embedding stood, and is called as it was, but for the edges.

    What an edge adds to a channel of order l is a function of its length times the harmonics of
    that order. So it is an edge convolution of ones, in float64 as the plain sum is.

    Args:
        plain: the embedding to replace.
        irreps: irreps of the node features.
        irreps_sh: irreps of the harmonics.
        table: what :func:`degree_functions` returns.
        pair_scale: ``[n_species, n_species]`` float64, 1 / cutoff in 1/Angstrom, row = centre.
    """

    def __init__(
        self,
        plain: EdgeDegreeEmbedding,
        irreps: o3.Irreps,
        irreps_sh: o3.Irreps,
        table: RadialTable,
        *,
        pair_scale: Tensor,
    ) -> None:
        super().__init__()
        self.width: int = max(block.mul for block in irreps)
        ones = o3.Irreps([(self.width, "0e")])
        convolution = EdgeConvolution(ones, irreps_sh, irreps)
        # the same coefficients, in float64
        convolution.products[0].coupling = plain.product.products[0].coupling
        self.convolution = FusedEdgeConvolution(
            convolution,
            table.knots[None],
            pair_scale=pair_scale,
            pair_table=torch.zeros_like(pair_scale, dtype=torch.int64),
            dtype=torch.float64,
            grid_stretch=table.grid.stretch,
        )
        made = zip(convolution.irreps_out, convolution.irreps_out.slices(), strict=True)
        starts = {block.ir: part.start for block, part in made}
        # first column of the convolution, or -1 for zeros, and how many
        self.parts: list[tuple[int, int]] = [
            (starts.get(block.ir, -1), block.dim) for block in irreps
        ]

    def forward(
        self, edge_vec: Tensor, species: Tensor, unused: Tensor, edge_index: Tensor, n_local: int
    ) -> Tensor:
        """Sum over the edges of each atom.

        Args:
            edge_vec: ``[n_edges, 3]`` in Angstrom.
            species: ``[n_nodes]``.
            unused: anything; where the plain embedding takes the envelope, which is in the table.
            edge_index: ``[2, n_edges]``, row 0 the receiving centre, ascending.
            n_local: number of local atoms.

        Returns:
            ``[n_local, irreps.dim]``.
        """
        ones = torch.ones(species.shape[0], self.width, dtype=torch.float64, device=edge_vec.device)
        exact_vec = edge_vec.to(torch.float64)
        total = self.convolution(ones, exact_vec, species, edge_index, n_local).to(edge_vec.dtype)
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


def fuse_equiformer(
    model: Equiformer, fused: Equiformer, tolerance: tuple[float, float]
) -> list[dict[str, int | float | str]]:
    """Swap the blocks of ``fused``.

    Args:
        model: a plain model; it is not changed.
        fused: a copy of it, which becomes a :class:`FusedEquiformer`.
        tolerance: bounds on the errors of the tables and of their derivatives.

    Returns:
        For each table: its layer's name, tables, knots, errors, bytes.

    Raises:
        EgraffError: the functions of the distance are not smooth.
    """
    exact = exact_copy(model)
    tables = DistanceTables(model, tolerance)
    pair_scale, dtype = tables.pair_scale, tables.dtype

    def edges(x: Tensor) -> tuple[Tensor, Tensor]:
        envelope = exact.envelope(x) if exact.smooth_cutoff else torch.ones_like(x) + 0.0 * x
        return exact.basis(x), envelope

    irreps = o3.Irreps(model.config.irreps_node_embedding)
    irreps_sh = o3.Irreps(model.config.irreps_sh)
    fused.edge_degree = FusedEdgeDegree(
        exact.edge_degree,
        irreps,
        irreps_sh,
        tables.add(
            "edge_degree",
            lambda x: degree_functions(exact.edge_degree, irreps, *edges(x)),
            torch.float64,
        ),
        pair_scale=pair_scale,
    )
    for k, block in enumerate(exact.blocks):
        network = block.attention.mlp.radial

        def functions(x: Tensor, network: DistanceNetwork = network) -> Tensor:
            return hidden_functions(network, *edges(x))

        name = f"blocks.{k}.attention"
        matrix = torch.cat([network.output.weight.T, network.output.bias[None]]).detach()
        fused.blocks[k].attention = FusedGraphAttention(
            block.attention,
            RadialFunctions(tables.add(f"blocks.{k}.attention", functions), matrix),
            pair_scale=pair_scale,
            dtype=dtype,
        )
    fused.exchange_widths = [block.attention.exchange_width for block in fused.blocks]
    for module in list(fused.modules()):
        for name, child in module.named_children():
            if isinstance(child, EquivariantLinear):
                setattr(module, name, FusedEquivariantLinear(child, dtype))
            elif isinstance(child, FeedForward):
                setattr(module, name, FusedFeedForward(child, dtype))
            elif isinstance(child, EquivariantLayerNorm):
                setattr(module, name, FusedLayerNorm(child, dtype))
    fused.__class__ = FusedEquiformer
    register_isolated_atoms(fused)
    return tables.reports


def exact_copy(model: Equiformer) -> Equiformer:
    """Return a copy in float64 that can be differentiated twice in forward mode."""
    exact = copy.deepcopy(model).to(torch.float64)
    for network in [exact.edge_degree.radial, *(b.attention.mlp.radial for b in exact.blocks)]:
        for name, child in network.hidden.named_children():
            if isinstance(child, nn.LayerNorm):
                setattr(network.hidden, name, StepwiseLayerNorm(child))
    return exact


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
