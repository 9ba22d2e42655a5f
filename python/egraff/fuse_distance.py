# SPDX-License-Identifier: GPL-2.0-or-later
"""What the fusing of both transformers has in common.

All their functions of the distance are functions of distance / cutoff, the same for all pairs of
elements. So every layer has one table.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from egraff.models.isolated import IsolatedAtomForceField
from egraff.nn.radial_table import (
    GRID_INTERVALS,
    GRIDS,
    KNOT_NUMBERS,
    Grid,
    RadialTable,
    Taylor,
    table_of,
    tabulate,
)


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
        tolerance: bounds on the errors of the tables and of their derivatives.

    Attributes:
        dtype: floating-point type of the model.
        pair_scale: ``[n_species, n_species]`` float64, 1 / cutoff in 1/Angstrom, row = centre.
        reports: of each table its layer's name, tables, knots, errors, bytes.
    """

    def __init__(self, model: IsolatedAtomForceField, tolerance: tuple[float, float]) -> None:
        self.dtype: torch.dtype = getattr(torch, model.dtype)
        self.pair_scale = model.cutoffs.pair_scale()
        self.reports: list[dict[str, int | float | str]] = []
        self._tolerance = tolerance
        self._grid: Grid | None = None

    def add(
        self,
        name: str,
        functions: Callable[[Tensor], Tensor],
        dtype: torch.dtype | None = None,
    ) -> RadialTable:
        """Tabulate functions of x = distance / cutoff, on the grid that suits the first best.

        Args:
            name: of their layer.
            functions: maps ``[n]`` to ``[n, n_functions]``, twice differentiable in forward mode.
            dtype: of the operator's table, by default the model's.

        Raises:
            EgraffError: the functions are not smooth.
        """
        if self._grid is None:  # layers make different functions of one basis
            self._grid = self._best_grid(functions)
        result = tabulate(
            functools.partial(_taylor, functions, self._grid),
            grid=self._grid,
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
        return result

    def _best_grid(self, functions: Callable[[Tensor], Tensor]) -> Grid:
        """Return the grid on which a table has the smallest errors."""

        def excess(grid: Grid) -> float:
            function = functools.partial(_taylor, functions, grid)
            table = table_of(function, grid, GRID_INTERVALS, zero_at_cutoff=False)
            return table.excess(*self._tolerance)

        return min(GRIDS, key=excess)


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
