# SPDX-License-Identifier: GPL-2.0-or-later
"""What the fusing of both transformers has in common.

All their functions of the distance are functions of distance / cutoff, the same for all pairs of
elements. So every layer has one table.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from egraff.models.isolated import IsolatedAtomForceField
from egraff.nn.radial_table import KNOT_NUMBERS, Grid, Taylor, tabulate

EVEN_GRID = Grid()


class TabulatedEdges:
    """Takes the place of two methods of a model whose layers read tables."""

    def embed_edges(
        self, species: Tensor, edge_index: Tensor, edge_vec: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Hand through what fused layers read."""
        return edge_vec, species, edge_vec

    def isolated_atoms(self, edge_index: Tensor, edge_vec: Tensor) -> Tensor:
        """Return the network's output for an atom of each element alone, ``[n_species]``."""
        return self.alone


class DistanceTables:
    """The tables of one model, and what is reported of them.

    Args:
        model: the plain model.
        grid: where the knots lie.
        tolerance: bounds on the errors of the tables and of their derivatives.

    Attributes:
        grid: where the knots lie.
        dtype: floating-point type of the model.
        pair_scale: ``[n_species, n_species]`` float64, 1 / cutoff in 1/Angstrom, row = centre.
        reports: of each table its layer's name, tables, knots, errors, bytes.
    """

    def __init__(
        self, model: IsolatedAtomForceField, grid: Grid, tolerance: tuple[float, float]
    ) -> None:
        self.grid = grid
        self.dtype: torch.dtype = getattr(torch, model.dtype)
        n_species = len(model.elements)
        cutoffs = model.pair_cutoffs or [[model.r_max] * n_species] * n_species
        self.pair_scale = 1.0 / torch.tensor(cutoffs, dtype=torch.float64)
        self.reports: list[dict[str, int | float | str]] = []
        self._tolerance = tolerance

    def add(
        self,
        name: str,
        functions: Callable[[Tensor], Tensor],
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """Tabulate functions of x = distance / cutoff.

        Args:
            name: of their layer.
            functions: maps ``[n]`` to ``[n, n_functions]``, twice differentiable in forward mode.
            dtype: of the operator's table, by default the model's.

        Returns:
            ``[n_knots, 3, n_functions]`` float64, as in
            :class:`egraff.nn.radial_table.RadialTable`.

        Raises:
            EgraffError: the functions are not smooth.
        """
        result = tabulate(
            lambda position: _taylor(functions, self.grid, position),
            tolerance=self._tolerance[0],
            derivative_tolerance=self._tolerance[1],
            zero_at_cutoff=False,
        )
        n_numbers = result.n_knots * KNOT_NUMBERS * result.knots.shape[2]
        self.reports.append(
            {
                "layer": name,
                "n_tables": 1,
                "n_knots": result.n_knots,
                "error": result.error,
                "derivative_error": result.derivative_error,
                "bytes": n_numbers * (dtype or self.dtype).itemsize,
            }
        )
        return result.knots


def register_isolated_atoms(fused: IsolatedAtomForceField) -> None:
    """Store what the network of a fused model gives an atom of each element alone."""
    n_species = len(fused.elements)
    no_index = torch.zeros(2, 0, dtype=torch.int64)
    no_vec = torch.zeros(0, 3, dtype=getattr(torch, fused.dtype))
    with torch.no_grad():
        alone = fused.network(torch.arange(n_species), no_index, no_vec, n_species, False)
    fused.register_buffer("alone", alone)


def _taylor(functions: Callable[[Tensor], Tensor], grid: Grid, position: Tensor) -> Taylor:
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
