# SPDX-License-Identifier: GPL-2.0-or-later
"""How figures look, and how they become SVG that follows the page's light or dark theme.

Matplotlib cannot write CSS variables, so figures for the page are drawn in marker colours that
occur nowhere else, and these are replaced by ``var(--...)`` in the SVG text.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

N_SERIES = 6
_PIXELS_PER_INCH = 118


@dataclass(frozen=True)
class Palette:
    """Colours of a figure: text and axes, secondary text, grid, background, series."""

    ink: str
    muted: str
    grid: str
    paper: str
    series: tuple[str, ...]


#: Okabe and Ito's colours, told apart by colour-blind readers, darkened where thin lines need it.
PRINT = Palette(
    ink="#1c1f24",
    muted="#5f6875",
    grid="#dfe3e8",
    paper="#ffffff",
    series=("#0069a8", "#c8501e", "#007f5c", "#a3478a", "#b07d00", "#3d8fc4"),
)

PAGE = Palette(
    ink="#010101",
    muted="#010102",
    grid="#010103",
    paper="#010104",
    series=tuple(f"#01010{digit}" for digit in "56789a"),
)

_VARIABLES = {
    PAGE.ink: "--ink",
    PAGE.muted: "--muted",
    PAGE.grid: "--rule",
    PAGE.paper: "--paper",
    **{colour: f"--series-{number}" for number, colour in enumerate(PAGE.series, start=1)},
}

_SETTINGS: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["Inter", "Helvetica Neue", "Arial", "DejaVu Sans"],
    "font.size": 9,
    "mathtext.fontset": "dejavusans",
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "lines.solid_capstyle": "round",
    "axes.formatter.use_mathtext": False,
    "text.parse_math": False,  # names of runs may hold dollar signs
    "axes.formatter.useoffset": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "egraff",
    "figure.constrained_layout.use": True,
    "pdf.fonttype": 42,
}


def settings(palette: Palette) -> dict[str, Any]:
    """Matplotlib settings for a palette, for ``matplotlib.rc_context``."""
    return {
        **_SETTINGS,
        "text.color": palette.ink,
        "axes.labelcolor": palette.ink,
        "axes.edgecolor": palette.muted,
        "axes.titlecolor": palette.ink,
        "xtick.color": palette.muted,
        "ytick.color": palette.muted,
        "xtick.labelcolor": palette.ink,
        "ytick.labelcolor": palette.ink,
        "grid.color": palette.grid,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
    }


def panels(n: int, *, width: float, height: float, columns: int = 3) -> tuple[Figure, list[Axes]]:
    """A figure of ``n`` panels in rows of at most ``columns``, each ``width`` x ``height`` inch."""
    columns = min(columns, n)
    rows = -(-n // columns)
    figure = Figure(figsize=(width * columns, height * rows))
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for unused in axes[n:]:
        unused.set_axis_off()
    return figure, axes[:n]


def to_svg(figure: Figure, name: str) -> str:
    """The figure as an ``<svg>`` element for inlining.

    Args:
        figure: drawn with `PAGE`.
        name: unique on the page; ids inside the SVG get it as a prefix, so that figures do not
            use each other's clip paths and markers.
    """
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', svg)
    # a presentation attribute cannot hold var(), a style can; matplotlib writes styles
    for marker, variable in _VARIABLES.items():
        svg = svg.replace(marker, f"var({variable})")
    # fills the page's column up to its natural size, then shrinks with the window
    width = round(float(figure.get_size_inches()[0]) * _PIXELS_PER_INCH)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', rf'\1 style="max-width: {width}px"', svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    return svg


def rc(palette: Palette):
    """Matplotlib context in which figures are drawn and saved."""
    return mpl.rc_context(settings(palette))
