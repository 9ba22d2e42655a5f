# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables of a model's functions of the distance, for every pair of elements."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from egraff.errors import EgraffError
from egraff.fusion.radial_grid import GRID_START, GRIDS, Grid, Taylor, best_grid
from egraff.fusion.radial_table import KNOT_NUMBERS, knots_of, split_at, tabulate, with_rises
from egraff.nn.edges import Distances, PairCutoffs

# Maps n distances to [n, n_functions], twice differentiable in forward mode.
Functions = Callable[[Distances], Tensor]

# Scaled distances at which pairs of elements are compared, and by how much those that share a table
# may differ, relative to the largest function: rounding of float64.
PROBES = torch.linspace(0.05, 0.95, 11, dtype=torch.float64)
SAME = 1e-12
# Pairs of elements that are compared at a time.
PAIRS_AT_ONCE = 256


class TableSizeError(EgraffError):
    """Tables would be larger than allowed."""


@dataclass(frozen=True)
class PairTables:
    """Tables of the same functions for every pair of elements.

    Attributes:
        grid: where the knots lie.
        knots: one table for each distinct set of functions, ``[n_knots, 3, n_functions]`` float64
            as in :class:`egraff.fusion.radial_table.RadialTable`.
        of_pair: ``[n_species, n_species]`` int64, the table of each pair, row = centre.
        pair_scale: ``[n_species, n_species]`` float64, 1 / cutoff in 1/Angstrom.
        start: the first knot, in units of the cutoff.
        kink: the first interval beyond a jump of the second derivative, where there are two knots,
            one for each side; 0 where there is none.
    """

    grid: Grid
    knots: list[Tensor]
    of_pair: Tensor
    pair_scale: Tensor
    start: float = GRID_START
    kink: int = 0

    def in_type(self, dtype: torch.dtype) -> Tensor:
        """Return the tables as operators read them, ``[n_tables, n_knots, 4, n_functions]``.

        The four numbers are those of :func:`egraff.fusion.radial_table.with_rises`.
        """
        return torch.stack([with_rises(knots).to(dtype) for knots in self.knots])


