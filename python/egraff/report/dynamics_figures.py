# SPDX-License-Identifier: GPL-2.0-or-later
"""Figures about motion: displacements, vibrations, and how long runs stayed physical."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from egraff.report.collect import Simulation
from egraff.report.figures import colour, legend, plain_ticks, thin
from egraff.report.style import Palette, panels
from egraff.units import PS_PER_FS

#: Above the hydrogen stretches there is nothing to see.
_HIGHEST_THZ = 125.0


def displacement(simulations: Sequence[Simulation], palette: Palette) -> Figure:
    """MSD of each species, one panel per species."""
    species = sorted({str(name) for one in simulations for name in one.curves["msd/species"]})
    figure, axes = panels(len(species), width=3.0 if len(species) > 2 else 3.7, height=2.6)
    for panel, name in zip(axes, species, strict=True):
        for index, one in enumerate(simulations):
            names = [str(other) for other in one.curves["msd/species"]]
            if name not in names:
                continue
            x, y = thin(one.curves["msd/lag_ps"], one.curves["msd/msd"][names.index(name)])
            panel.plot(x, y, color=colour(palette, index), label=one.label)
        panel.set_title(name)
        panel.set_xlabel("lag (ps)")
        panel.set_xlim(left=0.0)
        panel.set_ylim(bottom=0.0)
    axes[0].set_ylabel("MSD (Å²)")
    legend(figure, axes[0])
    return figure


def vibrations(simulations: Sequence[Simulation], palette: Palette) -> Figure:
    """Total vibrational density of states."""
    figure, (panel,) = panels(1, width=7.4, height=2.7)
    for index, one in enumerate(simulations):
        frequency, density = one.curves["vdos/frequency_THz"], one.curves["vdos/vdos"][-1]
        shown = frequency <= _HIGHEST_THZ
        x, y = thin(frequency[shown], density[shown])
        panel.plot(x, y, color=colour(palette, index), label=one.label, linewidth=1.1)
    panel.set_xlabel("frequency (THz)")
    panel.set_ylabel("density of states (1/THz)")
    panel.set_xlim(left=0.0)
    panel.set_ylim(bottom=0.0)
    legend(figure, panel)
    return figure


def stability(simulations: Sequence[Simulation], palette: Palette) -> Figure:
    """A bar for each run up to its first violation, over its planned length."""
    height = 0.7 + 0.32 * len(simulations)
    figure, (panel,) = panels(1, width=7.4, height=height)
    positions = np.arange(len(simulations))[::-1]
    for position, one in zip(positions, simulations, strict=True):
        record = one.run.record
        planned = record["steps"] * record["timestep_fs"] * PS_PER_FS
        reached = one.metrics["stability_time"].value or 0.0
        panel.barh(position, planned, height=0.55, color=palette.grid)
        bad = bool(one.violations)
        shade = palette.series[1] if bad else palette.series[2]
        panel.barh(position, reached, height=0.55, color=shade)
        if bad:
            panel.plot(reached, position, marker="x", color=palette.ink, markersize=6)
    panel.set_yticks(positions, [one.name for one in simulations])
    panel.grid(visible=False, axis="y")
    panel.set_xlabel("time (ps)")
    panel.set_xlim(left=0.0)
    return figure


def over_noise(models: Mapping[str, Sequence[Simulation]], metric: str, palette: Palette) -> Figure:
    """A difference in units of its noise: models down, their runs as points, on a log axis."""
    figure, (panel,) = panels(1, width=7.4, height=1.0 + 0.32 * len(models))
    positions = np.arange(len(models))[::-1]
    for position, runs in zip(positions, models.values(), strict=True):
        ratios = [one.times_noise(metric) for one in runs]
        known = [ratio for ratio in ratios if ratio]
        panel.plot(known, [position] * len(known), "o", color=palette.series[0], markersize=5)
    panel.axvline(1.0, color=palette.muted, linewidth=0.8, linestyle=(0, (4, 3)))
    panel.set_xscale("log")
    panel.set_ylim(-0.6, len(models) - 0.4)
    panel.set_yticks(positions, list(models))
    plain_ticks(panel.xaxis, *panel.get_xlim())
    panel.grid(visible=False, axis="y")
    panel.set_xlabel("distance / noise")
    return figure
