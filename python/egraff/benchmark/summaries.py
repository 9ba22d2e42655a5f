# SPDX-License-Identifier: GPL-2.0-or-later
"""Means over seeds and starts with their errors, and ranks that separate what errors separate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from egraff.benchmark.results import BY_NAME, Row
from egraff.statistics import MINIMUM_RUNS, geometric_over_runs, summary_over_runs


@dataclass(frozen=True)
class Summary:
    """A quantity over seeds and starts.

    Attributes:
        value: mean over seeds of means over starts.
        error: one standard error, or None where it is not known.
        of: what the error is from: ``seeds``, ``starts``, ``frames`` (one training, whose own
            scatter is not known), or nothing.
        n: number of values.
    """

    value: float
    error: float | None
    of: str
    n: int


def summarise(rows: Sequence[Row]) -> Summary | None:
    """Return the mean of one quantity of one model and test, over seeds and starts.

    Values of one seed are averaged first: starts of one training say nothing about another one.

    Args:
        rows: of one metric; None is returned where there are none.
    """
    if not rows:
        return None
    mean = geometric_over_runs if BY_NAME[rows[0].metric].geometric else summary_over_runs
    by_seed: dict[str, list[Row]] = {}
    for row in rows:
        by_seed.setdefault(row.seed, []).append(row)
    inner = [mean([row.value for row in of_seed]) for of_seed in by_seed.values()]
    outer = mean([one.value for one in inner])
    if len(inner) >= MINIMUM_RUNS:
        return Summary(outer.value, outer.error, "seeds", len(rows))
    errors = [one.error for one in inner]
    if all(error is not None for error in errors):
        error = math.sqrt(sum(error**2 for error in errors)) / len(errors)
        return Summary(outer.value, error, "starts", len(rows))
    own = [row.error for row in rows]
    if len(rows) == len(inner) and all(error is not None for error in own):
        error = math.sqrt(sum(error**2 for error in own)) / len(own)
        return Summary(outer.value, error, "frames", len(rows))
    return Summary(outer.value, None, "", len(rows))


def ranks(summaries: Mapping[str, Summary | None]) -> dict[str, int | None]:
    """Rank models by a quantity of which less is better, as far as errors separate them.

    A model's rank is one more than the number of models that are better by more than two standard
    errors of the difference; one whose error is not known has none.

    Args:
        summaries: by model.
    """
    known = {
        name: one for name, one in summaries.items() if one is not None and one.error is not None
    }

    def better(first: Summary, second: Summary) -> bool:
        return second.value - first.value > 2.0 * math.hypot(first.error, second.error)

    return {
        name: 1 + sum(better(other, known[name]) for other in known.values())
        if name in known
        else None
        for name in summaries
    }
