# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the knots of radial tables lie."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# value, first and second derivative of functions of x, each [n, n_functions]
Taylor = tuple[Tensor, Tensor, Tensor]

# The first knot, in units of the cutoff. Atoms are never closer than that; if they were, the
# first polynomial is continued.
GRID_START = 0.02
# Decay of the density of knots on a stretched grid, that of the exponentials in expnorm bases.
GRID_DECAY = 5.0
# The last number below 1: functions of x may be cut off at 1, and with them their derivatives.
BELOW_ONE = 1.0 - 2.0**-53


@dataclass(frozen=True)
class Grid:
    """Where knots lie: equidistant in s = a + b (x - stretch exp(-5 x)).

    a and b are such that s = x at ``GRID_START`` and at 1. Functions that are narrow at short
    distance need fewer knots on a stretched grid.

    Attributes:
        stretch: 0 for s = x; at x = 0 knots are 1 + 5 stretch times as dense as if that were 0.
    """

    stretch: float = 0.0

    def length(self, s: Tensor) -> Taylor:
        """Return x, below 1, and its first and second derivative at ``s`` ``[n]``, all ``[n]``."""
        slope, _ = self._line()
        lower, upper = torch.zeros_like(s), torch.ones_like(s)
        for _ in range(60):  # bisection to the last bit
            middle = 0.5 * (lower + upper)
            above = self.position(middle) > s
            upper = torch.where(above, middle, upper)
            lower = torch.where(above, lower, middle)
        x = (0.5 * (lower + upper)).clamp(max=BELOW_ONE)
        decayed = GRID_DECAY * self.stretch * torch.exp(-GRID_DECAY * x)
        first = 1.0 / (slope * (1.0 + decayed))
        return x, first, slope * GRID_DECAY * decayed * first**3

    def step(self, x: Tensor) -> Tensor:
        """Return dx / ds at ``x``: how far apart knots are there."""
        slope, _ = self._line()
        return 1.0 / (slope * (1.0 + GRID_DECAY * self.stretch * torch.exp(-GRID_DECAY * x)))

    def position(self, x: Tensor) -> Tensor:
        """Return s at ``x``."""
        slope, offset = self._line()
        return offset + slope * self._stretched(x)

    def _stretched(self, x: Tensor) -> Tensor:
        return x - self.stretch * torch.exp(-GRID_DECAY * x)

    def _line(self) -> tuple[float, float]:
        start, end = (x - self.stretch * math.exp(-GRID_DECAY * x) for x in (GRID_START, 1.0))
        slope = (1.0 - GRID_START) / (end - start)
        return slope, GRID_START - slope * start


# Grids that are tried; among them those of Gaussians in x, in exp(-5 x), and of what layer norms
# make of either.
GRIDS = tuple(Grid(stretch) for stretch in (0.0, 0.3, 1.0, 3.0, 10.0))
EVEN = GRIDS[:1]
# A stretched grid takes an exponential for each edge: its errors have to be smaller by this factor.
WORTH_STRETCHING = 2.0
# Intervals over which sixth derivatives are differences of second ones: short enough for narrow
# functions, long enough for rounding.
GRID_INTERVALS = 512


def best_grid(function: Callable[[Tensor], Taylor], grids: Sequence[Grid]) -> Grid:
    """Return the grid on which functions of x, on an even grid, will have the smallest errors.

    An error is the sixth derivative times the sixth power of the local spacing.

    Args:
        function: maps ``x`` ``[n]`` float64 to values and derivatives.
        grids: from even to ever more stretched.
    """
    x = torch.linspace(GRID_START, 1.0, GRID_INTERVALS + 1, dtype=torch.float64)
    sixth = function(x)[2].diff(n=4, dim=0).abs().amax(dim=1)
    best, smallest = grids[0], math.inf
    for grid in grids:
        error = float((sixth * grid.step(x[2:-2]) ** 6).max())
        if error * WORTH_STRETCHING <= smallest:
            best, smallest = grid, error
    return best
