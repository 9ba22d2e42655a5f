# SPDX-License-Identifier: GPL-2.0-or-later
"""``egraff quickstart``: everything once, on data that egraff ships."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from egraff.cli.types import writable


def quickstart(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Directory for all results.", callback=writable)] = Path(
        "quickstart"
    ),
    overwrite: Annotated[
        bool, typer.Option(help="Start afresh instead of continuing an earlier quickstart.")
    ] = False,
) -> None:
    """Train, export, run in LAMMPS on one and two ranks, compare with a reference, report.

    Takes a few minutes on two cores. Prints every command, so that each can be repeated by hand.
    """
    from egraff.quickstart import quickstart as go

    def command(arguments: list[str]) -> None:
        # not imported: the command line imports this module
        status = context.find_root().command.main(arguments, standalone_mode=False)
        if status:  # interrupted: the next step would take its result for a finished one
            raise typer.Exit(status)

    go(out, command, overwrite=overwrite)
