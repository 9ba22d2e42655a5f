# SPDX-License-Identifier: GPL-2.0-or-later
"""Figures of a benchmark: accuracy against what simulations are like, and against cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from egraff.benchmark.summaries import Summary
from egraff.report.figures import colour, legend, log_axis, plain_ticks
from egraff.report.style import Palette, panels

_MARKERS = "osD^vP*X"

#: A model, and its numbers on one test by metric.
Point = tuple[str, Mapping[str, Summary | None]]


def _style(palette: Palette, models: Sequence[str], model: str) -> dict[str, object]:
    """Return colour and marker of a model; both differ, for readers who see few colours."""
    position = models.index(model)
    return {
        "color": colour(palette, position),
        "marker": _MARKERS[position % len(_MARKERS)],
        "linestyle": "none",
        "markersize": 5,
    }


def accuracy_and_simulation(
    points: Sequence[Point], models: Sequence[str], palette: Palette
) -> Figure:
    """Force error relative to that of zero: against survival, and against W1 over its noise."""
    figure, (survival, structure) = panels(2, width=3.7, height=3.0)
    named = set()
    for model, found in points:
        error, trivial = found["force_mae_ev_per_ang"], found["trivial_force_mae_ev_per_ang"]
        if trivial is None or not trivial.value:
            continue
        relative = 100.0 * error.value / trivial.value
        style = _style(palette, models, model)
        label = None if model in named else model
        named.add(model)
        survival.plot(relative, 100.0 * found["survived"].value, label=label, **style)
        distance = found["wasserstein_over_noise"]
        if distance is not None and distance.value > 0:
            structure.plot(relative, distance.value, **style)
    for panel in (survival, structure):
        panel.set_xscale("log")
        panel.set_xlabel("force MAE (% of that of zero)")
        plain_ticks(panel.xaxis, *panel.get_xlim())
    survival.set_ylabel("runs that survived (%)")
    survival.set_ylim(-5, 105)
    structure.set_ylabel("W1 of g(r) over noise")
    structure.axhline(1.0, color=palette.muted, linewidth=0.8, linestyle="--")
    log_axis(structure)
    legend(figure, survival)
    return figure


def cost_and_accuracy(
    points: Sequence[tuple[str, Summary, Summary]], models: Sequence[str], palette: Palette
) -> Figure:
    """CPU time of an epoch against the force error."""
    figure, (panel,) = panels(1, width=7.4, height=3.0)
    named = set()
    for model, time, error in points:
        label = None if model in named else model
        named.add(model)
        panel.errorbar(
            time.value,
            error.value,
            yerr=error.error,
            label=label,
            elinewidth=0.8,
            **_style(palette, models, model),
        )
    panel.set_xscale("log")
    log_axis(panel)
    plain_ticks(panel.xaxis, *panel.get_xlim())
    panel.set_xlabel("training (CPU s/epoch)")
    panel.set_ylabel("force MAE (meV/Å)")
    legend(figure, panel)
    return figure
