# SPDX-License-Identifier: GPL-2.0-or-later
"""What a domain-decomposed engine does, in Python: periodic images as ghost atoms of their own."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from egraff.graph import Graph


@dataclass(frozen=True)
class GhostedGraph:
    """A graph in which no edge points to an owner: every neighbour is a ghost row.

    Attributes:
        species: ``[n_local + n_ghosts]``.
        edge_index: ``[2, n_edges]``, row 1 counts from ``n_local``.
        owner: ``[n_ghosts]``, the local atom that each ghost is an image of.
    """

    species: Tensor
    edge_index: Tensor
    owner: Tensor


def with_ghosts(graph: Graph) -> GhostedGraph:
    """Replace the neighbour of every edge by a ghost atom of its own."""
    n_edges = graph.edge_index.shape[1]
    owner = graph.edge_index[1]
    ghosts = torch.arange(n_edges) + graph.n_atoms
    return GhostedGraph(
        species=torch.cat([graph.species, graph.species[owner]]),
        edge_index=torch.stack([graph.edge_index[0], ghosts]),
        owner=owner,
    )


class RecordedExchange:
    """Stands in for ``egraff::ghost_exchange``: gives ghosts their owners' rows, and keeps count.

    Attributes:
        widths: columns of each exchange, in the order in which they happened.
    """

    def __init__(self, owner: Tensor) -> None:
        self.owner = owner
        self.widths: list[int] = []

    def __call__(self, x: Tensor, n_nodes: int) -> Tensor:
        self.widths.append(x.shape[1])
        if x.shape[0] + self.owner.shape[0] != n_nodes:
            raise ValueError(f"{x.shape[0]} rows and {self.owner.shape[0]} ghosts, not {n_nodes}")
        return torch.cat([x, x[self.owner]])
