# SPDX-License-Identifier: GPL-2.0-or-later
"""A seventh architecture, from outside egraff: all that another package has to write.

SchNet in short (K. T. Schütt et al., J. Chem. Phys. 148, 241722 (2018)): invariant features and
continuous-filter convolutions,

    x_i' = x_i + W2 act( sum_j (W1 x_j) . MLP( B(r_ij) u(r_ij) ) ).
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from egraff import ops
from egraff.models import register
from egraff.models.isolated import IsolatedAtomConfig, IsolatedAtomForceField
from egraff.nn.radial import BesselBasis, PolynomialCutoff, RadialNetwork


class SchNetConfig(IsolatedAtomConfig):
    """Options of SchNet beyond those of every model.

    Attributes:
        n_layers: interaction layers.
        width: channels.
        n_basis: radial basis functions.
    """

    presets: ClassVar[dict[str, dict[str, Any]]] = {"small": {"n_layers": 3, "width": 32}}
    tiny: ClassVar[dict[str, Any]] = {"n_layers": 2, "width": 24, "n_basis": 8}

    n_layers: int = Field(default=3, ge=1)
    width: int = Field(default=64, ge=1)
    n_basis: int = Field(default=8, ge=1)


@register
class SchNet(IsolatedAtomForceField):
    """The SchNet force field; see the module's text for the equation."""

    architecture = "schnet"
    citations: ClassVar[list[str]] = [
        "SchNet: K. T. Schütt et al., J. Chem. Phys. 148, 241722 (2018), doi:10.1063/1.5019779",
    ]
    Config = SchNetConfig

    def __init__(self, config: SchNetConfig) -> None:
        super().__init__(config)
        self.basis = BesselBasis(config.n_basis, config.r_max)
        self.envelope = PolynomialCutoff()
        self.embedding = nn.Embedding(self.n_species, config.width)
        self.layers = nn.ModuleList(
            Interaction(config, first=number == 0) for number in range(config.n_layers)
        )
        self.readout = nn.Sequential(
            nn.Linear(config.width, config.width), nn.SiLU(), nn.Linear(config.width, 1)
        )
        # the first layer reads elements, which are known everywhere
        self.exchange_widths = [config.width] * (config.n_layers - 1)

    def network(
        self, species: Tensor, edge_index: Tensor, edge_vec: Tensor, n_local: int, exchange: bool
    ) -> Tensor:
        """Return the network's output per local atom, ``[n_local]``."""
        x = self.cutoffs(species, edge_index, edge_vec).scaled
        radial = (self.basis(x) * self.envelope(x)[:, None]).to(edge_vec.dtype)
        features = self.embedding(species)
        for layer in self.layers:
            features = layer(features, edge_index, radial, species.shape[0], n_local, exchange)
        return self.readout(features)[:, 0]


class Interaction(nn.Module):
    """One continuous-filter convolution beside an identity."""

    def __init__(self, config: SchNetConfig, *, first: bool) -> None:
        super().__init__()
        self.first = first
        self.scale = 1.0 / config.avg_num_neighbours
        self.sent = nn.Linear(config.width, config.width)
        self.filter = RadialNetwork([config.n_basis, config.width, config.width])
        self.update = nn.Sequential(nn.SiLU(), nn.Linear(config.width, config.width))

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        radial: Tensor,
        n_nodes: int,
        n_local: int,
        exchange: bool,
    ) -> Tensor:
        """Update ``[n_local, width]``; in the first layer, ``x`` has the rows of all nodes."""
        sent = self.sent(x)
        if exchange and not self.first:
            sent = torch.ops.egraff.ghost_exchange(sent, n_nodes)
        messages = sent.index_select(0, edge_index[1]) * self.filter(radial)
        x = x[:n_local]
        around = torch.zeros_like(x).index_add(0, edge_index[0], messages)
        return x + self.update(around * self.scale)


ops.load()
