# SPDX-License-Identifier: GPL-2.0-or-later
"""Figures about local order, pressure, relabelled rollouts and dimers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.figure import Figure

from egraff.report.collect import Simulation
from egraff.report.figures import colour, legend, log_axis, thin
from egraff.report.style import Palette, panels

#: More panels would hide what matters; the table has the rest.
_MOST_ANGLES = 6
_PRESSURE_BINS = 40
#: The repulsive wall of a dimer is cut at this energy, eV.
_HIGHEST_DIMER_ENERGY = 5.0


def angles(simulations: Sequence[Simulation], palette: Palette) -> Figure:
    """Angle distributions over the reference's, one panel per triplet."""
    names = [str(name) for name in simulations[0].curves["adf/triplets"]][:_MOST_ANGLES]
    width = 3.0 if len(names) > 2 else 3.7
    figure, axes = panels(len(names), width=width, height=2.2)
    for panel, name in zip(axes, names, strict=True):
        for index, one in enumerate(simulations):
            triplets = [str(other) for other in one.curves["adf/triplets"]]
            if name not in triplets:
                continue
            row, angle = triplets.index(name), one.curves["adf/angle"]
            if index == 0 and "adf/density_reference" in one.curves:
                panel.plot(
                    angle,
                    one.curves["adf/density_reference"][row],
                    color=palette.muted,
                    linewidth=2.6,
                    alpha=0.55,
                    label="reference",
                )
            density = one.curves["adf/density"][row]
            panel.plot(angle, density, color=colour(palette, index), label=one.label, linewidth=1.1)
        panel.set_title(name.replace("-", "–"))
        panel.set_xlabel("angle (°)")
        panel.set_xlim(0.0, 180.0)
        panel.set_ylim(bottom=0.0)
    axes[0].set_ylabel("density (1/°)")
    legend(figure, axes[0])
    return figure


def scattering(simulations: Sequence[Simulation], palette: Palette) -> Figure:
    """S(q) of all atoms, regardless of species."""
    figure, (panel,) = panels(1, width=7.4, height=2.5)
    first = simulations[0].curves
    if "sq/s_reference" in first:
        panel.plot(
            first["sq/q"],
            first["sq/s_reference"],
            color=palette.muted,
            linewidth=2.6,
            alpha=0.55,
            label="reference",
        )
    for index, one in enumerate(simulations):
        q, s = one.curves["sq/q"], one.curves["sq/s"]
        panel.plot(q, s, color=colour(palette, index), label=one.label, linewidth=1.1)
        error = one.curves.get("sq/s_error")
        if error is not None:
            shade = colour(palette, index)
            panel.fill_between(q, s - 2 * error, s + 2 * error, color=shade, alpha=0.22, lw=0)
    panel.set_xlabel("q (1/Å)")
    panel.set_ylabel("S(q)")
    panel.margins(x=0.01)
    legend(figure, panel)
    return figure


def pressure(simulations: Sequence[Simulation], palette: Palette) -> Figure:
    """Histograms of the instantaneous pressure."""
    figure, (panel,) = panels(1, width=7.4, height=2.3)
    for index, one in enumerate(simulations):
        values = one.curves["thermo/press"]
        values = values[np.isfinite(values)] * 1e-3
        panel.hist(
            values,
            bins=_PRESSURE_BINS,
            density=True,
            histtype="step",
            color=colour(palette, index),
            label=one.label,
        )
    panel.set_xlabel("pressure (kbar)")
    panel.set_ylabel("density (1/kbar)")
    legend(figure, panel)
    return figure


def rollouts(simulations: Sequence[Simulation], palette: Palette) -> Figure:
    """Energy and force violation along runs that were labelled by another method."""
    names = [
        name for name in ("ev", "fv") if any(f"rollout/{name}" in s.curves for s in simulations)
    ]
    figure, axes = panels(len(names), width=3.7, height=2.5, columns=2)
    labels = {"ev": "energy violation EV", "fv": "force violation FV"}
    for panel, name in zip(axes, names, strict=True):
        for index, one in enumerate(simulations):
            if f"rollout/{name}" in one.curves:
                by_time = np.argsort(one.curves["rollout/time"])
                time, values = (
                    one.curves[key][by_time] for key in ("rollout/time", f"rollout/{name}")
                )
                x, y = thin(time, values)
                panel.plot(x, y, color=colour(palette, index), label=one.label, linewidth=1.1)
        log_axis(panel)
        panel.set_xlabel("time (ps)")
        panel.set_ylabel(labels[name])
    legend(figure, axes[-1])
    return figure


def dimers(
    simulations: Sequence[Simulation], label: Callable[[Simulation], str], palette: Palette
) -> Figure:
    """Energies of lone dimers, one panel per model."""
    figure, axes = panels(len(simulations), width=3.7, height=2.5, columns=2)
    for panel, one in zip(axes, simulations, strict=True):
        pairs = [str(pair) for pair in one.curves["dimer/pairs"]]
        for index, pair in enumerate(pairs):
            x, y = one.curves["dimer/distance"][index], one.curves["dimer/energy"][index]
            shown = y - y[-1] <= _HIGHEST_DIMER_ENERGY
            panel.plot(
                x[shown],
                (y - y[-1])[shown],
                color=colour(palette, index),
                label=pair.replace("-", "–"),
                linewidth=1.1,
            )
        panel.set_title(label(one), fontsize="small")
        panel.set_xlabel("distance (Å)")
        panel.legend(loc="best", fontsize="x-small", ncols=1 + len(pairs) // 5)
    axes[0].set_ylabel("energy (eV)")
    return figure
