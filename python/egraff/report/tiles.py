# SPDX-License-Identifier: GPL-2.0-or-later
"""The few numbers at the top of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from egraff.report.collect import Simulation, Study
from egraff.report.content_training import improvement
from egraff.report.numbers import format_number


@dataclass(frozen=True)
class Tile:
    """One number at the top of the page."""

    label: str
    value: str
    unit: str
    note: str
    kind: str = ""


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
                    f"{format_number(ratio, digits=2)} times better than trivial",
                    "good" if ratio > 1.0 else "bad",
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
        found.append(Tile("Failed runs", str(failed), "", f"of {len(study.simulations)}", "bad"))
    return found


def _metric_tiles(simulations: Sequence[Simulation]) -> list[Tile]:
    wanted = (
        ("wright_factor[total]", "Wright factor", "noise_floor_wright_factor[total]"),
        ("replay_fv", "Force violation, replay", None),
        ("nve_drift", "NVE drift", None),
    )
    found = []
    for name, label, floor in wanted:
        having = [
            one
            for one in simulations
            if name in one.metrics and one.metrics[name].value is not None
        ]
        if not having:
            continue
        worst = max(having, key=lambda one: abs(one.metrics[name].value))
        metric = worst.metrics[name]
        note = f"{worst.name}" + (", the worst" if len(having) > 1 else "")
        level = worst.metrics.get(floor) if floor else None
        if level is not None and level.value is not None:
            note += f"; noise floor {format_number(level.value, digits=2)}"
        unit = "" if metric.unit == "1" else metric.unit
        found.append(Tile(label, str(format_number(metric.value, metric.error)), unit, note))
    return found
