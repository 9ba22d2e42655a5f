# SPDX-License-Identifier: GPL-2.0-or-later
"""The few numbers at the top of the page, each with a word about it where there is one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from egraff.analysis.metric import Metric
from egraff.report.collect import Simulation, Study
from egraff.report.content_training import improvement
from egraff.report.numbers import format_number
from egraff.report.verdict import kind_of


@dataclass(frozen=True)
class Tile:
    """One number at the top of the page.

    Attributes:
        label: what it is.
        value: the number as text.
        unit: after the number.
        note: whose it is, and what to compare it with.
        kind: see `egraff.report.tables.Cell`; it colours ``word``.
        word: what ``kind`` says, in words.
    """

    label: str
    value: str
    unit: str
    note: str
    kind: str = ""
    word: str = ""


def tiles(study: Study) -> list[Tile]:
    """The few numbers that matter most."""
    found: list[Tile] = []
    # the plain test set before others, such as a hotter one
    ranked = sorted(study.evaluations, key=lambda one: not one.name.endswith(("eval", "test")))
    for one in ranked[:2]:
        name = "force_mae_ev_per_ang"
        ratio = improvement(one.values, name)
        if ratio is not None:
            found.append(
                Tile(
                    f"Force MAE, {one.name}",
                    str(format_number(one.values[name] * 1e3)),
                    "meV/Å",
                    f"{format_number(ratio, digits=2)} times better than the trivial predictor",
                    "good" if ratio > 1.0 else "bad",
                    "learned" if ratio > 1.0 else "nothing learned",
                )
            )
    found += _metric_tiles(study.simulations)
    for one in study.ranks[:1]:
        differences = [q for q in one.quantities if q.get("max_abs_difference") is not None]
        forces = next((q for q in differences if "force" in q["name"].lower()), None)
        if forces:
            found.append(
                Tile(
                    "One rank against two, forces",
                    str(format_number(forces["max_abs_difference"], digits=2)),
                    forces.get("unit", ""),
                    "largest difference",
                )
            )
    failed = sum(one.run.failed for one in study.simulations)
    if failed:
        note = f"of {len(study.simulations)}"
        found.append(Tile("Failed runs", str(failed), "", note, "bad", "failed"))
    return found


#: Characters that a tile has room for.
_LONGEST = 18
#: Name, label, and whether it is a difference that statistical errors alone keep from zero.
_WANTED = (
    ("wasserstein[total]", "Structure, Wasserstein-1", True),
    ("replay_fv", "Force violation, replay", False),
    ("nve_drift", "NVE drift", False),
)


def _metric_tiles(simulations: Sequence[Simulation]) -> list[Tile]:
    """The worst value of each wanted metric; its word is that of the run's verdict about it."""
    found = []
    for name, label, of_noise in _WANTED:
        having = [
            one
            for one in simulations
            if name in one.metrics and one.metrics[name].value is not None
        ]
        if not having:
            continue

        def size(one: Simulation, name: str = name, of_noise: bool = of_noise) -> float:
            ratio = one.times_noise(name) if of_noise else None
            return abs(one.metrics[name].value) if ratio is None else ratio

        # a difference in units of its noise and one without are no measure of each other
        measured = [one for one in having if of_noise and one.times_noise(name) is not None]
        worst = max(measured or having, key=size)
        metric = worst.metrics[name]
        value, unit = _short(metric), _unit(metric)
        note = worst.name + (", the worst" if len(having) > 1 else "")
        ratio = worst.times_noise(name) if of_noise else None
        if ratio is not None:
            noise = format_number(worst.noise(name), digits=2)
            note = f"{value} {unit} over {noise} {unit}; {note}"
            value, unit = f"{format_number(ratio, digits=2)} ×", "the noise floor"
        word, about = _word(worst, name)
        note += f"; {about}" if about else ""
        found.append(Tile(label, value, unit, note, kind_of(word) if word else "", word))
    return found


def _word(one: Simulation, name: str) -> tuple[str, str]:
    """What a run's verdict says about a metric, and of which species if of others than asked for.

    A sound run has nothing against any of its numbers; of another, a number without a reason is
    not said to be good.
    """
    if one.verdict is None:
        return "", ""
    reason = one.verdict.reason_about(name)
    if reason is None:
        return ("sound" if one.verdict.word == "sound" else ""), ""
    return reason.level, "" if reason.metric == name else f"because of {reason.metric}"


def _short(metric: Metric) -> str:
    """The number with its error; without an error that is too small to be read in a tile."""
    text = str(format_number(metric.value, metric.error))
    return text if len(text) <= _LONGEST else str(format_number(metric.value))


def _unit(metric: Metric) -> str:
    """The unit as the page shows it: Angstrom as its sign, nothing for a pure number."""
    return re.sub(r"\bA\b", "Å", metric.unit) if metric.unit != "1" else ""
