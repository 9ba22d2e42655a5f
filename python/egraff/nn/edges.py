# SPDX-License-Identifier: GPL-2.0-or-later
"""What models read from the edges of a graph.

No ``from __future__ import annotations`` here: TorchScript reads the types of named tuples.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from egraff.nn.radial import edge_lengths


class Distances(NamedTuple):
    """Lengths of the edges, and the species at their ends.

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


class Edges(NamedTuple):
    """Everything that a layer reads from the edges, in its plain form or its fused one.

    The plain form reads harmonics and functions of the distance. The fused form has tables of
    these functions, so it reads vectors and species; in a fused model the other arrays have no
    columns.

    Attributes:
        vector: ``[n_edges, 3]`` in Angstrom.
        index: ``[2, n_edges]``, row 0 the receiving centre, ascending, row 1 the neighbour.
        species: ``[n_nodes]``.
        n_local: number of receiving atoms.
        harmonics: ``[n_edges, irreps_sh.dim]``, or directions where a model reads those.
        radial: ``[n_edges, n_basis]``.
        envelope: ``[n_edges]`` where it is not part of ``radial``.
    """

    vector: Tensor
    index: Tensor
    species: Tensor
    n_local: int
    harmonics: Tensor
    radial: Tensor
    envelope: Tensor | None


def bare_edges(species: Tensor, index: Tensor, vector: Tensor, n_local: int) -> Edges:
    """Return the edges of a fused model."""
    nothing = vector.new_zeros(vector.shape[0], 0)
    return Edges(vector, index, species, n_local, nothing, nothing, None)


def envelope_of(edges: Edges) -> Tensor:
    """Return the envelope of a model that keeps it apart from the basis."""
    envelope = edges.envelope
    assert envelope is not None
    return envelope


def sum_at_centres(values: Tensor, centre: Tensor, n_local: int) -> Tensor:
    """Sum values of edges over the edges of each centre.

    Args:
        values: ``[n_edges, ...]``.
        centre: ``[n_edges]``, whose edges they are.
        n_local: number of centres.

    Returns:
        ``[n_local, ...]``.
    """
    return values.new_zeros([n_local] + list(values.shape[1:])).index_add(0, centre, values)


class UnitVectors(nn.Module):
    """Directions, where other models have harmonics."""

    def forward(self, vector: Tensor) -> Tensor:
        """Map ``[n_edges, 3]`` to the same shape."""
        return (vector / edge_lengths(vector)[:, None]).to(vector.dtype)


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

    def at(self, pairs: Tensor, scaled: Tensor) -> Distances:
        """Return distances of given lengths.

        Args:
            pairs: ``[n]``, centre * n_species + neighbour.
            scaled: ``[n]``, length / cutoff.
        """
        length = scaled / self.inverse[pairs]
        return Distances(length, scaled, pairs // self.n_species, pairs % self.n_species)

    def pair_scale(self) -> Tensor:
        """Return 1 / cutoff in 1/Angstrom, ``[n_species, n_species]`` float64, row = centre."""
        return self.inverse.view(self.n_species, self.n_species)
