# SPDX-License-Identifier: GPL-2.0-or-later
"""Random edges between atoms of two elements, to compare operators on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class RandomGraph:
    """Atoms and edges.

    Attributes:
        species: ``[n_nodes]``, 0 or 1.
        edge_index: ``[2, n_edges]``, centres ascending.
        edge_vec: ``[n_edges, 3]`` float64 in Angstrom.
    """

    species: Tensor
    edge_index: Tensor
    edge_vec: Tensor


def random_graph(
    generator: torch.Generator,
    *,
    n_local: int,
    n_ghost: int,
    n_edges: int,
    inside: Tensor | None = None,
) -> RandomGraph:
    """Draw a graph, whose edges may be several between two atoms, and lead to ghosts.

    Args:
        generator: of random numbers.
        n_local: atoms that are centres.
        n_ghost: further atoms.
        n_edges: directed edges.
        inside: ``[2, 2]`` cutoffs in Angstrom, row = centre, of which edges have 0.2 to 0.95.
            Without them lengths are from 0.5 to 3.9 Angstrom.
    """
    n_nodes = n_local + n_ghost
    centre = torch.randint(0, max(n_local, 1), (n_edges,), generator=generator).sort().values
    neighbour = torch.randint(0, max(n_nodes, 1), (n_edges,), generator=generator)
    species = torch.randint(0, 2, (n_nodes,), generator=generator)
    direction = torch.randn(n_edges, 3, dtype=torch.float64, generator=generator)
    direction = direction / torch.linalg.vector_norm(direction, dim=1, keepdim=True)
    share = torch.rand(n_edges, 1, dtype=torch.float64, generator=generator)
    if inside is None:
        length = 0.5 + 3.4 * share
    elif n_edges:
        length = (0.2 + 0.75 * share) * inside[species[centre], species[neighbour]][:, None]
    else:
        length = share
    return RandomGraph(species, torch.stack([centre, neighbour]), direction * length)
