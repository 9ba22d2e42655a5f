# SPDX-License-Identifier: GPL-2.0-or-later
"""Architectures with a readout in each layer, whose energies they add: MACE and BOTNet."""

from __future__ import annotations

import torch
from torch import Tensor

from egraff.models.isolated import IsolatedAtomConfig, IsolatedAtomForceField


class ReadoutsForceField(IsolatedAtomForceField):
    """Base of these architectures; subclasses make ``embedding`` and ``layers``."""

    def __init__(self, config: IsolatedAtomConfig) -> None:
        super().__init__(config)
        # without a residual connection in the first layer, no neighbours means no energy
        self.subtract_isolated = self.subtract_isolated and "residual" in config.interaction_first

    def network(
        self, species: Tensor, edge_index: Tensor, edge_vec: Tensor, n_local: int, exchange: bool
    ) -> Tensor:
        """Return the sum of the readouts for each local atom, ``[n_local]``."""
        edges = self.embed_edges(species, edge_index, edge_vec, n_local)
        features = self.embedding(species)
        energy = torch.zeros(n_local, dtype=edge_vec.dtype, device=edge_vec.device)
        for layer in self.layers:
            features = layer(features, edges, exchange)
            if layer.readout is not None:
                energy = energy + layer.readout(features)
        return energy
