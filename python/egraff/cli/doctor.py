# SPDX-License-Identifier: GPL-2.0-or-later
"""``egraff doctor``: is everything there that a run needs, and does it fit together?"""

from __future__ import annotations

import typer


def doctor() -> None:
    """Check the installation: libraries, versions, LAMMPS with the plugin, MPI, devices.

    Exits with 1 when something that a run needs does not work.
    """
    from rich.console import Console
    from rich.table import Table

    from egraff.doctor import examine

    table = Table("", "what", "found", box=None, pad_edge=False)
    findings = examine()
    for finding in findings:
        mark = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "bad": "[red]bad[/]"}
        table.add_row(mark[finding.verdict], finding.what, finding.found)
    Console(highlight=False).print(table)
    for finding in findings:
        if finding.fix:
            typer.echo(f"{finding.what}: {finding.fix}")
    if any(finding.verdict == "bad" for finding in findings):
        raise typer.Exit(1)
