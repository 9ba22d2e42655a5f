# SPDX-License-Identifier: GPL-2.0-or-later
"""The report: one self-contained HTML file, with tables and figures in a folder beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from egraff import __version__, provenance
from egraff.files import atomic_path, check_writable
from egraff.report.atoms_view import frames_of
from egraff.report.collect import collect
from egraff.report.content import sections
from egraff.report.parts import Section
from egraff.report.style import PAGE, PRINT, rc, to_svg
from egraff.report.tables import write_csv, write_latex
from egraff.report.tiles import Tile, tiles

PAGE_NAME = "report.html"
EXTRAS = "report"


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a page is made of.

    Attributes:
        title: its heading.
        about: what stands below the heading, before the date.
        sections: in their order.
        tiles: the numbers at its top.
        frames: structures to look at.
        frames_left_out: sentences about those that are not shown.
        extras: name of the folder beside the page for tables and figures.
    """

    title: str
    about: str
    sections: Sequence[Section]
    tiles: Sequence[Tile] = ()
    frames: Sequence[Mapping[str, Any]] = ()
    frames_left_out: Sequence[str] = ()
    extras: str = EXTRAS


def write_report(
    root: str | os.PathLike[str], target: str | os.PathLike[str] | None = None
) -> Path:
    """Write the report about a directory.

    Beside the page, in ``report/``: every table as CSV and LaTeX, every figure as PDF and PNG.

    Args:
        root: directory of trainings, evaluations and runs.
        target: the HTML file; ``root/report.html`` when None.

    Returns:
        The HTML file.

    Raises:
        InputError: ``root`` is missing or holds nothing to report about, or the page cannot be
            written.
    """
    study = collect(root)
    target = Path(target) if target is not None else study.root / PAGE_NAME
    check_writable(target)
    frames, left_out = frames_of(study)
    n_runs = len(study.simulations)
    page = Page(
        title=study.root.resolve().name,
        about=f"{n_runs} simulation{'' if n_runs == 1 else 's'}",
        sections=sections(study, has_frames=bool(frames)),
        tiles=tiles(study),
        frames=frames,
        frames_left_out=left_out,
    )
    return write_page(page, target)


def write_page(page: Page, target: Path) -> Path:
    """Write a page, and its tables and figures to a folder beside it.

    Raises:
        OutputError: something cannot be written.
    """
    extras = target.parent / page.extras
    drawn: dict[str, str] = {}
    for part in page.sections:
        for table in (*part.tables, *part.details):
            write_csv(table, extras / "tables" / f"{table.name}.csv")
            write_latex(table, extras / "tables" / f"{table.name}.tex")
        for drawing in part.drawings:
            with rc(PAGE):
                drawn[drawing.name] = to_svg(drawing.draw(PAGE), drawing.name)
            with rc(PRINT):
                figure = drawing.draw(PRINT)
                for suffix in (".pdf", ".png"):
                    path = extras / "figures" / f"{drawing.name}{suffix}"
                    with atomic_path(path) as partial:
                        figure.savefig(partial, dpi=200, facecolor=PRINT.paper)
    text = _render(page, drawn)
    with atomic_path(target) as partial:
        partial.write_text(text, encoding="utf-8")
    return target


def _text(name: str) -> str:
    return (resources.files("egraff.report") / name).read_text(encoding="utf-8")


def _render(page: Page, figures: Mapping[str, str]) -> str:
    loader = jinja2.FunctionLoader(lambda name: _text(f"templates/{name}"))
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("report.html.j2").render(
        page=page,
        figures=figures,
        library=_text("static/3Dmol-min.js") if page.frames else "",
        viewer=_text("templates/viewer.js"),
        version=__version__,
        created=provenance.now(),
        style=_text("templates/report.css"),
        script=_text("templates/report.js"),
    )
