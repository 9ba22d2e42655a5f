# SPDX-License-Identifier: GPL-2.0-or-later
"""The report: what it holds, that it needs nothing else, and the files beside it."""

import csv
import json
import re
import shutil
from html.parser import HTMLParser
from importlib import resources

import numpy as np
import pytest
from typer.testing import CliRunner

from egraff.analysis.runs import read_run
from egraff.errors import InputError
from egraff.report.collect import collect
from egraff.report.figures import thin
from egraff.report.page import write_report
from tests.analysis.dumps import write_run
from tests.analysis.runs import analyse_run, make_run


class Page(HTMLParser):
    """Ids, references and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.resources, self.words, self.open = [], [], [], [], []
        self.feed(text)
        self.text = " ".join(self.words)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.open.append(tag)
        if "id" in values:
            self.ids.append(values["id"])
        for name, value in attributes:
            if name in ("src", "href", "xlink:href"):
                (self.links if tag == "a" else self.resources).append(value)

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data.strip())


@pytest.fixture(scope="module")
def html(page):
    return page.read_text()


@pytest.fixture(scope="module")
def parsed(html):
    return Page(html)


def test_needs_no_network(html, parsed):
    assert all(link.startswith(("#", "data:")) for link in parsed.links + parsed.resources)
    # names of XML namespaces and licence notes are not fetched; nothing else may name a host
    text = re.sub(r'xmlns(:\w+)?="[^"]*"', "", html)
    library = resources.files("egraff.report") / "static" / "3Dmol-min.js"
    text = text.replace(library.read_text(encoding="utf-8"), "")  # the browser test watches it
    assert not re.search(r"url\((?!#)|@import|fetch\(|XMLHttpRequest|<link[^>]+stylesheet", text)
    assert len(html) < 3_000_000


def test_ids_are_unique_and_links_lead_somewhere(parsed):
    assert len(parsed.ids) == len(set(parsed.ids))
    missing = {link[1:] for link in parsed.links + parsed.resources if link.startswith("#")}
    assert not missing - set(parsed.ids)


def test_sections_in_order(html):
    names = re.findall(r'<section id="([a-z]+)"', html)
    assert names == [
        "verdict",
        "training",
        "simulations",
        "frames",
        "structure",
        "order",
        "conservation",
        "replay",
        "ranks",
        "provenance",
    ]


def test_training_beside_the_trivial_predictor(parsed):
    assert "20 times better than the trivial predictor" in parsed.text
    assert "What training learned" in parsed.text
    assert "force MAE (meV/Å)" in parsed.text
    assert "validation" in parsed.text
    assert "Validation is of the running average of the weights (decay 0.99 per" in parsed.text


def test_stress_and_intervals_of_errors(study, page):
    with (page.parent / "report" / "tables" / "errors-mae.csv").open(newline="") as stream:
        hot, test = csv.DictReader(stream)
    assert float(test["Stress MAE (meV/Å³)"]) == pytest.approx(0.2)
    assert float(test["Stress MAE: better (×)"]) == pytest.approx(25.0)
    assert test["Stress MAE: 95 % interval (meV/Å³)"] == "0.160 to 0.240"
    assert test["Energy MAE: 95 % interval (meV/atom)"] == "0.800 to 1.20"
    assert hot["Stress MAE (meV/Å³)"] == hot["Energy MAE: 95 % interval (meV/atom)"] == "–"
    assert "stress" not in (page.parent / "report" / "tables" / "errors-rmse.csv").read_text()


def test_failed_run_is_shown_and_escaped(html, parsed):
    assert "<failed>" not in html
    assert "runs/<failed> & gone" in parsed.text
    assert "ERROR: Lost atoms & more" in parsed.text
    assert "no such file; structure, order, density, conservation" in parsed.text


def test_every_figure_is_inlined_with_theme_colours(html):
    figures = re.findall(r'<figure id="figure-([a-z0-9-]+)">.*?</figure>', html, flags=re.DOTALL)
    expected = {"learning-1", "temperature-1", "nve-energy-1", "stability", "msd-1", "rdf-1"}
    assert expected | {"violations-1", "parity-1"} <= set(figures)
    assert html.count("<svg") == len(figures)
    assert "#0101" not in html  # every marker colour became a variable
    assert "var(--series-1)" in html
    assert "font-size: 0" not in html


def test_files_beside_the_page(study, page):
    tables = page.parent / "report" / "tables"
    figures = page.parent / "report" / "figures"
    assert {path.suffix for path in figures.iterdir()} == {".pdf", ".png"}
    with (tables / "structure.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["Run"] for row in rows] == ["runs/first", "runs/second"]
    assert float(rows[0]["Wright factor"]) > 0
    distance, noise = (float(rows[1][f"Wasserstein-1{of} (Å)"]) for of in ("", ": noise"))
    assert distance == pytest.approx(52 * noise)
    assert float(rows[0]["Wright factor standard error"]) > 0
    with (tables / "errors-mae.csv").open(newline="") as stream:
        reader = csv.DictReader(stream)
        errors = list(reader)
    assert len(set(reader.fieldnames)) == len(reader.fieldnames)
    assert float(errors[0]["Energy MAE: better (×)"]) == pytest.approx(20.0)
    assert float(errors[0]["Force MAE: better (×)"]) == pytest.approx(20.0)
    latex = (tables / "simulations.tex").read_text()
    assert r"runs/$<$failed$>$ \& gone" in latex
    assert latex.count(r"\\") == 4
    assert study.joinpath("report.html") == page


def test_report_of_one_run_that_was_not_analysed(tmp_path):
    write_run(tmp_path / "run", [])
    page = write_report(tmp_path / "run", tmp_path / "elsewhere" / "page.html")
    assert "not analysed: run egraff analyse" in page.read_text()


def test_what_cannot_be_read_is_listed(tmp_path):
    write_run(tmp_path / "good", [])
    write_run(tmp_path / "bad", [], steps="x")
    (tmp_path / "eval.json").write_text("{")
    (tmp_path / "ranks.json").write_text("{}")
    problems = collect(tmp_path).problems
    assert [problem.split(" was left out")[0] for problem in problems] == [
        "bad/run.json",
        "eval.json",
        "ranks.json",
    ]
    assert "expected a int, got 'x'" in problems[0]
    (tmp_path / "eval.json").write_text("[]")
    assert "expected a JSON dict, got list" in collect(tmp_path).problems[1]


def test_damaged_and_missing_curves(study, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(study, root)
    first, second = (root / "runs" / name / "analysis/curves.npz" for name in ("first", "second"))
    first.write_bytes(first.read_bytes()[:-100])
    second.unlink()
    (problem,) = collect(root).problems
    assert "expected the arrays of an analysis, got a damaged file" in problem
    assert "fix: run egraff analyse --force" in problem
    page = Page(write_report(root).read_text())
    assert "runs/second" in page.text


def test_a_result_without_a_field_is_told_of(study, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(study, root)
    path = root / "runs/first/analysis/result.json"
    path.write_text(json.dumps({"key": "k"}))
    assert collect(root).problems == ["runs/first/run.json was left out: it has no field 'metrics'"]


def test_names_are_no_formulas(tmp_path):
    # two dollar signs would begin and end one
    run = make_run(tmp_path / "price$_{x$")
    analyse_run(read_run(run))
    assert "price$_{x$" in write_report(tmp_path).read_text()


def test_names_that_begin_with_an_underscore_are_in_legends(tmp_path):
    run = make_run(tmp_path / "_hidden")
    analyse_run(read_run(run))
    html = write_report(tmp_path).read_text()
    assert re.search(r"<svg(?:(?!</svg>).)*_hidden(?:(?!</svg>).)*temperature", html, re.DOTALL)


def test_stopped_runs_are_not_marked_as_bad(tmp_path):
    write_run(tmp_path / "stopped", [], status="interrupted")
    write_run(tmp_path / "broken", [], status="failed", error="boom")
    text = write_report(tmp_path).read_text()
    assert re.search(r'class="t bad"[^>]*>failed<', text)
    assert re.search(r'class="t "[^>]*>interrupted<', text)
    assert "of 2" in Page(text).text


def test_figures_hold_the_ends_of_a_series():
    x = np.arange(2001.0)
    thinned, _ = thin(x, x)
    assert len(thinned) == 800
    assert (thinned[0], thinned[-1]) == (0.0, 2000.0)


def test_nothing_to_report(tmp_path):
    with pytest.raises(InputError, match="no such directory"):
        collect(tmp_path / "absent")
    with pytest.raises(InputError, match=r"nothing to report: no run\.json, summary\.json"):
        collect(tmp_path)


def test_command_line(study, tmp_path):
    from egraff.cli import app

    target = tmp_path / "out.html"
    done = CliRunner().invoke(app, ["report", str(study), "--output", str(target)])
    assert done.exit_code == 0, done.output
    assert done.output.strip() == str(target)
    assert target.is_file()
