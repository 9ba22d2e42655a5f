# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables in the form of the paper (Bihani et al. 2024): a line for a test, a column for a model.

Table 1 has errors of energies and forces, table 2 what simulations are like. A test of its own is a
line of its own, where the paper has a data set.
"""

from __future__ import annotations

from collections.abc import Sequence

from egraff.benchmark.comparison import WITH_OFFSET, Index, summary_cell
from egraff.benchmark.facts import Facts
from egraff.benchmark.plan import PlanFile
from egraff.benchmark.results import QUANTITIES
from egraff.benchmark.summaries import summarise
from egraff.report.parts import Section
from egraff.report.tables import Cell, Column, Table, text_cell

_TABLES = {
    "paper-errors": (
        "Errors of energies and forces.",
        ("energy_mae_ev_per_atom", "energy_spread_ev_per_atom", "force_mae_ev_per_ang"),
    ),
    "paper-simulations": (
        "Simulations; EV and FV are geometric means over the replayed reference.",
        ("jensen_shannon[total]", "wright_factor[total]", "replay_ev", "replay_fv"),
    ),
}


def paper_section(file: PlanFile, facts: Facts, index: Index) -> Section:
    """Return both tables, as far as there are numbers."""
    section = Section("paper", "In the form of the paper", "", short="Paper’s tables")
    columns = [Column(title, numeric=False) for title in ("Test", "", "Unit")]
    columns += [Column(model) for model in file.plan.models]
    for name, (caption, metrics) in _TABLES.items():
        body = _lines(file, facts, index, metrics)
        if body:
            section.details.append(Table(name, caption, columns, body))
    return section


def _lines(file: PlanFile, facts: Facts, index: Index, metrics: Sequence[str]) -> list[list[Cell]]:
    quantities = [one for metric in metrics for one in QUANTITIES if one.name == metric]
    lines = []
    for set_name, dataset in file.plan.sets.items():
        for test_name in dataset.tests:
            offset_open = facts.sets[set_name].tests[test_name].offset_open
            for quantity in quantities:
                if offset_open and quantity.name in WITH_OFFSET:
                    continue
                found = [
                    summarise(index.get((model, set_name, test_name, quantity.name), []))
                    for model in file.plan.models
                ]
                if any(one is not None for one in found):
                    what = [f"{set_name}, {test_name}", quantity.title, quantity.unit]
                    lines.append([*map(text_cell, what), *map(summary_cell, found)])
    return lines
