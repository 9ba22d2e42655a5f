# SPDX-License-Identifier: GPL-2.0-or-later
"""``egraff data import``: public data sets, from a local copy, into our format."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from egraff.cli.types import writable


class Layout(StrEnum):
    """Layouts, as `egraff.data.importers.IMPORTERS` has them."""

    egraffbench = "egraffbench"
    botnet = "botnet"
    lips20 = "lips20"
    md17 = "md17"
    rmd17 = "rmd17"
    npz = "npz"
    ase_db = "ase-db"
    lmdb = "lmdb"
    deepmd = "deepmd"


def import_command(
    source: Annotated[Path, typer.Argument(help="File or folder: a local copy.")],
    layout: Annotated[Layout, typer.Option("--as", help="Layout of the copy.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder to write to.", callback=writable)
    ],
    only: Annotated[
        str | None, typer.Option("--set", help="One set of a repository that holds several.")
    ] = None,
    energy_unit: Annotated[
        str | None,
        typer.Option(help="eV, kcal/mol, kJ/mol, Hartree, ...; where the source does not say."),
    ] = None,
    force_unit: Annotated[
        str | None, typer.Option(help="Such as kcal/mol/A; default: energy over length.")
    ] = None,
    length_unit: Annotated[
        str | None, typer.Option(help="A, Bohr or nm; where the source does not say.")
    ] = None,
    elements: Annotated[
        str | None, typer.Option(help="Symbols of types 0, 1, ..., as Li,P,S (deepmd).")
    ] = None,
    periodic: Annotated[
        bool | None,
        typer.Option("--periodic/--no-periodic", help="Instead of what the source says."),
    ] = None,
    frames: Annotated[
        str, typer.Option(help="Of each file: all, start:stop:step, or 'spread N'.")
    ] = "all",
    fold: Annotated[int, typer.Option(min=1, help="Published split (rmd17).")] = 1,
    licence: Annotated[str | None, typer.Option(help="Licence of the data, to record.")] = None,
    origin: Annotated[str | None, typer.Option(help="Where the data come from.")] = None,
) -> None:
    """Import a public data set: check units, copies, overlaps, labels; write extended XYZ.

    Writes NAME.xyz.gz files and manifest.json, which records origin, licence, units and checks.
    Nothing is executed: pickled records are refused.
    """
    from rich.console import Console

    from egraff.data.importers import ImportOptions, import_data

    options = ImportOptions(
        energy_unit=energy_unit,
        force_unit=force_unit,
        length_unit=length_unit,
        elements=tuple(e.strip() for e in elements.split(",")) if elements else None,
        periodic=periodic,
        frames=frames,
        fold=fold,
        only=only,
        licence=licence,
        origin=origin,
    )
    console = Console(highlight=False, soft_wrap=True)
    result = import_data(source, layout.value, output, options, progress=typer.echo)
    for text in result.remarks:
        console.print(f"note: {text}", markup=False, style="yellow")
    for text in result.absent:
        console.print(f"not in this copy: {text}", markup=False)
    licences = {entry["licence"] for entry in result.files.values()}
    same = [name for name, entry in result.files.items() if entry.get("catalogue") == "same"]
    console.print(
        f"{len(result.files)} files; licence: {'; '.join(sorted(licences))}", markup=False
    )
    if same:
        console.print(f"{len(same)} of them are those of the catalogue, frame by frame")
