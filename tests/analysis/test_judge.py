# SPDX-License-Identifier: GPL-2.0-or-later
"""From metrics to a verdict, where no run is needed for it."""

from __future__ import annotations

import pytest

from egraff.analysis.metric import Metric
from egraff.analysis.verdict.judge import judge
from egraff.analysis.verdict.rules import read_rules


def kelvin(name: str, value: float, error: float | None) -> Metric:
    return Metric(name=name, value=value, unit="K", definition="", provenance="", error=error)


@pytest.mark.parametrize(("error", "level"), [(3.0, "unsound"), (None, "look")])
def test_a_share_proves_no_more_than_the_whole(error, level):
    """-166 +- 22 K of 326 K: proof in a run that knows its temperature, else worth a look."""
    metrics = [
        kelvin("temperature", 326.0, error),
        kelvin("temperature_excess[O]", -166.0, 22.0),
    ]
    verdict = judge(metrics, [], read_rules())
    assert verdict.word == level
    reason = verdict.reason_about("temperature_excess")
    assert (reason.level, reason.metric) == (level, "temperature_excess[O]")
    assert reason.text.startswith("O atoms are hotter or colder than all atoms by -166")


def test_a_small_share_is_no_reason():
    """2 +- 0.5 K of 326 K is below a tenth, whatever its error."""
    metrics = [kelvin("temperature", 326.0, 1.0), kelvin("temperature_excess[O]", 2.0, 0.5)]
    assert judge(metrics, [], read_rules()).word == "sound"
