# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions of the distance as splines: what an exported model has in place of radial networks.

A radial network is evaluated for every edge, although it depends on the distance alone. Here each
of its outputs becomes a quintic Hermite spline: value, first and second derivative at equidistant
knots are those of the network, so the spline is twice continuously differentiable, its error falls
with the sixth power of the spacing, and the force, taken as the derivative of the spline, is
exactly that of the tabulated energy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from egraff.errors import EgraffError
from egraff.fusion.radial_grid import EVEN, GRID_START, Grid, Taylor

# Refinement stops here. Bases of 128 functions need half as many in float64.
MAX_KNOTS = 2**15 + 1
# From this many intervals on, an error that falls more slowly than with the second power of the
# spacing comes from a kink, or from rounding, which grows as intervals become shorter ...
ASYMPTOTIC = 2048
# ... and is accepted up to this many times the tolerance: the comparison on export decides.
ROUNDING_ROOM = 10.0
# Numbers of a function at a knot, with the rise to the next one, and which one is the value: see
# with_rises.
KNOT_NUMBERS, VALUE = 4, 2
# Where in an interval the error is measured: its leading term is t^3 (1 - t)^3, largest in the
# middle, and that of the derivative is largest at 1/2 -+ 1/sqrt(20).
PROBES = (0.1, 0.276, 0.5, 0.724, 0.9)
# Values that are compared at a time; memory is some tens of this.
PROBE_NUMBERS = 2**20


@dataclass(frozen=True)
class RadialTable:
    """A spline on knots from ``GRID_START`` to 1, in units of the cutoff.

    Attributes:
        grid: where the knots lie.
        knots: ``[n_knots, 3, n_functions]`` float64: value, and derivatives times spacing and
            times spacing squared.
        error: largest error of a value, relative to the largest value of any function.
        derivative_error: likewise for the first derivative.
        n_intervals: intervals between the knots; there are two knots at a kink.
    """

    grid: Grid
    knots: Tensor
    error: float
    derivative_error: float
    n_intervals: int

    @property
    def n_knots(self) -> int:
        """Number of knots."""
        return self.knots.shape[0]

    def excess(self, tolerance: float, derivative_tolerance: float) -> float:
        """Return how many times the larger of both errors is what is allowed."""
        return max(self.error / tolerance, self.derivative_error / derivative_tolerance)


def tabulate(
    function: Callable[[Tensor], Taylor],
    *,
    grid: Grid = EVEN[0],
    tolerance: float,
    derivative_tolerance: float,
    zero_at_cutoff: bool = True,
    n_intervals: int = 16,
    multiple: int = 16,
    kink: float | None = None,
) -> RadialTable:
    """Return the first table, from coarse to fine, that is within the tolerances.

    Args:
        function: maps positions on the grid, ``[n]`` float64, to values and derivatives.
        grid: where the knots lie.
        tolerance: bound on the error of values, relative to the largest value.
        derivative_tolerance: bound on the error of first derivatives, relative to the largest.
        zero_at_cutoff: the functions vanish at x = 1 with two derivatives, and the last knot is
            set to zero; otherwise it has the values of ``function``.
        n_intervals: of the coarsest table to try.
        multiple: of which the number of intervals is always one.
        kink: where the second derivatives of the functions jump, on an even grid.

    Raises:
        EgraffError: no table is fine enough, nor within :data:`ROUNDING_ROOM` of it; the function
            is not smooth.
    """
    if kink is not None:
        n_intervals = max(n_intervals, fewest_intervals(kink))
    n_intervals = multiple * math.ceil(n_intervals / multiple)
    best, smallest, growth = None, math.inf, 4.0
    while n_intervals < MAX_KNOTS:
        table = table_of(function, grid, n_intervals, zero_at_cutoff=zero_at_cutoff, kink=kink)
        excess = table.excess(tolerance, derivative_tolerance)
        if excess <= 1.0:
            return table
        stalled = n_intervals >= ASYMPTOTIC and excess > smallest / growth**2
        if excess < smallest:
            best, smallest = table, excess
        if stalled:
            break
        # Errors fall with the fifth power at least, at last; growing by no more than a factor of
        # four, the sequence does not trust the first, coarse tables.
        growth = min(max(1.05 * excess**0.2, 1.1), 4.0)
        n_intervals = multiple * math.ceil(growth * n_intervals / multiple)
    if smallest <= ROUNDING_ROOM:
        return best
    raise EgraffError(
        f"expected a smooth function of the distance, got one that {best.n_knots} knots describe "
        f"with a relative error of {best.error:.1e} (derivative {best.derivative_error:.1e}), "
        f"allowed {tolerance:.0e} ({derivative_tolerance:.0e})\n"
        "  fix: export with --no-fuse or, from float64, with --dtype float32"
    )


