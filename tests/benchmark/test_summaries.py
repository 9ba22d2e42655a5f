# SPDX-License-Identifier: GPL-2.0-or-later
"""Means over seeds and starts, their errors, and ranks."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from egraff.benchmark.claims import rank_correlations
from egraff.benchmark.results import Row
from egraff.benchmark.summaries import Summary, ranks, summarise

ROW = Row(
    set="acac",
    model="mace",
    seed="1",
    test="300K",
    shift="none",
    stage="nvt",
    start="1",
    case="",
    metric="temperature",
    value=0.0,
    error=None,
    unit="K",
    source="result.json",
)


def rows(*values: float, seeds: str | None = None, **fields: object) -> list[Row]:
    names = seeds or "1" * len(values)
    pairs = zip(values, names, strict=True)
    return [replace(ROW, value=value, seed=seed, **fields) for value, seed in pairs]


def test_starts_of_one_seed():
    """Mean and standard error of 1, 2, 3, 6: 3 and sqrt(14 / 3 / 4)."""
    found = summarise(rows(1.0, 2.0, 3.0, 6.0))
    assert found == Summary(3.0, pytest.approx(math.sqrt(14 / 3 / 4)), "starts", 4)


def test_seeds_count_once_each():
    """Starts are averaged within a seed; three seeds give the error, however many starts."""
    found = summarise(rows(1.0, 3.0, 4.0, 6.0, seeds="1123"))
    # means of the seeds: 2, 4, 6
    assert found == Summary(4.0, pytest.approx(2.0 / math.sqrt(3)), "seeds", 4)


def test_two_seeds_have_the_error_of_their_starts():
    """0.5 (a^2 + b^2)^(1/2) of the two standard errors, each 1 / sqrt(3)."""
    found = summarise(rows(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, seeds="111222"))
    assert found == Summary(3.5, pytest.approx(math.sqrt(2 / 3) / 2), "starts", 6)


def test_one_value_has_the_error_of_its_frames():
    assert summarise(rows(2.0, error=0.25)) == Summary(2.0, 0.25, "frames", 1)
    assert summarise(rows(2.0)) == Summary(2.0, None, "", 1)
    assert summarise(rows(2.0, 4.0, error=0.25)).error is None, "two starts, of which no scatter"
    assert summarise([]) is None


def test_violations_are_averaged_geometrically():
    """The mean of 1, 10, 100 over rollouts is 10; its error is that of the logarithm."""
    found = summarise(rows(1.0, 10.0, 100.0, metric="replay_fv"))
    assert found.value == pytest.approx(10.0)
    assert found.error == pytest.approx(10.0 * math.log(10.0) / math.sqrt(3))


def test_ranks_separate_what_errors_separate():
    """Differences of 1 and 3 with errors of 0.5 each: 2 x 0.71 lies between."""
    values = {
        "first": Summary(1.0, 0.5, "seeds", 3),
        "close": Summary(2.0, 0.5, "seeds", 3),
        "far": Summary(4.0, 0.5, "seeds", 3),
        "unknown": Summary(0.1, None, "", 1),
        "failed": None,
    }
    assert ranks(values) == {"first": 1, "close": 1, "far": 3, "unknown": None, "failed": None}


def test_rank_correlation_of_force_error_and_survival():
    """Less error and more survival: 1; the other way round: -1; one value for all: none."""

    def models(*pairs: tuple[float, float]) -> list[dict[str, Summary | None]]:
        return [
            {
                "force_mae_ev_per_ang": Summary(error, None, "", 1),
                "survived": Summary(share, None, "", 1),
            }
            for error, share in pairs
        ]

    good = models((1.0, 0.9), (2.0, 0.5), (3.0, 0.4), (9.0, 0.0))
    bad = models((1.0, 0.0), (2.0, 0.4), (3.0, 0.5), (9.0, 0.9))
    alike = models((1.0, 1.0), (2.0, 1.0), (3.0, 1.0), (9.0, 1.0))
    found = rank_correlations([good, bad, alike, good[:3]], "survived", -1.0)
    assert found == pytest.approx([1.0, -1.0])
