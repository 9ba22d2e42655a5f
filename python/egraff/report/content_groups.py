# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs that differ only in their seed, averaged."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from egraff.analysis.statistics import MINIMUM_SAMPLES, summary_over_runs
from egraff.report.collect import Simulation, Study
from egraff.report.tables import Cell, Column, Table, number_cell, text_cell

#: What two runs must share to be samples of the same ensemble.
_SAME = (
    "model_sha256",
    "structure_sha256",
    "ensemble",
    "temperature_K",
    "pressure_bar",
    "timestep_fs",
    "steps",
    "n_atoms",
)

_MEASURES = (
    ("temperature", "Temperature", "K"),
    ("pressure", "Pressure", "bar"),
    ("nve_drift", "NVE drift", "meV/atom/ps"),
    ("stability_time", "Stable for", "ps"),
    ("wasserstein[total]", "Wasserstein-1", "Å"),
    ("wright_factor[total]", "Wright factor", ""),
    ("jensen_shannon[total]", "JSD", "nat"),
)


def replicas(simulations: Iterable[Simulation]) -> list[list[Simulation]]:
    """Runs that share all but seed and ranks, in the order of their first."""
    groups: dict[tuple, list[Simulation]] = {}
    for one in simulations:
        key = (*(one.run.record.get(name) for name in _SAME), one.reference_sha256)
        groups.setdefault(key, []).append(one)
    return list(groups.values())


def groups_of(study: Study) -> list[list[Simulation]]:
    """Analysed runs that share all but seed and ranks, two or more with different seeds."""
    return [
        group
        for group in replicas(one for one in study.simulations if one.analysed)
        if len({one.run.record.get("seed") for one in group}) > 1
    ]


def summary_cell(group: list[Simulation], name: str) -> Cell:
    """The mean of a metric over runs, with its standard error where there are enough of them."""
    values = [
        one.metrics[name].value
        for one in group
        if name in one.metrics and one.metrics[name].value is not None
    ]
    if not values:
        return number_cell(None)
    summary = summary_over_runs(values)
    title = f"{len(values)} runs, from {min(values):.4g} to {max(values):.4g}"
    if name == "stability_time":
        whole = sum(not one.violations for one in group)
        title += f"; {whole} of them ended without a violation: a lower bound" if whole else ""
    if summary.error is None:
        title += f"; fewer than {MINIMUM_SAMPLES:.0f}: no error"
    return number_cell(summary.value, summary.error, title=title)


def over_runs(study: Study) -> Table | None:
    """Means over runs with standard errors, or None when no run has a sibling."""
    groups = groups_of(study)
    if not groups:
        return None
    shown = [
        (name, title, unit)
        for name, title, unit in _MEASURES
        if any(name in one.metrics for group in groups for one in group)
    ]
    rows = [
        [
            text_cell(", ".join(one.name for one in group)),
            text_cell(len(group)),
            text_cell(int(np.sum([one.run.failed or bool(one.violations) for one in group]))),
            *(summary_cell(group, name) for name, _, _ in shown),
        ]
        for group in groups
    ]
    columns = [
        Column("Runs", numeric=False),
        Column("Number"),
        Column("Unstable"),
        *(Column(title, unit) for _, title, unit in shown),
    ]
    caption = (
        "Runs that differ only in their seed: means over runs with standard errors "
        f"(from {MINIMUM_SAMPLES:.0f} runs on)."
    )
    return Table("over-runs", caption, columns, rows)
