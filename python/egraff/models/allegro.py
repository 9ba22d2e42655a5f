# SPDX-License-Identifier: GPL-2.0-or-later
"""Allegro: a strictly local equivariant model; states live on edges and never travel.

A. Musaelian, S. Batzner, A. Johansson, L. Sun, C. J. Owen, M. Kornbluth, B. Kozinsky, Nat. Commun.
14, 579 (2023), arXiv:2204.05249. The details follow nequip-allegro 0.8: no biases anywhere, and
scalars of all layers side by side instead of the paper's residual sum (``latent_update``).

    x_ij^0  = MLP( [emb(Z_i), emb'(Z_j)] . (W B(r_ij) u(r_ij)) )            two-body embedding
    V_ij^0  = (W x_ij^0) . Y(r_ij)                                          tensor features
    G_i^L   = 1/sqrt(N) sum_k w_ik^L . Y(r_ik)                              environment
    V_ij^L  = sum_paths w_p ( V_ij^(L-1) (x)_p G_i^L )                      tensor track
    x_ij^L  = MLP( x_ij^0, ..., x_ij^(L-1), scalars of V_ij^L )             scalar track
    E_i     = shift[Z_i] + scale[Z_i] / sqrt(2 N) sum_j MLP( x_ij^0, ..., x_ij^L )

The weights w^(L+1) are further outputs of the network that makes x^L.

====================  ==========================================================
paper                 here
====================  ==========================================================
r_c, u                ``r_max``, ``Allegro.envelope``
two-body MLP          ``TwoBodyEmbedding``, ``Allegro.embedding_network``
x^L (scalar track)    ``latents``
V^L (tensor track)    ``tensors``
w^L (environment)     ``environment_weights``
(x)                   ``AllegroLayer.product`` (``nn.edge_tensors.ChannelProduct``)
latent MLP            ``AllegroLayer.network``
E_ij                  ``Allegro.readout``
sigma, mu             ``energy_scale``, ``energy_shift``
====================  ==========================================================

An atom's energy depends on nothing but its own neighbours, so a run on several ranks needs no
exchange inside the model.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from e3nn import o3
from torch import Tensor, nn

from egraff.models.allegro_config import AllegroConfig
from egraff.models.base import ForceField
from egraff.models.originals import NEQUIP_RECIPE, Original
from egraff.models.registry import register
from egraff.nn.edge_tensors import ChannelProduct, WeightedHarmonics
from egraff.nn.edges import Distances, sum_at_centres
from egraff.nn.radial import BesselBasis, PolynomialCutoff, RadialNetwork
from egraff.nn.species import NeighbourNorm
from egraff.nn.spline import PairSpline


@register
class Allegro(ForceField):
    """The Allegro force field; see the module's text for the equations."""

    architecture = "allegro"
    citations: ClassVar[list[str]] = [
        "Allegro: A. Musaelian et al., Nat. Commun. 14, 579 (2023), doi:10.1038/s41467-023-36329-y",
    ]
    Config = AllegroConfig
    original = Original("nequip-allegro", NEQUIP_RECIPE)

    def __init__(self, config: AllegroConfig) -> None:
        super().__init__(config)
        irreps_sh = o3.Irreps.spherical_harmonics(config.l_max)
        self.n_scalars = config.n_scalar_features
        self.n_tensors = config.n_tensor_features
        self.residual = config.latent_update == "residual"
        self.norm = NeighbourNorm(config.neighbour_counts())

        self.harmonics = o3.SphericalHarmonics(irreps_sh, True, "component")
        self.two_body = TwoBodyEmbedding(config)
        self.embedding_network = RadialNetwork(
            [config.two_body_channels(), *config.embedding_hidden, self.n_scalars],
            nonlinearity=config.embedding_nonlinearity,
        )
        self.first_tensors = WeightedHarmonics(irreps_sh, self.n_tensors)
        self.environment = WeightedHarmonics(
            irreps_sh, self.n_tensors, individual=config.individual_weights
        )
        n_weights = self.environment.n_weights
        self.tensor_weights = RadialNetwork([self.n_scalars, self.first_tensors.n_weights])
        self.first_projection = RadialNetwork([self.n_scalars, self.n_scalars + n_weights])

        track = tensor_track(config, irreps_sh)
        self.layers = nn.ModuleList(
            AllegroLayer(
                config,
                ChannelProduct(
                    track[number],
                    irreps_sh,
                    track[number + 1],
                    self.n_tensors,
                    coupled=config.path_channel_coupling,
                ),
                n_blocks=1 if self.residual else number + 1,
                n_weights=n_weights if number < config.n_layers - 1 else 0,
            )
            for number in range(config.n_layers)
        )
        self.readout = RadialNetwork(
            [
                self.n_scalars * (1 if self.residual else config.n_layers + 1),
                *config.readout_hidden,
                1,
            ],
            nonlinearity=config.readout_nonlinearity,
        )
        self.scale_shift = config.scale_shift()

    def forward(
        self, species: Tensor, edge_index: Tensor, edge_vec: Tensor, n_local: int
    ) -> dict[str, Tensor]:
        """Evaluate the model; see :mod:`egraff.models.base` for the contract."""
        centre = edge_index[0]
        harmonics = self.harmonics(edge_vec)

        distances = self.cutoffs(species, edge_index, edge_vec)
        two_body = self.embedding_network(self.two_body(distances))
        tensors = self.first_tensors(harmonics, self.tensor_weights(two_body))
        projection = self.first_projection(two_body)
        latents = projection[:, : self.n_scalars]
        environment_weights = projection[:, self.n_scalars :]

        for layer in self.layers:
            weighted = self.environment(harmonics, environment_weights)
            environment = sum_at_centres(weighted, centre, n_local)
            environment = self.norm(environment, species[:n_local]).index_select(0, centre)
            tensors, latents, environment_weights = layer(tensors, latents, environment)

        edge_energy = self.readout(latents)[:, 0]
        # each pair is counted from both ends: two independent terms for one unit of variance
        energy = self.norm(sum_at_centres(edge_energy, centre, n_local), species[:n_local])
        energy = energy * math.sqrt(0.5)
        return {"atomic_energy": self.scale_shift(energy, species[:n_local])}