class DistanceTables:
    """Makes the tables of one model, and reports what they are.

    Args:
        cutoffs: of the model.
        dtype: floating-point type of the model.
        tolerance: bounds on the errors of tables and of their derivatives, relative to the largest
            value of each.
        max_bytes: bound on the size of the tables of one layer.

    Attributes:
        reports: of each table its layer's name, tables, knots, errors, bytes.
    """

    def __init__(
        self,
        cutoffs: PairCutoffs,
        dtype: torch.dtype,
        *,
        tolerance: tuple[float, float],
        max_bytes: int,
    ) -> None:
        self.cutoffs = cutoffs
        self.dtype = dtype
        self.reports: list[dict[str, int | float | str]] = []
        self._tolerance = tolerance
        self._max_bytes = max_bytes

    def add(
        self,
        name: str,
        functions: Functions,
        *,
        zero_at_cutoff: bool,
        grids: tuple[Grid, ...] = GRIDS,
        multiple: int = 16,
        dtype: torch.dtype | None = None,
        kink: float | None = None,
    ) -> PairTables:
        """Tabulate functions of the distance.

        Args:
            name: of their layer.
            functions: of a float64 model.
            zero_at_cutoff: they vanish at the cutoff with two derivatives.
            grids: those that the operator knows, from even to ever more stretched.
            multiple: of which the number of intervals is always one.
            dtype: of the operator's tables, by default the model's.
            kink: where second derivatives jump, in units of the cutoff.

        Raises:
            TableSizeError: the tables would be larger than allowed, as soon as the first pair's
                shows it.
            EgraffError: the functions are not smooth.
        """
        pairs, of_pair = self._distinct_pairs(functions)
        expansions = [functools.partial(self._on_grid, functions, pair) for pair in pairs]
        grid = grids[0]
        if len(grids) > 1:
            grid = best_grid(functools.partial(expansions[0], Grid()), grids)
        at_grid = [functools.partial(expansion, grid) for expansion in expansions]
        itemsize = (dtype or self.dtype).itemsize
        n_intervals, errors = 16, [0.0, 0.0]
        for function in at_grid:
            table = tabulate(
                function,
                grid=grid,
                tolerance=self._tolerance[0],
                derivative_tolerance=self._tolerance[1],
                zero_at_cutoff=zero_at_cutoff,
                n_intervals=n_intervals,
                multiple=multiple,
                kink=kink,
            )
            n_intervals = table.n_intervals
            errors = [max(errors[0], table.error), max(errors[1], table.derivative_error)]
            n_bytes = len(pairs) * KNOT_NUMBERS * table.knots[:, 0].numel() * itemsize
            if n_bytes > self._max_bytes:
                raise TableSizeError(
                    f"expected radial tables of at most {_size(self._max_bytes)}, got "
                    f"{_size(n_bytes)} or more for {len(pairs)} pairs of elements in {name}\n"
                    "  fix: export with --no-fuse or, from float64, with --dtype float32"
                )
        # the last pair may have wanted more knots than the first
        knots = [
            knots_of(function, n_intervals, zero_at_cutoff=zero_at_cutoff, kink=kink)
            for function in at_grid
        ]
        self.reports.append(
            {
                "layer": name,
                "n_tables": len(pairs),
                "n_knots": table.n_knots,
                "error": errors[0],
                "derivative_error": errors[1],
                "bytes": n_bytes,
            }
        )
        start, before = (GRID_START, 0) if kink is None else split_at(kink, n_intervals)
        return PairTables(grid, knots, of_pair, self.cutoffs.pair_scale(), start, before)

    def at(self, pair: int, x: Tensor) -> Distances:
        """Return distances ``x`` ``[n]``, in units of their cutoff, of one pair of elements."""
        return self.cutoffs.at(torch.full(x.shape, pair), x)

    def _distinct_pairs(self, functions: Functions) -> tuple[list[int], Tensor]:
        """Find pairs of elements with the same functions of the length in units of their cutoff.

        Returns:
            One pair (as centre * n_species + neighbour) for each distinct set of functions, and the
            position in that list for every pair, ``[n_species, n_species]``.
        """
        n_species = self.cutoffs.n_species
        pairs: list[int] = []
        of_pair = torch.empty(n_species**2, dtype=torch.int64)
        # 89 elements have 7921 pairs, which nearly always have the same functions: those of a few
        # pairs are held at a time, and room for distinct ones costs nothing until it is written
        distinct, largest = torch.empty(0), 0.0
        for part in torch.arange(n_species**2).split(PAIRS_AT_ONCE):
            x = PROBES.repeat(len(part))
            every = functions(self.cutoffs.at(part.repeat_interleave(len(PROBES)), x))
            every = every.reshape(len(part), -1)
            if not pairs:
                distinct = torch.empty(n_species**2, every.shape[1], dtype=every.dtype)
            largest = max(largest, float(every.abs().max()))
            for pair, values in zip(part.tolist(), every, strict=True):
                differences = (distinct[: len(pairs)] - values).abs().amax(dim=1)
                same = (differences <= SAME * largest).nonzero()
                of_pair[pair] = same[0, 0] if len(same) else len(pairs)
                if not len(same):
                    distinct[len(pairs)] = values
                    pairs.append(pair)
        return pairs, of_pair.view(n_species, n_species)

    def _on_grid(self, functions: Functions, pair: int, grid: Grid, position: Tensor) -> Taylor:
        """Return functions of a pair's distance at positions ``[n]`` on a grid, and derivatives."""
        x, first, second = grid.length(position)

        # along the parabola that touches x(s): its derivatives are the chain rule
        def along(step: Tensor) -> Tensor:
            return functions(self.at(pair, x + step * first + 0.5 * step**2 * second))

        def slope_along(step: Tensor) -> tuple[Tensor, Tensor]:
            return torch.func.jvp(along, (step,), (one,))

        zero, one = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
        (value, slope), (_, curvature) = torch.func.jvp(slope_along, (zero,), (one,))
        return value.detach(), slope.detach(), curvature.detach()


def _size(n_bytes: int) -> str:
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if n_bytes >= scale:
            return f"{n_bytes / scale:.3g} {unit}"
    return f"{n_bytes} bytes"


class StepwiseLayerNorm(nn.Module):
    """Layer norm written out, because torch's second derivatives in forward mode are wrong.

    Args:
        plain: the module.
    """

    def __init__(self, plain: nn.LayerNorm) -> None:
        super().__init__()
        self.plain = plain

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last dimension."""
        x = x - x.mean(dim=-1, keepdim=True)
        x = x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + self.plain.eps)
        return x * self.plain.weight + self.plain.bias
