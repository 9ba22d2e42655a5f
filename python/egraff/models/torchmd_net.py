# SPDX-License-Identifier: GPL-2.0-or-later
"""TorchMD-Net's equivariant transformer (ET): attention on scalars and vectors.

P. Thölke, G. De Fabritiis, ICLR 2022, arXiv:2202.02541; R. P. Pelaez et al., J. Chem. Theory
Comput. 20, 4076 (2024) for the package, whose version 3.1 (model ``equivariant-transformer``,
output ``Scalar``) is the reference here.

    x_i = W [ emb(Z_i), sum_j emb'(Z_j) W_F e(r_ij) C(r_ij) ]                      (eq. 3)
    a_ij = act( sum_k Q_k(x_i) K_k(x_j) D^K_k(r_ij) ) C(r_ij)                      (eq. 6)
    s1_ij, s2_ij, s3_ij = V(x_j) D^V(r_ij)                                         (eq. 7)
    y_i = W_O sum_j a_ij s1_ij ;  q1, q2, q3 = y_i                                 (eq. 8)
    dx_i = q2 + q3 <U1 v_i, U2 v_i>                                                (eq. 9)
    dv_i = q1 U3 v_i + sum_j ( s2_ij v_j + s3_ij r_ij / |r_ij| )                   (eq. 10, 11)
    E_i = shift[Z_i] + scale[Z_i] ( O(x_i, v_i) - O(isolated atom) )               readout

====================  ==========================================================
paper                 here
====================  ==========================================================
e_k^RBF               ``TorchMDNet.basis`` (``expnorm`` or ``gauss``)
phi(d), C             ``TorchMDNet.envelope``
embed^int, embed^nbh  ``TorchMDNet.embedding``, ``neighbour_embedding.embedding``
W^F                   ``neighbour_embedding.filter``
Q, K, V               ``ScalarVectorAttention.query``, ``key``, ``value``
D^K, D^V              ``ScalarVectorAttention.key_filter``, ``value_filter``; ``filters``
O (eq. 8)             ``ScalarVectorAttention.output``
U1, U2, U3            ``ScalarVectorAttention.vector``
gated block           ``GatedVectorBlock``
====================  ==========================================================

The sums over j include i itself at distance zero, as in the original, where that is an edge; here
it is a term of its own (see :class:`egraff.nn.scalar_vector.ScalarVectorAttention`).

Differences from the original, each an option: ``vector_cutoff`` is on by default, because without
it the energy jumps when an atom crosses the cutoff; ``isolated_atom`` sets what a lone atom's
energy is. Edges carry their periodic image, so any cell works, also one smaller than the cutoff,
and there is no limit on the number of neighbours.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from egraff import ops
from egraff.models.isolated import IsolatedAtomConfig, IsolatedAtomForceField
from egraff.models.originals import TORCHMD_NET_RECIPE, Original
from egraff.models.registry import register
from egraff.nn.activations import ActivationName
from egraff.nn.edges import Distances, UnitVectors
from egraff.nn.scalar_vector import GatedVectorBlock, NeighbourEmbedding, ScalarVectorAttention
from egraff.nn.smearing import CosineCutoff, ExpNormalBasis, GaussianBasis

# the authors' examples/ET-MD17.yaml
_PAPER = {"hidden_channels": 128, "num_layers": 6, "num_heads": 8, "num_rbf": 32}


class TorchMDNetConfig(IsolatedAtomConfig):
    """Options of the equivariant transformer beyond those of every model.

    Attributes:
        hidden_channels: channels of scalars and of vectors; even, divisible by ``num_heads``.
        num_layers: attention layers.
        num_heads: attention heads.
        num_rbf: radial basis functions.
        rbf_type: ``expnorm`` or ``gauss``.
        trainable_rbf: learn centres and widths of the basis.
        activation: activation of filters and readout.
        attn_activation: activation of the attention scores.
        neighbour_embedding: start from the neighbours' elements too, not only the atom's own.
        distance_influence: where distances act in the attention.
        vector_cutoff: let the envelope act on scalars and vectors instead of scalars only.
        cutoff_lower: distance in Angstrom below which atoms do not see each other; zero for none.
            Only for models that have it: nothing keeps atoms apart that are closer. Pairs with a
            shorter cutoff have this end shortened by the same factor.
    """

    hidden_channels: int = Field(default=128, ge=2)
    num_layers: int = Field(default=6, ge=1)
    num_heads: int = Field(default=8, ge=1)
    num_rbf: int = Field(default=64, ge=2)
    rbf_type: Literal["expnorm", "gauss"] = "expnorm"
    trainable_rbf: bool = False
    activation: ActivationName = "silu"
    attn_activation: ActivationName = "silu"
    neighbour_embedding: bool = True
    distance_influence: Literal["both", "keys", "values", "none"] = "both"
    vector_cutoff: bool = True
    cutoff_lower: float = Field(default=0.0, ge=0.0)

    #: named options; ``small`` is egraff's own, to start with
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {"hidden_channels": 32, "num_layers": 2, "num_heads": 4, "num_rbf": 16},
        "paper": _PAPER,
        # the authors' examples/ET-QM9.yaml
        "qm9": {"hidden_channels": 256, "num_layers": 8, "num_heads": 8, "num_rbf": 64},
        # as the benchmark ran it, but for its limit of 32 neighbours (50 on LiPS20), with which
        # energies jump whenever a neighbour changes: vectors jump at the cutoff
        "egraffbench": {**_PAPER, "vector_cutoff": False},
    }
    #: every mechanism of the architecture at widths that a test can afford
    tiny: ClassVar[dict[str, Any]] = {
        "hidden_channels": 16,
        "num_layers": 3,
        "num_heads": 2,
        "num_rbf": 6,
    }

    @model_validator(mode="after")
    def _ends_in_order(self) -> TorchMDNetConfig:
        if self.cutoff_lower >= self.r_max:
            raise ValueError(
                f"cutoff_lower: expected less than r_max = {self.r_max}, got {self.cutoff_lower}"
            )
        return self

    @model_validator(mode="after")
    def _heads_divide_channels(self) -> TorchMDNetConfig:
        if self.hidden_channels % self.num_heads or self.hidden_channels % 2:
            raise ValueError(
                "hidden_channels: expected an even number divisible by num_heads = "
                f"{self.num_heads}, got {self.hidden_channels}"
            )
        return self


@register
class TorchMDNet(IsolatedAtomForceField):
    """The equivariant transformer; see the module's text for the equations."""

    architecture = "torchmd_net"
    citations: ClassVar[list[str]] = [
        "TorchMD-Net ET: P. Thölke, G. De Fabritiis, ICLR 2022, arXiv:2202.02541",
        "TorchMD-Net: R. P. Pelaez et al., J. Chem. Theory Comput. 20, 4076 (2024), "
        "doi:10.1021/acs.jctc.4c00253",
    ]
    Config = TorchMDNetConfig
    original = Original("torchmd-net", TORCHMD_NET_RECIPE, needs_elements=True)

    def __init__(self, config: TorchMDNetConfig) -> None:
        super().__init__(config)
        width = config.hidden_channels
        basis = ExpNormalBasis if config.rbf_type == "expnorm" else GaussianBasis
        self.basis = basis(
            config.num_rbf, config.r_max, r_min=config.cutoff_lower, trainable=config.trainable_rbf
        )
        self.harmonics = UnitVectors()
        self.lower: float = config.cutoff_lower / config.r_max
        self.envelope = CosineCutoff(self.lower)
        self.width = width
        self.embedding = nn.Embedding(self.n_species, width)
        self.neighbour_embedding = (
            NeighbourEmbedding(self.n_species, width, config.num_rbf)
            if config.neighbour_embedding
            else None
        )
        self.layers = nn.ModuleList(
            ScalarVectorAttention(
                width,
                config.num_rbf,
                config.num_heads,
                distance_keys=config.distance_influence in ("keys", "both"),
                distance_values=config.distance_influence in ("values", "both"),
                act=config.activation,
                attention_act=config.attn_activation,
                vector_cutoff=config.vector_cutoff,
                vectors_in=number > 0,
            )
            for number in range(config.num_layers)
        )
        # before the first layer vectors are zero; scalars mix neighbours only if the embedding does
        if config.neighbour_embedding:
            self.exchange_widths.append(self.layers[0].exchange_width)
        self.exchange_widths.extend(layer.exchange_width for layer in self.layers[1:])
        self.norm = nn.LayerNorm(width)
        self.readout = nn.ModuleList(
            [
                GatedVectorBlock(
                    width, width // 2, config.activation, activate_scalars=True, vectors_out=True
                ),
                GatedVectorBlock(
                    width // 2, 1, config.activation, activate_scalars=False, vectors_out=False
                ),
            ]
        )

    def network(
        self, species: Tensor, edge_index: Tensor, edge_vec: Tensor, n_local: int, exchange: bool
    ) -> Tensor:
        """Return the network's output per local atom, ``[n_local]``."""
        n_nodes = species.shape[0]
        if self.lower > 0.0:
            edge_index, edge_vec = self._beyond_lower(species, edge_index, edge_vec)
        edges = self.embed_edges(species, edge_index, edge_vec, n_local)
        # an atom is at distance zero from itself: below a lower cutoff, where the envelope is zero
        zero = torch.zeros(1, dtype=torch.float64, device=edge_vec.device)
        own = (self.basis(zero).to(edge_vec.dtype), self.envelope(zero).to(edge_vec.dtype))

        known = self.embedding(species)
        x = known[:n_local]
        if self.neighbour_embedding is not None:
            x = self.neighbour_embedding(x, edges)
        v = torch.zeros(n_local, 3, self.width, dtype=x.dtype, device=x.device)

        for layer in self.layers:
            normed = layer.norm(x)
            if layer.vectors_in or self.neighbour_embedding is not None:
                source = layer.source(normed, v)
                if exchange:
                    source = torch.ops.egraff.ghost_exchange(source, n_nodes)
            else:  # nothing but the elements is known yet, and these everywhere
                source = layer.source(layer.norm(known), v)
            x, v = layer(x, v, normed, source, edges, own)

        x = self.norm(x)
        for block in self.readout:
            x, v = block(x, v)
        return x[:, 0]

    def _beyond_lower(
        self, species: Tensor, edge_index: Tensor, edge_vec: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Leave out the edges that are shorter than the lower cutoff."""
        if self.cutoffs is None:  # fused, hence without one
            return edge_index, edge_vec
        scaled = self.cutoffs(species, edge_index, edge_vec).scaled
        seen = torch.nonzero(scaled >= self.lower)[:, 0]
        return edge_index.index_select(1, seen), edge_vec.index_select(0, seen)

    def radial_functions(self, distances: Distances) -> tuple[Tensor, Tensor | None]:
        """Return basis and envelope; see :class:`ForceField`."""
        return self.basis(distances.scaled), self.envelope(distances.scaled)


ops.load()
