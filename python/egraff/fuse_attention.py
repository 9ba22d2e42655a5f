# SPDX-License-Identifier: GPL-2.0-or-later
"""Swap the layers of an equivariant transformer for fused ones, before it is exported.

All its functions of the distance are functions of distance / cutoff, the same for all pairs of
elements. So every layer has one table.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from egraff.models.torchmd_net import TorchMDNet
from egraff.nn.fused_attention import (
    FusedNeighbourEmbedding,
    FusedScalarVectorAttention,
    distance_filters,
)
from egraff.nn.radial_table import KNOT_NUMBERS, Grid, RadialTable, Taylor, tabulate
from egraff.nn.smearing import ExpNormalBasis

# Gaussians in exp(-5 x) are narrow at short distance: five times fewer knots than on an even grid.
EXPNORM_GRID = Grid(stretch=10.0)
EVEN_GRID = Grid()


class FusedTorchMDNet(TorchMDNet):
    """A transformer whose layers have been swapped by :func:`fuse_attention`."""

    def embed_edges(
        self, species: Tensor, edge_index: Tensor, edge_vec: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Hand through what fused layers read."""
        return edge_vec, species, edge_vec

    def isolated_atoms(self, edge_index: Tensor, edge_vec: Tensor) -> Tensor:
        """Return the network's output for an atom of each element alone, ``[n_species]``."""
        return self.alone


def fuse_attention(
    model: TorchMDNet, fused: TorchMDNet, tolerance: tuple[float, float]
) -> list[dict[str, int | float | str]]:
    """Swap the layers of ``fused``.

    Args:
        model: a plain model; it is not changed.
        fused: a copy of it, which becomes a :class:`FusedTorchMDNet`.
        tolerance: bounds on the errors of the tables and of their derivatives.

    Returns:
        For each fused layer: its name, tables, knots, errors, bytes.

    Raises:
        EgraffError: the functions of the distance are not smooth.
    """
    exact = copy.deepcopy(model).to(torch.float64)
    grid = EXPNORM_GRID if isinstance(exact.basis, ExpNormalBasis) else EVEN_GRID
    n_species = len(model.elements)
    cutoffs = torch.tensor(
        model.pair_cutoffs or [[model.r_max] * n_species] * n_species, dtype=torch.float64
    )
    pair_scale, dtype = 1.0 / cutoffs, getattr(torch, model.dtype)
    reports = []

    def table(
        name: str, filters: Callable[[Tensor, Tensor], Tensor], knot_numbers: int
    ) -> RadialTable:
        def functions(x: Tensor) -> Tensor:
            return filters(exact.basis(x), exact.envelope(x))

        result = distance_table(functions, grid, tolerance)
        reports.append(
            {
                "layer": name,
                "n_tables": 1,
                "n_knots": result.n_knots,
                "error": result.error,
                "derivative_error": result.derivative_error,
                "bytes": result.n_knots * knot_numbers * result.knots.shape[2] * dtype.itemsize,
            }
        )
        return result

    if exact.neighbour_embedding is not None:
        plain = exact.neighbour_embedding

        def embedding_filter(radial: Tensor, envelope: Tensor) -> Tensor:
            return plain.filter(radial) * envelope[:, None]

        fused.neighbour_embedding = FusedNeighbourEmbedding(
            fused.neighbour_embedding,
            table("neighbour_embedding", embedding_filter, 3).knots,
            grid=grid,
            pair_scale=pair_scale,
            dtype=dtype,
        )
    at_zero = exact.basis(torch.zeros(1, dtype=torch.float64))
    one = torch.ones(1, dtype=torch.float64)
    for k, layer in enumerate(exact.layers):

        def filters(radial: Tensor, envelope: Tensor, layer=layer) -> Tensor:
            return distance_filters(layer, radial, envelope)

        fused.layers[k] = FusedScalarVectorAttention(
            fused.layers[k],
            table(f"layers.{k}", filters, KNOT_NUMBERS).knots,
            filters(at_zero, one)[0].detach(),
            grid=grid,
            pair_scale=pair_scale,
            attention_act=model.config.attn_activation,
            dtype=dtype,
        )
    fused.__class__ = FusedTorchMDNet
    no_index, no_vec = torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0, 3, dtype=dtype)
    with torch.no_grad():
        alone = fused.network(torch.arange(n_species), no_index, no_vec, n_species, False)
    fused.register_buffer("alone", alone)
    return reports


def distance_table(
    functions: Callable[[Tensor], Tensor], grid: Grid, tolerance: tuple[float, float]
) -> RadialTable:
    """Tabulate functions of x = distance / cutoff.

    Args:
        functions: maps ``[n]`` to ``[n, n_functions]``, differentiable.
        grid: where the knots lie.
        tolerance: bounds on the errors of the table and of its derivative.

    Raises:
        EgraffError: the functions are not smooth.
    """
    return tabulate(
        lambda position: taylor(functions, grid, position),
        tolerance=tolerance[0],
        derivative_tolerance=tolerance[1],
        zero_at_cutoff=False,
    )


def taylor(functions: Callable[[Tensor], Tensor], grid: Grid, position: Tensor) -> Taylor:
    """Return functions of x, and two derivatives by the position on a grid, at ``position``."""
    x, first, second = grid.length(position)

    # along the parabola that touches x(s): its derivatives are the chain rule
    def along(step: Tensor) -> Tensor:
        return functions(x + step * first + 0.5 * step**2 * second)

    def slope_along(step: Tensor) -> tuple[Tensor, Tensor]:
        return torch.func.jvp(along, (step,), (one,))

    zero, one = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
    (value, slope), (_, curvature) = torch.func.jvp(slope_along, (zero,), (one,))
    return value.detach(), slope.detach(), curvature.detach()
