# SPDX-License-Identifier: GPL-2.0-or-later
"""What sections of the page are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from matplotlib.figure import Figure

from egraff.report.style import Palette
from egraff.report.tables import Table


@dataclass(frozen=True)
class Drawing:
    """A figure to be drawn: its name, its caption, and how to draw it with a palette."""

    name: str
    caption: str
    draw: Callable[[Palette], Figure]


@dataclass
class Section:
    """One section of the page.

    Attributes:
        name: its anchor.
        title: its heading.
        text: what comes before its tables.
        tables: always open.
        drawings: after the tables.
        details: tables that are closed until a reader opens them.
        interactive: whether it holds the view of atoms.
        short: title in the navigation, where there is little room; ``title`` when empty.
    """

    name: str
    title: str
    text: str = ""
    tables: list[Table] = field(default_factory=list)
    drawings: list[Drawing] = field(default_factory=list)
    details: list[Table] = field(default_factory=list)
    interactive: bool = False
    short: str = ""

    @property
    def empty(self) -> bool:
        """Whether there is nothing in it."""
        return not (self.tables or self.drawings or self.details or self.interactive)
