# SPDX-License-Identifier: GPL-2.0-or-later
"""The command ``egraff``: one thin file for each verb; nothing heavy is imported before its use."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer
from rich.console import Console

from egraff import __version__
from egraff.cli import (
    analyse,
    benchmark,
    check,
    data,
    doctor,
    evaluate,
    export,
    import_,
    info,
    quickstart,
    report,
    run,
    train,
)
from egraff.errors import EgraffError, InputError
from egraff.files import output_error

app = typer.Typer(
    name="egraff",
    help="Equivariant GNN force fields: train, export, run in LAMMPS, judge the simulation.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command()(quickstart.quickstart)
app.add_typer(data.app, name="data")
app.command()(train.train)
app.command(name="eval")(evaluate.evaluate)
app.command(name="import")(import_.import_)
app.command()(info.info)
app.command()(export.export)
app.command()(check.check)
app.command()(run.run)
app.command()(analyse.analyse)
app.command()(report.report)
app.command()(benchmark.benchmark)
app.command()(doctor.doctor)


@app.callback(invoke_without_command=True)
def _options(
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    if version:
        typer.echo(f"egraff {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; errors that a user can act on are printed without a traceback."""
    try:
        app()
    except EgraffError as error:
        _end(error)
    except OSError as error:
        # outputs of libraries, which write by themselves
        told = output_error(error, error.filename or "output") if error.errno else None
        if told is None:
            raise
        _end(told)


def _end(error: EgraffError) -> NoReturn:
    """Print an error and leave: 2 for what the user can change, 1 for what failed."""
    # soft wrapping and markup would break file names apart
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        f"egraff: error: {error}", markup=False, style="red"
    )
    sys.exit(2 if isinstance(error, InputError) else 1)
