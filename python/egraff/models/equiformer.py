# SPDX-License-Identifier: GPL-2.0-or-later
"""Equiformer: a transformer whose features are irreps and whose linear maps are tensor products.

Y.-L. Liao, T. Smidt, ICLR 2023, arXiv:2206.11990. The details follow the authors' repository
(atomicarchitects/equiformer, models ``*_md17``), which has no release and no LAMMPS route.

    x_i     = emb(Z_i) + 1/sqrt(N) sum_j W ( c (x)_R(r_ij) Y(r_ij) )         atom + edge degree
    m_ij    = W_s LN(x)_j + W_d LN(x)_i                                      messages
    f_ij    = m_ij (x)_R(r_ij) Y(r_ij)                                       depth-wise product
    a_ij    = softmax_j( a . LeakyReLU( W_a f_ij ) )                         MLP attention
    v_ij    = W_v ( gate( W_f f_ij ) (x) Y(r_ij) )                           non-linear message
    x_i    += W_o sum_j a_ij v_ij                                            attention block
    x_i    += W_2 gate( W_1 LN(x_i) )                                        feed-forward block
    E_i     = shift[Z_i] + scale[Z_i] ( MLP(LN(x_i)) - isolated atom )       readout

====================  ==========================================================
paper                 here
====================  ==========================================================
x_i                   rows of ``irreps_node_embedding``
SH(r_ij)              ``Equiformer.harmonics``
DTP                   ``nn.equivariant.DepthwiseProduct``
Linear                ``nn.equivariant.EquivariantLinear``
LN                    ``nn.equivariant.EquivariantLayerNorm``
gate                  ``nn.equivariant.SwishGate``
equivariant attention ``nn.graph_attention.GraphAttention``
f^(L) -> a, z, v      ``MLPAttention.score``, ``edge_softmax``, ``MLPAttention.value``
edge-degree embedding ``EdgeDegreeEmbedding``
====================  ==========================================================

Differences from the original, each an option:

* ``smooth_cutoff`` weights every edge by an envelope, in the softmax and in the edge-degree
  embedding. The original's softmax and biases make the energy jump when an atom crosses the
  cutoff. Without it the numbers are the original's.
* ``isolated_atom`` sets what a lone atom's energy is.

Stochastic depth (``drop_path_rate``) drops a branch for a whole batch, as its inventors do, where
the original draws for each structure of a batch: a model sees atoms and edges, not structures.

With irreps that are all even (``1e``), as in the authors' MD17 models, the model is equivariant to
rotations alone: mirror images may differ in energy. Irreps with the parity of harmonics (``1o``,
``3o``) make it equivariant to inversion too. The degree rescaling and the attention readout of the
repository, which no MD17 model of the paper's tables uses, are left out.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from e3nn import o3
from torch import Tensor, nn

from egraff import ops
from egraff.models.equiformer_config import EquiformerConfig
from egraff.models.isolated import IsolatedAtomForceField
from egraff.models.originals import BY_HAND_RECIPE, Original
from egraff.models.registry import register
from egraff.nn.dropout import BranchDropout, ChannelDropout
from egraff.nn.edges import Distances, Edges, envelope_of, sum_at_centres
from egraff.nn.equivariant import (
    DepthwiseProduct,
    DistanceNetwork,
    EquivariantLayerNorm,
    EquivariantLinear,
    FeedForward,
    UnitVariance,
)
from egraff.nn.graph_attention import GraphAttention
from egraff.nn.radial import BesselBasis, PolynomialCutoff
from egraff.nn.smearing import ExpNormalBasis, LearnedGaussianBasis


@register
class Equiformer(IsolatedAtomForceField):
    """The Equiformer force field; see the module's text for the equations."""

    architecture = "equiformer"
    citations: ClassVar[list[str]] = [
        "Equiformer: Y.-L. Liao, T. Smidt, ICLR 2023, arXiv:2206.11990",
    ]
    Config = EquiformerConfig
    original = Original("the authors' Equiformer", BY_HAND_RECIPE, needs_elements=True)

    def __init__(self, config: EquiformerConfig) -> None:
        super().__init__(config)
        irreps = o3.Irreps(config.irreps_node_embedding)
        irreps_sh = o3.Irreps(config.irreps_sh)
        irreps_feature = o3.Irreps(config.irreps_feature)
        radial_widths = [config.number_of_basis, *config.fc_neurons]

        self.harmonics = o3.SphericalHarmonics(list(range(len(irreps_sh))), True, "component")
        self.basis = _basis(config)
        self.envelope = PolynomialCutoff(config.cutoff_p)
        self.smooth_cutoff = config.smooth_cutoff
        self.n_higher: int = irreps.dim - irreps.count("0e")
        self.embedding = nn.Embedding(self.n_species, irreps.count("0e"))
        self.edge_degree = EdgeDegreeEmbedding(
            irreps, irreps_sh, radial_widths, config.avg_num_neighbours
        )
        self.blocks = nn.ModuleList(
            TransformerBlock(
                config, irreps_feature if number == config.num_layers - 1 else irreps, radial_widths
            )
            for number in range(config.num_layers)
        )
        self.exchange_widths.extend(block.attention.exchange_width for block in self.blocks)
        self.norm = EquivariantLayerNorm(irreps_feature)
        self.out_dropout = ChannelDropout(irreps_feature, config.out_drop)
        self.hidden = EquivariantLinear(irreps_feature, irreps_feature)
        self.act = UnitVariance(nn.SiLU())
        self.readout = EquivariantLinear(irreps_feature, o3.Irreps("0e"))

    def network(
        self, species: Tensor, edge_index: Tensor, edge_vec: Tensor, n_local: int, exchange: bool
    ) -> Tensor:
        """Return the network's output per local atom, ``[n_local]``."""
        edges = self.embed_edges(species, edge_index, edge_vec, n_local)

        scalars = self.embedding(species[:n_local])
        higher = torch.zeros(n_local, self.n_higher, dtype=scalars.dtype, device=scalars.device)
        x = torch.cat([scalars, higher], dim=1)
        x = x + self.edge_degree(edges)
        for block in self.blocks:
            x = block(x, edges, exchange)
        x = self.out_dropout(self.norm(x))
        return self.readout(self.act(self.hidden(x)))[:, 0]

    def radial_functions(self, distances: Distances) -> tuple[Tensor, Tensor | None]:
        """Return basis and envelope, ones without ``smooth_cutoff``; see :class:`ForceField`."""
        x = distances.scaled
        envelope = self.envelope(x) if self.smooth_cutoff else torch.ones_like(x)
        return self.basis(x), envelope


