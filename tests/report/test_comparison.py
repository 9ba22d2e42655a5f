# SPDX-License-Identifier: GPL-2.0-or-later
"""Several models of one system side by side."""

from pathlib import Path

import pytest

from egraff.analysis.metric import Metric
from egraff.analysis.runs import Run
from egraff.analysis.verdict.judge import Verdict
from egraff.report.collect import Simulation, Study
from egraff.report.content_comparison import comparison
from egraff.report.style import PRINT


def run(model, distance, word=None, *, structure="salt", file=None):
    metric = Metric(
        name="wasserstein[total]",
        value=distance,
        noise=0.01,
        unit="A",
        definition="d",
        provenance="p",
    )
    record = {"model": file or f"{model}.egraff.pt", "model_sha256": model, "status": "completed"}
    record |= {"structure_sha256": structure, "elements": ["Li", "F"], "n_atoms": 64}
    return Simulation(
        f"{model}-{distance}",
        Run(Path(model), record),
        metrics={"wasserstein[total]": metric},
        analysed=True,
        verdict=Verdict(word, ()) if word else None,
    )


def test_models_are_ranked_by_verdict_then_by_structure():
    runs = [
        run("far", 0.5, "look"),
        run("near", 0.02, "look"),
        run("bad", 0.01, "unsound"),
        run("good", 0.03, "sound"),
        run("good", 0.05, "look"),
        run("alone", 0.05, "sound", structure="another"),
    ]
    section = comparison(Study(Path(), simulations=runs))
    (table,) = section.tables
    assert table.caption == "Li, F; 64 atoms."
    names = ["near.egraff.pt", "good.egraff.pt", "far.egraff.pt", "bad.egraff.pt"]
    assert [row[0].text for row in table.rows] == names
    good = table.rows[1]
    assert (good[1].text, good[1].kind) == ("1 sound, 1 look", "warn")
    assert (good[2].text, good[3].text) == ("2", "0")
    assert good[4].raw == pytest.approx(0.04)  # the mean of both runs
    assert good[5].raw == pytest.approx(5.0)  # the worse of them, over its noise
    (drawing,) = section.drawings
    (panel,) = drawing.draw(PRINT).axes
    # near, good (two runs), far, bad, and the line at the noise
    assert [len(line.get_xdata()) for line in panel.lines] == [1, 2, 1, 1, 2]


def test_different_files_of_one_name_are_two_models():
    runs = [run("a", 0.1, file="model.egraff.pt"), run("b", 0.2, file="model.egraff.pt")]
    (table,) = comparison(Study(Path(), simulations=runs)).tables
    assert [row[0].text for row in table.rows] == ["model.egraff.pt (1)", "model.egraff.pt (2)"]


def test_one_model_has_nothing_beside_it():
    assert comparison(Study(Path(), simulations=[run("a", 0.1), run("a", 0.2)])).empty
