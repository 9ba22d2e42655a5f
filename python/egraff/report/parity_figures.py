# SPDX-License-Identifier: GPL-2.0-or-later
"""Predictions against labels: energies as points, forces of each element as densities."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm, to_rgb
from matplotlib.figure import Figure

from egraff.report.collect import Simulation
from egraff.report.figures import colour
from egraff.report.style import Palette, panels

_CELLS_ACROSS = 45
#: The lightest cell, one component, must still be seen.
_FAINTEST = 0.18


def parity(simulation: Simulation, palette: Palette) -> Figure:
    """Energies about the reference's mean, and force components of each element.

    Shades count components on a logarithmic scale: most lie on the diagonal, and those that do
    not are what matters.
    """
    curves = simulation.curves
    forces, forces_ref = curves["replay/forces"], curves["replay/forces_ref"]
    groups = _by_element(curves, forces.shape)
    n_panels = 1 + len(groups)
    width = 3.7 if n_panels == 2 else 2.5
    figure, axes = panels(n_panels, width=width, height=0.92 * width, columns=3)
    energy, energy_ref = curves["replay/energy"], curves["replay/energy_ref"]
    scale = 1e3 / (forces.shape[1] // 3)
    x, y = (energy_ref - energy_ref.mean()) * scale, (energy - energy_ref.mean()) * scale
    _diagonal(axes[0], x, y, palette)
    axes[0].plot(x, y, "o", markersize=2.4, markeredgewidth=0, alpha=0.45, color=colour(palette, 0))
    _labels(axes[0], "energy", "E − ⟨E_ref⟩ (meV/atom)")
    for index, (panel, (title, chosen)) in enumerate(zip(axes[1:], groups, strict=True), start=1):
        _density(panel, forces_ref[chosen], forces[chosen], colour(palette, index))
        _diagonal(panel, forces_ref[chosen], forces[chosen], palette)
        _labels(panel, title, "force (eV/Å)")
    return figure


def _by_element(curves: dict, shape: tuple[int, ...]) -> list[tuple[str, np.ndarray]]:
    """Title and mask `[n_frames, 3 n_atoms]` of each panel; older analyses name no elements."""
    if "replay/elements" not in curves:
        return [("forces on all atoms", np.ones(shape, dtype=bool))]
    elements = np.repeat(curves["replay/elements"], 3, axis=1)
    return [(f"forces on {symbol}", elements == symbol) for symbol in np.unique(elements)]


def _density(panel: Axes, x: np.ndarray, y: np.ndarray, shade: str) -> None:
    """Counts of points in hexagons, as the opacity of one colour, so that it suits any theme."""
    red, green, blue = to_rgb(shade)
    faded = LinearSegmentedColormap.from_list(
        "faded", [(red, green, blue, _FAINTEST), (red, green, blue, 1.0)]
    )
    panel.hexbin(x, y, gridsize=_CELLS_ACROSS, mincnt=1, norm=LogNorm(), cmap=faded, linewidths=0)


def _diagonal(panel: Axes, x: np.ndarray, y: np.ndarray, palette: Palette) -> None:
    limits = [min(x.min(), y.min()), max(x.max(), y.max())]
    panel.plot(limits, limits, color=palette.muted, linewidth=0.8)
    panel.set_aspect("equal", adjustable="datalim")


def _labels(panel: Axes, title: str, quantity: str) -> None:
    panel.set_title(title)
    panel.set_xlabel(f"reference {quantity}")
    panel.set_ylabel(f"model {quantity}")
