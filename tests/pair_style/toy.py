# SPDX-License-Identifier: GPL-2.0-or-later
"""A small message-passing model for tests of the engine.

Three layers, unless told otherwise, hence two exchanges, with scalars and vectors, different for
every pair of species, smooth at the cutoff. It honours the model contract and is evaluated in a
few milliseconds.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from egraff.models.base import ForceField, ModelConfig


class ToyConfig(ModelConfig):
    """Scalars and vectors per atom; 3 and 2 make rows of an odd number of columns.

    ``fails_below`` makes ranks fail that have ghosts and own fewer atoms, in the last layer.
    """

    n_layers: int = 3
    fails_below: int = 0
    n_scalars: int = 3
    n_vectors: int = 2
    seed: int = 0


class Toy(ForceField):
    """Scalars s and vectors v; m_ij = sum_k w_k(z_i, z_j, d) (s_j, v_j . r, s_j r, v_j)."""

    architecture: ClassVar[str] = "toy"
    citations: ClassVar[list[str]] = ["A toy, for tests; cite nobody"]
    Config: ClassVar[type[ModelConfig]] = ToyConfig

    def __init__(self, config: ToyConfig) -> None:
        super().__init__(config)
        self.n_scalars, self.n_vectors = config.n_scalars, config.n_vectors
        self.width = self.n_scalars + 3 * self.n_vectors
        self.n_species = len(self.elements)
        self.n_layers = config.n_layers
        self.fails_below = config.fails_below
        self.exchange_widths = [self.width] * (self.n_layers - 1)
        self.outputs = ["atomic_energy", "charge"]
        generator = torch.Generator().manual_seed(config.seed)
        dtype = getattr(torch, self.dtype)

        def weights(*shape: int) -> nn.Parameter:
            values = torch.randn(*shape, generator=generator, dtype=torch.float64)
            return nn.Parameter(values.to(dtype))

        pairs = self.n_species**2
        self.embedding = weights(self.n_species, self.n_scalars)
        self.radial = weights(self.n_layers, pairs, 4)
        self.mix_scalars = weights(
            self.n_layers, 2 * self.n_vectors + self.n_scalars, self.n_scalars
        )
        self.mix_vectors = weights(self.n_layers, self.n_scalars + self.n_vectors, self.n_vectors)
        self.readout = weights(self.n_layers, self.n_scalars)
        self.shift = nn.Parameter(torch.tensor(config.energy_shift, dtype=torch.float64))
        table = self.pair_cutoffs or [[self.r_max] * self.n_species] * self.n_species
        self.register_buffer("cutoff_of_pair", torch.tensor(table, dtype=dtype).flatten())

    def forward(
        self, species: Tensor, edge_index: Tensor, edge_vec: Tensor, n_local: int
    ) -> dict[str, Tensor]:
        n_nodes = species.shape[0]
        centre, other = edge_index[0], edge_index[1]
        pair = species[centre] * self.n_species + species[other]
        square = (edge_vec**2).sum(1)
        distance = square.sqrt()
        envelope = torch.relu(1 - square / self.cutoff_of_pair[pair] ** 2) ** 3
        scalars = self.embedding[species]
        vectors = torch.zeros(
            n_nodes, self.n_vectors, 3, device=edge_vec.device, dtype=edge_vec.dtype
        )
        energy = edge_vec.new_zeros(n_local)
        for layer in range(self.n_layers):
            waves = torch.cos(distance[:, None] * self.radial[layer][pair] * (math.pi / self.r_max))
            waves = waves * envelope[:, None] * 0.15
            s, v = scalars[other], vectors[other]
            dot = (v * edge_vec[:, None, :]).sum(2)
            norm = (v * v).sum(2)
            from_scalars = torch.cat([s, dot, norm], dim=1) * waves[:, 0:1]
            from_vectors = torch.cat(
                [
                    s[:, :, None] * (edge_vec[:, None, :] * waves[:, 1, None, None]),
                    v * waves[:, 2, None, None],
                ],
                dim=1,
            )
            new_s = from_scalars.new_zeros(n_local, from_scalars.shape[1])
            new_s = new_s.index_add(0, centre, from_scalars)
            new_v = from_vectors.new_zeros(n_local, from_vectors.shape[1], 3)
            new_v = new_v.index_add(0, centre, from_vectors)
            local_s = torch.tanh(
                new_s @ self.mix_scalars[layer] + self.embedding[species[:n_local]]
            )
            local_v = torch.einsum("nic,io->noc", new_v, self.mix_vectors[layer])
            energy = energy + torch.tanh(local_s) @ self.readout[layer]
            if layer == self.n_layers - 1 and n_local < min(self.fails_below, n_nodes):
                raise RuntimeError("a member fails")
            if layer < self.n_layers - 1:
                rows = torch.cat([local_s, local_v.reshape(n_local, 3 * self.n_vectors)], dim=1)
                rows = torch.ops.egraff.ghost_exchange(rows, n_nodes)
                scalars = rows[:, : self.n_scalars]
                vectors = rows[:, self.n_scalars :].reshape(n_nodes, self.n_vectors, 3)
            else:
                scalars = local_s
        return {
            "atomic_energy": energy.to(torch.float64) + self.shift[species[:n_local]],
            "charge": scalars[:, 0],
        }


def toy(**options: object) -> Toy:
    """Build a toy for H and O; see :class:`ToyConfig`."""
    settings = {"elements": ["H", "O"], "r_max": 4.0, "dtype": "float64"}
    settings |= {"energy_shift": [-1.5, -3.25], **options}
    return Toy(ToyConfig(**settings))
