# SPDX-License-Identifier: GPL-2.0-or-later
"""What models read of the edges of a graph."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from egraff.nn.radial import edge_lengths


class Distances(NamedTuple):
    """Lengths of edges, and whose they are.

    Attributes:
        length: ``[n_edges]`` float64 in Angstrom.
        scaled: ``[n_edges]`` float64, length / cutoff of the pair of elements.
        centre: ``[n_edges]`` species of the receiving atoms.
        neighbour: ``[n_edges]`` species of the others.
    """

    length: Tensor
    scaled: Tensor
    centre: Tensor
    neighbour: Tensor


class PairCutoffs(nn.Module):
    """The cutoff of every pair of elements.

    Derived from a model's options alone and in float64 whatever the model's type: it is not part of
    a checkpoint, so never rounded by one.

    Args:
        r_max: cutoff in Angstrom.
        n_species: number of elements.
        table: ``[n_species][n_species]`` in Angstrom, row = receiving centre; None where all are
            ``r_max``.
    """

    def __init__(self, r_max: float, n_species: int, table: list[list[float]] | None) -> None:
        super().__init__()
        self.n_species = n_species
        cutoffs = torch.tensor(table or [[r_max] * n_species] * n_species, dtype=torch.float64)
        self.register_buffer("inverse", (1.0 / cutoffs).flatten(), False)

    def forward(self, species: Tensor, index: Tensor, vector: Tensor) -> Distances:
        """Measure edges.

        Args:
            species: ``[n_nodes]``.
            index: ``[2, n_edges]``, row 0 the receiving centre.
            vector: ``[n_edges, 3]`` in Angstrom.
        """
        centre, neighbour = species[index[0]], species[index[1]]
        length = edge_lengths(vector)
        scaled = length * self.inverse[centre * self.n_species + neighbour]
        return Distances(length, scaled, centre, neighbour)

    def pair_scale(self) -> Tensor:
        """Return 1 / cutoff in 1/Angstrom, ``[n_species, n_species]`` float64, row = centre."""
        return self.inverse.view(self.n_species, self.n_species)
