# SPDX-License-Identifier: GPL-2.0-or-later
"""``egraff check``: does an exported model keep the laws that every force field must keep?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def check(
    model: Annotated[Path, typer.Argument(help="Exported model, NAME.egraff.pt.")],
    structure: Annotated[
        Path | None,
        typer.Argument(help="Structure to test on; default: the frame stored in the model."),
    ] = None,
    ranks: Annotated[
        str, typer.Option(help="Numbers of MPI ranks to compare LAMMPS on; empty for none.")
    ] = "1,2,4",
    frame: Annotated[int, typer.Option(help="Frame of the structure file, from 0.")] = 0,
    elements: Annotated[
        str | None,
        typer.Option(help='Symbols of atom types 1, 2, ... of a LAMMPS dump or data file, "O H".'),
    ] = None,
) -> None:
    """Check symmetry, finite differences, the cutoff, and Python against LAMMPS.

    Exits with 1 when a check fails.
    """
    from rich.console import Console

    from egraff.errors import InputError

    try:
        counts = [int(part) for part in ranks.split(",") if part.strip()]
        if any(count < 1 for count in counts):
            raise ValueError
    except ValueError:
        raise InputError(
            f"expected numbers of ranks such as 1,2,4, got {ranks!r}",
            field="--ranks",
            fix="separate whole numbers above zero by commas",
        ) from None
    from egraff.data.lammps.elements import parse_elements
    from egraff.lammps.structure import read_structure
    from egraff.verify import check_model

    console = Console(highlight=False)
    symbols = None if elements is None else parse_elements(elements)
    atoms = None
    if structure is not None:
        atoms = read_structure(structure, frame=frame, elements=symbols)
    failed = 0
    for result in check_model(model, atoms, ranks=counts):
        mark = "[green]ok  [/]" if result.passed else "[red]FAIL[/]"
        failed += not result.passed
        console.print(
            f"{mark} {result.name:<45} {result.deviation:9.2e}  "
            f"(limit {result.limit:.0e} {result.unit})"
        )
    if failed:
        console.print(f"[red]{failed} checks failed[/]")
        raise typer.Exit(1)