class EdgeDegreeEmbedding(nn.Module):
    """The first features of an atom: how many neighbours it has, and in which directions.

    A learnt constant times the harmonics of every edge; elements do not enter. Summed in float64:
    on a symmetric site vectors cancel, and the layer norms that follow magnify what is left
    hundreds of times.

    Args:
        irreps: irreps of the node features.
        irreps_sh: irreps of the harmonics.
        radial_widths: basis functions and hidden widths of the radial network.
        avg_num_neighbours: mean number of edges per atom.
    """

    def __init__(
        self,
        irreps: o3.Irreps,
        irreps_sh: o3.Irreps,
        radial_widths: list[int],
        avg_num_neighbours: float,
    ) -> None:
        super().__init__()
        self.n_scalars: int = irreps.count("0e")
        self.normalisation = 1.0 / math.sqrt(avg_num_neighbours)
        self.constant = nn.Parameter(torch.randn(self.n_scalars))
        self.product = DepthwiseProduct(o3.Irreps([(self.n_scalars, "0e")]), irreps_sh, irreps)
        self.radial = DistanceNetwork([*radial_widths, self.product.n_weights])
        self.projection = EquivariantLinear(self.product.irreps_out, irreps, bias=False)
        self.bias = nn.Parameter(torch.zeros(self.n_scalars))

    def forward(self, edges: Edges) -> Tensor:
        """Sum over the edges of each atom; return ``[n_local, irreps.dim]``."""
        centre, n_local = edges.index[0], edges.n_local
        sh, envelope = edges.harmonics, envelope_of(edges)
        constant = self.constant.expand(sh.shape[0], self.n_scalars)
        messages = self.product(constant, sh, self.radial(edges.radial)) * envelope[:, None]
        total = sum_at_centres(messages.to(torch.float64), centre, n_local).to(sh.dtype)
        total = self.projection(total)
        degree = sum_at_centres(envelope, centre, n_local)
        scalars = total[:, : self.n_scalars] + degree[:, None] * self.bias
        return torch.cat([scalars, total[:, self.n_scalars :]], dim=1) * self.normalisation


