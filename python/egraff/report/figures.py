# SPDX-License-Identifier: GPL-2.0-or-later
"""The figures of the report; each function draws one with a given palette."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from egraff.analysis.section import evenly_spaced
from egraff.report.collect import Simulation, Training
from egraff.report.numbers import power_of_ten
from egraff.report.style import N_SERIES, Palette, panels

_MOST_POINTS = 800
_BAND = 2.0
#: Of a legend, whose handles and gaps take as much room as so many characters.
_CHARACTERS_PER_INCH = 13.5
_HANDLE_CHARACTERS = 8


def colour(palette: Palette, index: int) -> str:
    """Colour of a series; they repeat after `N_SERIES`."""
    return palette.series[index % N_SERIES]


def thin(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most `_MOST_POINTS` points, which is all that the eye resolves.

    The ends are included: a run that breaks does so at its end.
    """
    chosen = evenly_spaced(len(x), _MOST_POINTS)
    return x[chosen], y[chosen]


def log_axis(panel: Axes) -> None:
    """Logarithmic y axis with plain numbers."""
    panel.set_yscale("log")
    plain_ticks(panel.yaxis, *panel.get_ylim())


def plain_ticks(axis: Axis, low: float, high: float) -> None:
    """Plain numbers at a logarithmic axis, and enough of them when it spans little."""
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for steps in ((1.0,), (1.0, 2.0, 5.0), np.arange(1.0, 10.0), np.arange(1.0, 10.0, 0.5)):
        ticks = np.outer(decades, steps).ravel()
        ticks = ticks[(ticks >= low) & (ticks <= high)]
        if len(ticks) >= 3:
            break
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value)))
    axis.set_minor_locator(NullLocator())


def _plain(value: float) -> str:
    if 1e-3 <= value * (1 + 1e-9) < 1e5:
        return f"{value:g}"
    exponent = int(np.floor(np.log10(value) + 1e-9))
    lead = f"{value / 10.0**exponent:.3g}"
    power = power_of_ten(exponent)
    return power if lead == "1" else f"{lead}×{power}"


def legend(figure: Figure, axes: Axes) -> None:
    """One legend above all panels, of the series in ``axes``."""
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        room = figure.get_size_inches()[0] * _CHARACTERS_PER_INCH
        columns = int(room / (max(map(len, labels)) + _HANDLE_CHARACTERS))
        figure.legend(
            handles, labels, loc="outside upper left", ncols=max(1, min(4, columns, len(labels)))
        )


def rdf(simulations: Sequence[Simulation], palette: Palette) -> Figure:
    """g(r) of every species pair: simulations over their reference, bands of two errors."""
    first = simulations[0].curves
    pairs = [str(pair) for pair in first["rdf/pairs"]]
    shown = pairs[:-1] if len(pairs) == 2 else pairs  # one species: total is that pair
    width = 3.0 if len(shown) > 2 else 4.4
    figure, axes = panels(len(shown), width=width, height=2.3 if len(shown) > 2 else 2.9)
    periodic = bool(first["rdf/periodic"])
    for panel, pair in zip(axes, shown, strict=True):
        if "rdf_reference/g" in first:
            _curve(panel, first, "rdf_reference", pair, palette.muted, "reference", heavy=True)
        for index, simulation in enumerate(simulations):
            _curve(
                panel,
                simulation.curves,
                "rdf",
                pair,
                colour(palette, index),
                simulation.label,
                heavy=False,
            )
        panel.set_title("all pairs" if pair == "total" else pair.replace("-", "–"))
        panel.set_xlabel("r (Å)")
        panel.set_xlim(0.0, float(first["rdf/r"][-1]))
        panel.set_ylim(bottom=0.0)
    axes[0].set_ylabel("g(r)" if periodic else "pair density / uniform")
    legend(figure, axes[0])
    return figure


def _curve(
    panel: Axes, curves: dict, prefix: str, pair: str, shade: str, label: str, *, heavy: bool
) -> None:
    names = [str(name) for name in curves[f"{prefix}/pairs"]]
    if pair not in names:  # a single atom of a species has no partner, in a larger cell it has
        return
    index = names.index(pair)
    r, g = curves[f"{prefix}/r"], curves[f"{prefix}/g"][index]
    panel.plot(
        r, g, color=shade, label=label, linewidth=2.6 if heavy else 1.2, alpha=0.55 if heavy else 1
    )
    error = curves.get(f"{prefix}/g_error")
    if error is not None:
        band = _BAND * error[index]
        panel.fill_between(
            r, np.maximum(g - band, 0.0), g + band, color=shade, alpha=0.22, linewidth=0
        )


