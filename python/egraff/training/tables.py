# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors as a table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.box import SIMPLE_HEAD
from rich.table import Table

from egraff.training.evaluate import Evaluation
from egraff.units import MEV_PER_EV

# metric, label, factor to the unit shown, unit
SHOWN = (
    ("energy_mae_ev_per_atom", "energy MAE", MEV_PER_EV, "meV/atom"),
    ("energy_rmse_ev_per_atom", "energy RMSE", MEV_PER_EV, "meV/atom"),
    ("energy_bias_ev_per_atom", "energy bias", MEV_PER_EV, "meV/atom"),
    ("energy_spread_ev_per_atom", "energy spread", MEV_PER_EV, "meV/atom"),
    ("energy_mae_ev", "energy MAE, cell", MEV_PER_EV, "meV"),
    ("energy_rmse_ev", "energy RMSE, cell", MEV_PER_EV, "meV"),
    ("force_mae_ev_per_ang", "force MAE", MEV_PER_EV, "meV/A"),
    ("force_rmse_ev_per_ang", "force RMSE", MEV_PER_EV, "meV/A"),
    ("stress_mae_ev_per_ang3", "stress MAE", MEV_PER_EV, "meV/A^3"),
    ("stress_rmse_ev_per_ang3", "stress RMSE", MEV_PER_EV, "meV/A^3"),
)


def evaluation_table(evaluation: Evaluation, *, title: str) -> Table:
    """Return errors, their 95 % intervals, the trivial predictor's and the ratios as a table."""
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    for column in ("model", "95 %", "trivial", "better", "unit"):
        justify = "left" if column == "unit" else "right"
        table.add_column(column, justify=justify, no_wrap=True)
    for name, label, factor, unit in SHOWN:
        if name not in evaluation.model:
            continue
        interval = evaluation.interval.get(name)
        ratio = evaluation.ratio.get(name)
        table.add_row(
            label,
            _number(evaluation.model[name] * factor),
            "-"
            if interval is None
            else f"{_number(interval[0] * factor)} .. {_number(interval[1] * factor)}",
            _number(evaluation.trivial[name] * factor),
            "-" if ratio is None else _number(ratio),
            unit,
        )
    return table


def comparison_table(
    before: Mapping[str, Mapping[str, float]], after: Mapping[str, Mapping[str, float]]
) -> Table:
    """Return the errors on several sets of data before and after a fine-tuning, as a table.

    Args:
        before: metrics by name of the set.
        after: likewise.
    """
    table = Table(
        title="errors before and after fine-tuning, on frames that were set aside",
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
    )
    for column in ("data", "", "before", "after", "unit"):
        table.add_column(
            column, justify="right" if column in ("before", "after") else "left", no_wrap=True
        )
    for name, metrics in before.items():
        first = name
        for key, label, factor, unit in SHOWN:
            if key in metrics:
                old, new = (_number(one[key] * factor) for one in (metrics, after[name]))
                table.add_row(first, label, old, new, unit)
                first = ""
    return table


def _number(value: float) -> str:
    """Three significant digits, without an exponent for ordinary sizes."""
    size = abs(value)
    if size != 0 and not 1e-3 <= size < 1e5:
        return f"{value:.2e}"
    return f"{value:.0f}" if size >= 100 else f"{value:#.3g}"
