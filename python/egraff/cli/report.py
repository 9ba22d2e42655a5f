# SPDX-License-Identifier: GPL-2.0-or-later
"""``egraff report``: one offline HTML page about everything below a directory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    directory: Annotated[
        Path,
        typer.Argument(help="Directory of trainings, evaluations and runs.", metavar="DIR"),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The HTML file (default: DIR/report.html)."),
    ] = None,
) -> None:
    """Write one self-contained HTML page about DIR: verdicts first, then why, tables and figures.

    Tables are also written as CSV and LaTeX, figures as PDF and PNG, to report/ beside the page.
    """
    from egraff.report.page import write_report

    typer.echo(write_report(directory, output))
