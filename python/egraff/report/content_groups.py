# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs that are samples of one experiment, taken together."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from egraff.analysis.experiments import experiment_of, start_of
from egraff.report.collect import Simulation, Study
from egraff.report.tables import Cell, Column, Table, number_cell, text_cell
from egraff.statistics import MINIMUM_RUNS, geometric_over_runs, summary_over_runs

_MEASURES = (
    ("temperature", "Temperature", "K"),
    ("pressure", "Pressure", "bar"),
    ("nve_drift", "NVE drift", "meV/atom/ps"),
    ("stability_time", "Stable for", "ps"),
    ("wasserstein[total]", "Wasserstein-1", "Å"),
    ("wright_factor[total]", "Wright factor", ""),
    ("jensen_shannon[total]", "JSD", "nat"),
    ("rollout_ev", "EV", ""),
    ("rollout_fv", "FV", ""),
)
#: Violations span orders of magnitude: their mean over rollouts is the geometric one.
_GEOMETRIC = frozenset({"rollout_ev", "rollout_fv"})


def replicas(simulations: Iterable[Simulation]) -> list[list[Simulation]]:
    """Runs of one experiment, compared with one reference, in the order of their first."""
    groups: dict[tuple, list[Simulation]] = {}
    for one in simulations:
        groups.setdefault((experiment_of(one.run), one.reference_sha256), []).append(one)
    return list(groups.values())


def groups_of(study: Study) -> list[list[Simulation]]:
    """Analysed samples of one experiment, two or more of each.

    Runs from one start, on other numbers of ranks say, are one sample, of which the first is taken.
    """
    groups = []
    for group in replicas(one for one in study.simulations if one.analysed):
        starts: dict[tuple, Simulation] = {}
        for one in group:
            starts.setdefault(start_of(one.run), one)
        groups.append(list(starts.values()))
    return [group for group in groups if len(group) > 1]


def summary_cell(group: list[Simulation], name: str) -> Cell:
    """The mean of a metric over runs, with its standard error where there are enough of them."""
    values = [
        one.metrics[name].value
        for one in group
        if name in one.metrics and one.metrics[name].value is not None
    ]
    if not values:
        return number_cell(None)
    summary = (geometric_over_runs if name in _GEOMETRIC else summary_over_runs)(values)
    title = f"{len(values)} runs, from {min(values):.4g} to {max(values):.4g}"
    if name == "stability_time":
        whole = sum(not one.violations for one in group)
        title += f"; {whole} of them ended without a violation: a lower bound" if whole else ""
    if summary.error is None:
        title += f"; fewer than {MINIMUM_RUNS}: no error"
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
        "Runs of one experiment from different starts: means over runs (geometric ones of EV and "
        f"FV) with standard errors from the scatter between them (from {MINIMUM_RUNS} runs on)."
    )
    return Table("over-runs", caption, columns, rows)
