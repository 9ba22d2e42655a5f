# SPDX-License-Identifier: GPL-2.0-or-later
"""What a part of the analysis of one run gives."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from egraff.analysis.metric import Metric
from egraff.analysis.stability import Violation


@dataclass
class Section:
    """Outcome of one part.

    Attributes:
        metrics: numbers, in the order of the report.
        curves: arrays by name, for figures.
        problems: what could not be computed or was left out of the input.
        violations: of the criteria of stability.
    """

    metrics: list[Metric] = field(default_factory=list)
    curves: dict[str, np.ndarray] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)

    def add(self, other: Section, name: str) -> None:
        """Take over what another part gave; problems are told with its name."""
        self.metrics += other.metrics
        self.curves |= other.curves
        self.problems += [f"{name}: {problem}" for problem in other.problems]
        self.violations += other.violations


def evenly_spaced(n: int, most: int) -> list[int]:
    """Indices of at most ``most`` of ``n`` items, evenly spaced, first and last included."""
    if n <= most:
        return list(range(n))
    return np.unique(np.linspace(0, n - 1, most).round().astype(int)).tolist()
