# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers and tables as text."""

import pytest

from egraff.analysis.metric import Metric, not_enough_data
from egraff.report.numbers import common_exponent, format_number, power_of_ten
from egraff.report.tables import (
    Column,
    Table,
    metric_cell,
    number_cell,
    text_cell,
    write_csv,
    write_latex,
)

NARROW = "\N{NARROW NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (56.9237, 0.682, "56.92 ± 0.68"),
        (56.9237, 0.0996, "56.92 ± 0.10"),
        (1572.03, 17.6, f"1{NARROW}572 ± 18"),
        (1572.03, 176.0, f"1{NARROW}570 ± 180"),
        (-0.0038, 0.0018, "−0.0038 ± 0.0018"),
        (0.00046, 0.00092, f"(4.6 ± 9.2){NARROW}×10⁻⁴"),
        (1.25e7, 3.0e5, f"(1.250 ± 0.030){NARROW}×10⁷"),
        (0.5, 0.0, "0.500"),
        (0.25, 3.2e-9, "0.2500000000 ± 0.0000000032"),
        (3.14159, None, "3.14"),
        (31.4159, None, "31.4"),
        (31415.9, None, f"31{NARROW}400"),
        (0.0, None, "0"),
        (2.0e-13, None, f"2.00{NARROW}×10⁻¹³"),
    ],
)
def test_format(value, error, text):
    assert str(format_number(value, error)) == text


def test_not_finite():
    assert str(format_number(float("inf"))) == "inf"


def test_columns_share_a_power_of_ten():
    assert common_exponent([1.2e-3, 4e-5, None]) == -3
    assert common_exponent([0.5, 1e-6]) == 0
    assert common_exponent([3e-7]) == -9
    assert common_exponent([]) == 0
    assert power_of_ten(-12) == "10⁻¹²"


METRIC = Metric(
    name="m", value=0.00012, error=0.00003, unit="1", n_eff=12, definition="what", provenance="from"
)


def test_cells():
    cell = metric_cell(METRIC, exponent=-3)
    assert cell.plain == "0.120 ± 0.030"
    assert (cell.raw, cell.raw_error) == (0.00012, 0.00003)
    assert cell.title == "what\nfrom\n12 independent samples"
    assert metric_cell(None).plain == "–"
    missing = not_enough_data("m", "1", "what", "from", "too short")
    assert metric_cell(missing).plain == "not enough data"
    assert "too short" in metric_cell(missing).title
    assert number_cell(None).plain == "–"


def test_csv_and_latex(tmp_path):
    columns = [Column("Run_1", numeric=False), Column("WF", "Å²", exponent=-3), Column("x", "%")]
    rows = [
        [text_cell("a & b"), metric_cell(METRIC, exponent=-3), number_cell(2e-9)],
        [text_cell("c"), metric_cell(None), number_cell(1.0, 0.25)],
    ]
    table = Table("t", "Caption 100 %.", columns, rows)
    write_csv(table, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text().splitlines() == [
        "Run_1,WF (Å²),WF (Å²) standard error,x (%),x (%) standard error",
        "a & b,0.00012,3e-05,2e-09,",
        "c,–,,1.0,0.25",
    ]
    write_latex(table, tmp_path / "t.tex")
    text = (tmp_path / "t.tex").read_text()
    assert r"Run\_1 & WF ($10^{-3}$\,\AA{}$^2$) & x (\%) \\" in text
    assert r"a \& b & $0.120 \pm 0.030$ & $2.00 \times 10^{-9}$ \\" in text
    assert r"c & -- & $1.00 \pm 0.25$ \\" in text
    assert r"\caption{Caption 100 \%.}" in text
