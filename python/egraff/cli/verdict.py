# SPDX-License-Identifier: GPL-2.0-or-later
"""How a verdict looks on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from egraff.analysis.verdict.judge import Verdict

_STYLES = {"sound": "green", "look": "yellow", "unsound": "bold red", "not enough data": "cyan"}


def say_verdict(console: Console, verdict: Verdict, *, of: str = "", indent: str = "") -> None:
    """Print the word and its reasons.

    Args:
        console: where to.
        verdict: the verdict.
        of: what it rests on, if not on all there is.
        indent: before each line.
    """
    console.print(f"{indent}verdict{of}: {verdict.word}", markup=False, style=_STYLES[verdict.word])
    for reason in verdict.reasons:
        console.print(f"{indent}  {reason.level}: {reason.text}", markup=False)