class TransformerBlock(nn.Module):
    """Layer norm and attention, layer norm and feed-forward, each beside an identity.

    Args:
        config: the model's options.
        irreps_out: irreps that the block makes; where they differ from the node features, a
            linear map takes the identity's place.
        radial_widths: basis functions and hidden widths of the radial networks.
    """

    def __init__(
        self, config: EquiformerConfig, irreps_out: o3.Irreps, radial_widths: list[int]
    ) -> None:
        super().__init__()
        irreps = o3.Irreps(config.irreps_node_embedding)
        self.attention_norm = EquivariantLayerNorm(irreps)
        self.attention = GraphAttention(
            irreps,
            o3.Irreps(config.irreps_pre_attn or config.irreps_node_embedding),
            o3.Irreps(config.irreps_sh),
            o3.Irreps(config.irreps_head),
            config.num_heads,
            radial_widths,
            kind=config.attention,
            nonlinear=config.nonlinear_message,
            dropout=config.alpha_drop,
        )
        self.feed_forward_norm = EquivariantLayerNorm(irreps)
        self.feed_forward = FeedForward(irreps, o3.Irreps(config.irreps_mlp_mid), irreps_out)
        self.shortcut = None if irreps == irreps_out else EquivariantLinear(irreps, irreps_out)
        self.attention_dropout = ChannelDropout(irreps, config.proj_drop)
        self.feed_forward_dropout = ChannelDropout(irreps_out, config.proj_drop)
        self.branch_dropout = BranchDropout(config.drop_path_rate)

    def forward(self, x: Tensor, edges: Edges, exchange: bool) -> Tensor:
        """Update ``[n_local, irreps.dim]``; see :meth:`GraphAttention.forward`."""
        normed = self.attention_norm(x)
        update = self.attention(normed, edges, exchange)
        x = x + self.branch_dropout(self.attention_dropout(update))
        update = self.feed_forward(self.feed_forward_norm(x))
        if self.shortcut is not None:
            x = self.shortcut(x)
        return x + self.branch_dropout(self.feed_forward_dropout(update))


class EnvelopedBessel(nn.Module):
    """Bessel functions with learnt roots under a polynomial envelope of exponent 5.

    Args:
        n_basis: number of functions.
        r_max: cutoff in Angstrom.
    """

    def __init__(self, n_basis: int, r_max: float) -> None:
        super().__init__()
        self.bessel = BesselBasis(n_basis, r_max, trainable=True)
        self.envelope = PolynomialCutoff(5.0)

    def forward(self, x: Tensor) -> Tensor:
        """Map scaled distances ``[n]`` to ``[n, n_basis]``."""
        return self.bessel(x) * self.envelope(x)[:, None]


def _basis(config: EquiformerConfig) -> nn.Module:
    if config.basis_type == "exp":
        return ExpNormalBasis(config.number_of_basis, config.r_max)
    if config.basis_type == "gaussian":
        return LearnedGaussianBasis(config.number_of_basis)
    return EnvelopedBessel(config.number_of_basis, config.r_max)


ops.load()
