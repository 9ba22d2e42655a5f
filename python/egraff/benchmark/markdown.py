# SPDX-License-Identifier: GPL-2.0-or-later
"""The leaderboard as a table for a README: a line for each test, a column for each model."""

from __future__ import annotations

from collections.abc import Iterator

from egraff.benchmark.comparison import RANKED, Index
from egraff.benchmark.plan import PlanFile
from egraff.benchmark.summaries import ranks, summarise
from egraff.report.numbers import format_number

FILE = "leaderboard.md"
_LEGEND = (
    "Force MAE in meV/Å, with the share of runs that survived. **Bold**: no model is better by two "
    "standard errors of the difference."
)


def markdown(file: PlanFile, index: Index) -> str:
    """Return the table.

    Args:
        file: the plan.
        index: rows of the campaign.
    """
    models = list(file.plan.models)
    lines = [f"| test | {' | '.join(models)} |", "|---" * (len(models) + 1) + "|"]
    return "\n".join([*lines, *_lines(file, index), "", _LEGEND, ""])


def _lines(file: PlanFile, index: Index) -> Iterator[str]:
    models = list(file.plan.models)
    for set_name, dataset in file.plan.sets.items():
        for test_name, test in dataset.tests.items():
            errors = {
                model: summarise(index.get((model, set_name, test_name, RANKED), []))
                for model in models
            }
            ranked = ranks(errors)
            cells = []
            for model, summary in errors.items():
                text = "–"
                if summary is not None:
                    text = str(format_number(summary.value, summary.error))
                    text = f"**{text}**" if ranked[model] == 1 else text
                runs = index.get((model, set_name, test_name, "survived"), [])
                if runs:
                    text += f", {sum(row.value > 0 for row in runs)}/{len(runs)}"
                cells.append(text)
            shift = "" if test.shift == "none" else f" (unseen {test.shift})"
            yield f"| {set_name}, {test_name}{shift} | {' | '.join(cells)} |"
