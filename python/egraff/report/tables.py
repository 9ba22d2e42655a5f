# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables that become HTML, CSV and LaTeX from one description."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from egraff.analysis.metric import Metric
from egraff.files import atomic_path
from egraff.report.numbers import MINUS, THIN, Number, format_number, power_of_ten


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        title: at its head.
        unit: of its numbers.
        numeric: whether it holds numbers.
        exponent: its numbers are shown in units of ten to this power; CSV has them as they are.
    """

    title: str
    unit: str = ""
    numeric: bool = True
    exponent: int = 0

    @property
    def shown_unit(self) -> str:
        """Unit as shown, with the power of ten."""
        power = power_of_ten(self.exponent) if self.exponent else ""
        return THIN.join(part for part in (power, self.unit) if part)


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: what is shown when it is not a number.
        number: rounded for display.
        raw: the number itself, for CSV.
        raw_error: its standard error, for CSV.
        title: longer text, shown on hover.
        kind: ``""``, ``good``, ``warn``, ``bad`` or ``muted``.
    """

    text: str = ""
    number: Number | None = None
    raw: float | None = None
    raw_error: float | None = None
    title: str = ""
    kind: str = ""

    @property
    def plain(self) -> str:
        """Text of the cell in one piece."""
        return str(self.number) if self.number is not None else self.text


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: file name stem, also the anchor on the page.
        caption: what it shows, one or two sentences.
        columns: see `Column`.
        rows: each a sequence of `Cell`, as long as ``columns``.
    """

    name: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]] = field(default_factory=list)


def text_cell(text: object, *, kind: str = "", title: str = "") -> Cell:
    """A cell of words; an absent value (None) shows as a dash."""
    return Cell("–", kind="muted") if text is None else Cell(str(text), kind=kind, title=title)


def number_cell(
    value: float | None,
    error: float | None = None,
    *,
    scale: float = 1.0,
    exponent: int = 0,
    digits: int = 3,
    kind: str = "",
    title: str = "",
) -> Cell:
    """A cell of a number times ``scale``, shown in units of ten to the power ``exponent``."""
    if value is None:
        return Cell("–", kind="muted", title=title)
    value = value * scale
    error = None if error is None else error * scale
    power = 10.0**-exponent
    number = format_number(value * power, None if error is None else error * power, digits=digits)
    return Cell(number=number, raw=value, raw_error=error, title=title, kind=kind)


def metric_cell(metric: Metric | None, *, exponent: int = 0, kind: str = "") -> Cell:
    """A cell of a metric; its definition, provenance and note are shown on hover."""
    if metric is None:
        return Cell("–", kind="muted", title="not computed")
    parts = [metric.definition, metric.provenance]
    if metric.n_eff is not None:
        parts.append(f"{format_number(metric.n_eff, digits=2).value} independent samples")
    if metric.note:
        parts.append(metric.note)
    title = "\n".join(parts)
    if metric.value is None:
        return Cell("not enough data", kind="muted", title=title)
    return number_cell(metric.value, metric.error, exponent=exponent, kind=kind, title=title)


def _csv_labels(columns: Sequence[Column]) -> list[str]:
    """A name for each column; where titles repeat, with what they stand beside on the page."""
    titles = [column.title for column in columns]
    labels = [f"{one.title} ({one.unit})" if one.unit else one.title for one in columns]
    named = []
    for index, label in enumerate(labels):
        before = [title for title in titles[:index] if titles.count(title) == 1]
        repeated = titles.count(titles[index]) > 1 and before
        named.append(f"{before[-1]}: {label}" if repeated else label)
    return named


def write_csv(table: Table, path: str | os.PathLike[str]) -> None:
    """Write the unrounded numbers, errors in columns of their own."""
    has_error = [
        any(row[index].raw_error is not None for row in table.rows)
        for index in range(len(table.columns))
    ]
    header: list[str] = []
    for label, error in zip(_csv_labels(table.columns), has_error, strict=True):
        header += [label, f"{label} standard error"] if error else [label]
    with atomic_path(path) as partial, partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        for row in table.rows:
            fields: list[object] = []
            for cell, error in zip(row, has_error, strict=True):
                fields.append(cell.text if cell.raw is None else repr(cell.raw))
                if error:
                    fields.append("" if cell.raw_error is None else repr(cell.raw_error))
            writer.writerow(fields)


_LATEX = str.maketrans(
    {
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "\\": r"\textbackslash{}",
        "–": "--",
        "Å": r"\AA{}",
        "²": r"$^2$",
        "³": r"$^3$",
        "√": r"$\sqrt{\ }$",
        "×": r"$\times$",
        "→": r"$\rightarrow$",
        "⟨": r"$\langle$",
        "⟩": r"$\rangle$",
        "Δ": r"$\Delta$",
        "σ": r"$\sigma$",
        "°": r"$^\circ$",
        "<": "$<$",
        ">": "$>$",
        "|": "$|$",
        THIN: r"\,",
        MINUS: "$-$",
    }
)


_EXPONENTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


def _latex_text(text: str) -> str:
    """Words for LaTeX, powers of ten among them as mathematics."""
    parts = re.split("10([⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+)", text)
    parts[0::2] = [part.translate(_LATEX) for part in parts[0::2]]
    parts[1::2] = [f"$10^{{{part.translate(_EXPONENTS)}}}$" for part in parts[1::2]]
    return "".join(parts)


def _latex_cell(cell: Cell) -> str:
    if cell.number is None:
        return _latex_text(cell.text)
    number = cell.number
    text = number.value.replace(MINUS, "-").replace(THIN, r"\,")
    if number.error:
        text += r" \pm " + number.error.replace(THIN, r"\,")
    if number.power:
        exponent = number.power.removeprefix("×10").translate(_EXPONENTS)
        text = (
            rf"({text}) \times 10^{{{exponent}}}"
            if number.error
            else (rf"{text} \times 10^{{{exponent}}}")
        )
    return f"${text}$"


def write_latex(table: Table, path: str | os.PathLike[str]) -> None:
    """Write a ``tabular`` with booktabs rules inside a ``table``."""
    titles = [
        f"{column.title} ({column.shown_unit})" if column.shown_unit else column.title
        for column in table.columns
    ]
    alignment = "".join("r" if column.numeric else "l" for column in table.columns)
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        rf"\caption{{{_latex_text(table.caption)}}}",
        rf"\begin{{tabular}}{{{alignment}}}",
        r"\toprule",
        " & ".join(_latex_text(title) for title in titles) + r" \\",
        r"\midrule",
        *(" & ".join(_latex_cell(cell) for cell in row) + r" \\" for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    with atomic_path(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