def temperature(simulations: Sequence[Simulation], palette: Palette) -> Figure:
    """Temperature of every simulation over time."""
    figure, (panel,) = panels(1, width=7.4, height=2.7)
    for index, simulation in enumerate(simulations):
        curves = simulation.curves
        x, y = thin(curves["thermo/time_ps"], curves["thermo/temp"])
        panel.plot(x, y, color=colour(palette, index), label=simulation.label, linewidth=1.0)
    targets = {
        simulation.run.record.get("temperature_K")
        for simulation in simulations
        if simulation.run.record["ensemble"].lower() != "nve"
    } - {None}
    for target in sorted(targets):
        panel.axhline(target, color=palette.muted, linewidth=0.8, linestyle=(0, (4, 3)))
    panel.set_xlabel("time (ps)")
    panel.set_ylabel("temperature (K)")
    panel.margins(x=0.01)
    legend(figure, panel)
    return figure


def energy(simulations: Sequence[Simulation], palette: Palette) -> Figure:
    """Total energy of NVE simulations about its mean, with the fitted drift."""
    figure, (panel,) = panels(1, width=7.4, height=2.7)
    for index, simulation in enumerate(simulations):
        curves = simulation.curves
        n_atoms = simulation.run.record["n_atoms"]
        time, total = curves["thermo/time_ps"], curves["thermo/etotal"]
        finite = np.isfinite(total)
        time, total = time[finite], total[finite]
        deviation = (total - total.mean()) * 1e3 / n_atoms
        x, y = thin(time, deviation)
        shade = colour(palette, index)
        panel.plot(x, y, color=shade, label=simulation.label, linewidth=0.9, alpha=0.75)
        drift = simulation.metrics.get("nve_drift")
        if drift is not None and drift.value is not None:
            ends = time[[0, -1]]
            panel.plot(ends, drift.value * (ends - time.mean()), color=shade, linewidth=1.8)
    panel.set_xlabel("time (ps)")
    panel.set_ylabel("E − ⟨E⟩ (meV/atom)")
    panel.margins(x=0.01)
    legend(figure, panel)
    return figure


def violations(simulations: Sequence[Simulation], palette: Palette) -> Figure:
    """Energy and force violation along the reference trajectory."""
    figure, axes = panels(2, width=3.7, height=2.7, columns=2)
    for index, simulation in enumerate(simulations):
        curves = simulation.curves
        for panel, name in zip(axes, ("ev", "fv"), strict=True):
            x, y = thin(curves["replay/time"], curves[f"replay/{name}"])
            panel.plot(x, y, color=colour(palette, index), label=simulation.label, linewidth=1.1)
    known = all(bool(simulation.curves["replay/time_known"]) for simulation in simulations)
    for panel, label in zip(axes, ("energy violation EV", "force violation FV"), strict=True):
        log_axis(panel)
        panel.set_xlabel("reference time (ps)" if known else "reference frame")
        panel.set_ylabel(label)
        panel.margins(x=0.01)
    if len(simulations) > 1:
        legend(figure, axes[0])
    return figure


#: Panels of the learning figure: title, and what the columns in it end with.
_LEARNING = (
    ("loss", "_loss"),
    ("energy MAE (meV/atom)", "_energy_mae_mev_per_atom"),
    ("force MAE (meV/Å)", "_force_mae_mev_per_ang"),
)
_LEARNING_LABELS = {"train": "training", "val": "validation"}


def _learning_groups(training: Training) -> list[tuple[str, list[str]]]:
    """Panels of the learning figure: title and the columns in it."""
    curves = training.curves
    groups = [
        (title, [name for name in curves if name.endswith(key) and _drawable(curves[name])])
        for title, key in _LEARNING
    ]
    return [(title, names) for title, names in groups if names]


def _drawable(values: np.ndarray) -> bool:
    return bool((np.isfinite(values) & (values > 0.0)).sum() > 1)


def can_draw_learning(training: Training) -> bool:
    """Whether there is something to draw in a learning figure."""
    return bool({"epoch", "step"} & set(training.curves)) and bool(_learning_groups(training))


def learning(training: Training, palette: Palette) -> Figure:
    """Losses and errors over epochs or steps."""
    curves = training.curves
    axis = "epoch" if "epoch" in curves else "step"
    groups = _learning_groups(training)
    figure, axes = panels(len(groups), width=7.4 / len(groups), height=2.7)
    for panel, (title, names) in zip(axes, groups, strict=True):
        for index, name in enumerate(names):
            valid = np.isfinite(curves[name]) & np.isfinite(curves[axis]) & (curves[name] > 0)
            x, y = thin(curves[axis][valid], curves[name][valid])
            label = _LEARNING_LABELS.get(name.split("_")[0], name)
            panel.plot(x, y, color=colour(palette, index), label=label)
        panel.set_title(title)
        panel.set_xlabel(axis)
        log_axis(panel)
        panel.legend(loc="best")
    return figure