def evaluate(knots: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Evaluate a table at ``x`` ``[n]`` in [0, 1]: values and derivatives ``[n, n_functions]``."""
    n_intervals = knots.shape[0] - 1
    spacing = (1.0 - GRID_START) / n_intervals
    u = (x - GRID_START) / spacing
    k = u.floor().clamp(0, n_intervals - 1)
    t = (u - k)[:, None]
    left, right = knots[k.to(torch.int64)], knots[k.to(torch.int64) + 1]
    basis = [
        1 - 10 * t**3 + 15 * t**4 - 6 * t**5,
        t - 6 * t**3 + 8 * t**4 - 3 * t**5,
        (t**2 - 3 * t**3 + 3 * t**4 - t**5) / 2,
        10 * t**3 - 15 * t**4 + 6 * t**5,
        -4 * t**3 + 7 * t**4 - 3 * t**5,
        (t**3 - 2 * t**4 + t**5) / 2,
    ]
    slope = [
        -30 * t**2 + 60 * t**3 - 30 * t**4,
        1 - 18 * t**2 + 32 * t**3 - 15 * t**4,
        (2 * t - 9 * t**2 + 12 * t**3 - 5 * t**4) / 2,
        30 * t**2 - 60 * t**3 + 30 * t**4,
        -12 * t**2 + 28 * t**3 - 15 * t**4,
        (3 * t**2 - 8 * t**3 + 5 * t**4) / 2,
    ]
    ends = [left[:, 0], left[:, 1], left[:, 2], right[:, 0], right[:, 1], right[:, 2]]
    value = sum(b * end for b, end in zip(basis, ends, strict=True))
    derivative = sum(s * end for s, end in zip(slope, ends, strict=True)) / spacing
    return value, derivative


def split_at(kink: float, n_intervals: int) -> tuple[float, int]:
    """Return the first knot and the number of intervals below a kink that shall be a knot itself.

    The first knot is at most ``GRID_START`` from ``fewest_intervals`` on.
    """
    below = math.floor(kink * n_intervals)
    return (n_intervals * kink - below) / (n_intervals - below), below


def fewest_intervals(kink: float) -> int:
    """Return from how many intervals on a table with a kink covers all distances of others."""
    return math.ceil(1.0 / (GRID_START * (1.0 - kink))) + 1


def sides_of(
    function: Callable[[Tensor], Taylor], kink: float, n_intervals: int
) -> list[tuple[Callable[[Tensor], Taylor], int]]:
    """Return a function below and above a kink, and the number of intervals there.

    Each is stretched to where tables are, from ``GRID_START`` to 1.
    """
    start, below = split_at(kink, n_intervals)
    sides = []
    # so far from the kink that rounding cannot reach the other side
    near = 1e-15
    for low, high, first, last, n in (
        (start, kink, start, kink - near, below),
        (kink, 1.0, kink + near, 1.0, n_intervals - below),
    ):
        scale = (high - low) / (1.0 - GRID_START)

        def stretched(s: Tensor, ends=(low, first, last), scale=scale) -> Taylor:
            low, first, last = ends
            x = (low + (s - GRID_START) * scale).clamp(first, last)
            value, slope, curvature = function(x)
            return value, scale * slope, scale**2 * curvature

        sides.append((stretched, n))
    return sides


def knots_of(
    function: Callable[[Tensor], Taylor],
    n_intervals: int,
    *,
    zero_at_cutoff: bool = True,
    kink: float | None = None,
) -> Tensor:
    """Return the knots of a table with so many intervals, whatever its error.

    With a kink, those below and those above it: two knots are there.
    """
    if kink is not None:
        sides = sides_of(function, kink, n_intervals)
        parts = [knots_of(side, n, zero_at_cutoff=False) for side, n in sides]
        return torch.cat(parts)
    spacing = (1.0 - GRID_START) / n_intervals
    grid = torch.linspace(GRID_START, 1.0, n_intervals + 1, dtype=torch.float64)
    value, first, second = function(grid)
    knots = torch.stack([value, spacing * first, spacing**2 * second], dim=1)
    if zero_at_cutoff:
        knots[-1] = 0.0
    return knots


def with_rises(knots: Tensor) -> Tensor:
    """Add to every knot how much the value rises to the next one, as some operators read it.

    A spline's derivative contains the difference of the values at both ends of an interval. Taken
    of values that are rounded to float32, it would lose as many digits as a table has knots; hence
    it is taken of those in float64 and becomes a number of its own.

    Args:
        knots: ``[n_knots, 3, n_functions]`` float64, as in :class:`RadialTable`.

    Returns:
        ``[n_knots, 4, n_functions]``: first and second derivative, value, rise (0 at the last one).
    """
    value = knots[:, :1]
    rise = torch.cat([value[1:] - value[:-1], torch.zeros_like(value[:1])])
    return torch.cat([knots[:, 1:], value, rise], dim=1)


def table_of(
    function: Callable[[Tensor], Taylor],
    grid: Grid,
    n_intervals: int,
    *,
    zero_at_cutoff: bool,
    kink: float | None = None,
) -> RadialTable:
    """Return a table with so many intervals, and its errors: of both sides of a kink the larger."""
    if kink is not None:
        low, high = (
            table_of(side, grid, n, zero_at_cutoff=False)
            for side, n in sides_of(function, kink, n_intervals)
        )
        return RadialTable(
            grid,
            torch.cat([low.knots, high.knots]),
            max(low.error, high.error),
            max(low.derivative_error, high.derivative_error),
            n_intervals,
        )
    knots = knots_of(function, n_intervals, zero_at_cutoff=zero_at_cutoff)
    spacing = (1.0 - GRID_START) / n_intervals
    positions = torch.linspace(GRID_START, 1.0, n_intervals + 1, dtype=torch.float64)
    probes = positions[:-1, None] + spacing * torch.tensor(PROBES, dtype=torch.float64)
    differences, sizes = [0.0, 0.0], [1e-300, 1e-300]
    for part in probes.flatten().split(max(1, PROBE_NUMBERS // knots.shape[2])):
        expected = function(part)
        for k, spline in enumerate(evaluate(knots, part)):
            differences[k] = max(differences[k], float((spline - expected[k]).abs().max()))
            sizes[k] = max(sizes[k], float(expected[k].abs().max()))
    errors = (difference / size for difference, size in zip(differences, sizes, strict=True))
    return RadialTable(grid, knots, *errors, n_intervals)