class AllegroLayer(nn.Module):
    """One layer: the tensor product with the environment, and the scalar network it feeds.

    Args:
        config: the model's options.
        product: the tensor product.
        n_blocks: how many layers' scalars come in side by side.
        n_weights: environment weights that the next layer needs.
    """

    def __init__(
        self, config: AllegroConfig, product: ChannelProduct, *, n_blocks: int, n_weights: int
    ) -> None:
        super().__init__()
        self.n_scalars = config.n_scalar_features
        self.product = product
        self.network = RadialNetwork(
            [
                self.n_scalars * n_blocks + config.n_tensor_features,
                *config.latent_hidden,
                self.n_scalars + n_weights,
            ],
            nonlinearity=config.latent_nonlinearity,
        )
        # sigmoid(0) = 1/2: a new layer starts with half the amplitude of what was there
        residual = config.latent_update == "residual"
        self.update_ratio = nn.Parameter(torch.zeros(())) if residual else None

    def forward(
        self, tensors: Tensor, latents: Tensor, environment: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Update both tracks.

        Args:
            tensors: ``[n_edges, n_tensor_features, dim]``.
            latents: ``[n_edges, n_blocks * n_scalar_features]``.
            environment: ``[n_edges, n_tensor_features, harmonics]`` of each edge's centre.

        Returns:
            Tensors, latents, and ``[n_edges, n_weights]`` for the next environment.
        """
        tensors = self.product(tensors, environment)
        # scalars come first in every layer's irreps
        new = self.network(torch.cat([latents, tensors[:, :, 0]], dim=1))
        weights = new[:, self.n_scalars :]
        new = new[:, : self.n_scalars]
        if self.update_ratio is None:
            return tensors, torch.cat([latents, new], dim=1), weights
        ratio = torch.sigmoid(self.update_ratio)
        return tensors, (latents + ratio * new) * torch.rsqrt(1.0 + ratio * ratio), weights


class TwoBodyEmbedding(nn.Module):
    """Channels for each edge from its length and its two elements, zero at the cutoff."""

    def __init__(self, config: AllegroConfig) -> None:
        super().__init__()
        n_species = len(config.elements)
        channels = config.two_body_channels()
        self.n_species = n_species
        self.spline = None
        self.basis = None
        if config.radial_basis == "spline":
            self.spline = PairSpline(
                n_species * n_species, channels, config.n_splines, config.spline_span
            )
            return
        self.basis = BesselBasis(config.n_bessel, config.r_max, trainable=config.bessel_trainable)
        # the package's basis has no prefactor
        self.scale = 1.0 / self.basis.prefactor
        self.envelope = PolynomialCutoff(config.cutoff_p)
        self.projection = RadialNetwork([config.n_bessel, channels])
        self.centre = nn.Embedding(n_species, channels // 2)
        self.neighbour = nn.Embedding(n_species, channels // 2)

    def forward(self, distances: Distances) -> Tensor:
        """Embed edges, as ``[n_edges, channels]``."""
        x, centre, neighbour = distances.scaled, distances.centre, distances.neighbour
        if self.spline is not None:
            return self.spline(x, centre * self.n_species + neighbour)
        radial = self.basis(x) * (self.envelope(x) * self.scale)[:, None]
        elements = torch.cat([self.centre(centre), self.neighbour(neighbour)], dim=1)
        return elements * self.projection(radial.to(elements.dtype))


def tensor_track(config: AllegroConfig, irreps_sh: o3.Irreps) -> list[o3.Irreps]:
    """Return the irreps of the tensor features before and after every layer, ``[n_layers + 1]``.

    Only irreps that can be made, and that can still contribute to a scalar at the end, are kept.
    """
    allowed = irreps_sh
    if config.parity:
        allowed = o3.Irreps([(1, (order, p)) for order in range(config.l_max + 1) for p in (1, -1)])
    track = [irreps_sh]
    for layer in range(config.n_layers):
        wanted = o3.Irreps("0e") if layer == config.n_layers - 1 else allowed
        made = {ir for _, a in track[-1] for _, b in irreps_sh for ir in a * b}
        track.append(o3.Irreps([block for block in wanted if block.ir in made]))
    for layer in range(config.n_layers - 1, -1, -1):
        useful = [
            block
            for block in track[layer]
            if any(ir in track[layer + 1] for _, b in irreps_sh for ir in block.ir * b)
        ]
        track[layer] = o3.Irreps(useful)
    return track
