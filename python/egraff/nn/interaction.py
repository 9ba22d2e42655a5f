# SPDX-License-Identifier: GPL-2.0-or-later
"""Interaction blocks of MACE and BOTNet: messages from the features of an atom's neighbours.

The kinds differ in three choices. *Residual* kinds hand the incoming features, mapped by weights
of the atom's element, around the message; the others map the message itself. *Density* kinds
divide the message by one plus a learned, smooth count of the neighbours instead of by the mean
number of neighbours of the training set. *Agnostic* kinds make radial weights with a network that
does not know the elements, *element-dependent* ones with one matrix for each neighbour's element.
"""

from __future__ import annotations

import torch
from e3nn import o3
from torch import Tensor, nn

from egraff.nn.convolution import EdgeConvolution
from egraff.nn.edges import Edges, sum_at_centres
from egraff.nn.radial import RadialNetwork
from egraff.nn.species import SpeciesLinear

KINDS = (
    "real_agnostic",
    "real_agnostic_residual",
    "real_agnostic_density",
    "real_agnostic_density_residual",
    "element_dependent",
    "element_dependent_residual",
)


class ElementRadial(nn.Module):
    """Edge weights linear in the radial basis, with one matrix for each neighbour's element.

    Args:
        n_species: number of elements.
        n_radial: functions in the radial basis.
        n_weights: weights per edge.
    """

    def __init__(self, n_species: int, n_radial: int, n_weights: int) -> None:
        super().__init__()
        self.n_species = n_species
        self.n_columns = n_species * n_radial
        self.weight = nn.Parameter(torch.empty(n_species, n_radial, n_weights))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, radial: Tensor, neighbour: Tensor) -> Tensor:
        """Map the basis ``[n_edges, n_radial]`` to weights ``[n_edges, n_weights]``.

        Args:
            radial: values of the basis, envelope included.
            neighbour: ``[n_edges]``, species of the neighbour.
        """
        chosen = nn.functional.one_hot(neighbour, self.n_species).to(radial.dtype)
        columns = (chosen[:, :, None] * radial[:, None, :]).view(radial.shape[0], self.n_columns)
        return torch.mm(columns, self.weight.view(self.n_columns, self.weight.shape[2]))


class NeighbourCount(nn.Module):
    """A smooth number of neighbours: the sum over edges of tanh(d^2), d learnt."""

    def forward(self, edges: Edges, density: Tensor) -> Tensor:
        """Sum over the edges of each centre.

        Args:
            edges: those of the graph.
            density: d, ``[n_edges, 1]``.

        Returns:
            ``[n_local]``.
        """
        share = neighbour_share(density, edges.envelope)
        return sum_at_centres(share, edges.index[0], edges.n_local)


def neighbour_share(density: Tensor, envelope: Tensor | None) -> Tensor:
    """Return what an edge counts, ``[n_edges]``, from d, ``[n_edges, 1]``."""
    share = torch.tanh(density[:, 0] ** 2)
    return share if envelope is None else share * envelope


class Interaction(nn.Module):
    """One interaction block.

    Args:
        kind: one of :data:`KINDS`; the first four are named as in mace-torch.
        irreps_in: irreps of the incoming features.
        irreps_edge: irreps of the neighbours' features in the product with the harmonics.
        irreps_sh: irreps of the harmonics.
        irreps_message: irreps of the message.
        irreps_connection: irreps of the residual connection.
        n_radial: functions in the radial basis.
        radial_widths: hidden widths of the radial network.
        n_species: number of elements.
        avg_num_neighbours: divides the message, unless the density does.
        first: whether this is the first block, whose input is known for ghosts too.
    """

    #: linear maps of what the convolution reads and of what it gives (:mod:`egraff.fusion`)
    around_convolution = ("linear_up", "linear")

    def __init__(
        self,
        kind: str,
        *,
        irreps_in: o3.Irreps,
        irreps_edge: o3.Irreps,
        irreps_sh: o3.Irreps,
        irreps_message: o3.Irreps,
        irreps_connection: o3.Irreps,
        n_radial: int,
        radial_widths: list[int],
        n_species: int,
        avg_num_neighbours: float,
        first: bool,
    ) -> None:
        super().__init__()
        self.first = first
        self.residual = "residual" in kind
        self.scale = 1.0 / avg_num_neighbours
        self.linear_up = o3.Linear(irreps_in, irreps_edge)
        self.convolution = EdgeConvolution(irreps_edge, irreps_sh, irreps_message)
        n_weights = self.convolution.n_weights
        agnostic = "agnostic" in kind
        self.radial = RadialNetwork([n_radial, *radial_widths, n_weights]) if agnostic else None
        self.element_radial = None if agnostic else ElementRadial(n_species, n_radial, n_weights)
        self.linear = o3.Linear(self.convolution.irreps_out.simplify(), irreps_message)
        self.skip = (
            SpeciesLinear(irreps_in, irreps_connection, n_species)
            if self.residual
            else SpeciesLinear(irreps_message, irreps_message, n_species)
        )
        self.density = RadialNetwork([n_radial, 1]) if "density" in kind else None
        self.count = NeighbourCount()

    def fold_scales(self) -> None:
        """Put the constant factor of the message into the weights: no array is scaled any more."""
        if self.density is None and self.scale != 1.0:
            self.linear.weight.data.mul_(self.scale)
            self.scale = 1.0

    def forward(self, x: Tensor, edges: Edges, exchange: bool) -> tuple[Tensor, Tensor | None]:
        """Make the messages.

        Args:
            x: ``[n_nodes, irreps_in.dim]`` in the first block, ``[n_local, ...]`` later.
            edges: those of the graph.
            exchange: whether ghosts' features come from other ranks.

        Returns:
            Messages ``[n_local, irreps_message.dim]``, and the residual connection
            ``[n_local, irreps_connection.dim]`` of residual kinds.
        """
        species, n_local, envelope = edges.species, edges.n_local, edges.envelope
        local = species[:n_local]
        sent = self.linear_up(x)
        if exchange and not self.first:
            sent = torch.ops.egraff.ghost_exchange(sent, species.shape[0])
        if self.radial is not None:
            weights = self.radial(edges.radial)
        else:
            weights = self.element_radial(edges.radial, species[edges.index[1]])
        if envelope is not None:
            weights = weights * envelope[:, None]
        message = self.linear(self.convolution(sent, edges, weights))
        if self.density is not None:
            count = self.count(edges, self.density(edges.radial))
            message = message / (count + 1.0)[:, None]
        elif self.scale != 1.0:
            message = message * self.scale
        if self.residual:
            return message, self.skip(x[:n_local], local)
        return self.skip(message, local), None
