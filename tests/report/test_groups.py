# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs that differ only in their seed."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from egraff.analysis.metric import Metric
from egraff.analysis.runs import Run
from egraff.report.collect import Simulation, Study
from egraff.report.content_groups import groups_of, over_runs

RECORD = {
    "status": "completed",
    "model_sha256": "m",
    "ensemble": "nvt",
    "temperature_K": 300.0,
    "n_atoms": 8,
}


def simulation(name, seed, temperature, **changes):
    metric = Metric(name="temperature", value=temperature, unit="K", definition="d", provenance="p")
    run = Run(Path(name), {**RECORD, "seed": seed, **changes})
    return Simulation(name, run, metrics={"temperature": metric}, analysed=True)


def test_siblings_are_grouped():
    siblings = [simulation(f"run{seed}", seed, 300.0 + seed) for seed in range(5)]
    other = simulation("hot", 9, 600.0, temperature_K=600.0)
    study = Study(Path(), simulations=[*siblings, other])
    assert groups_of(study) == [siblings]
    table = over_runs(study)
    (row,) = table.rows
    assert [column.title for column in table.columns] == [
        "Runs",
        "Number",
        "Unstable",
        "Temperature",
    ]
    assert [row[1].plain, row[2].plain] == ["5", "0"]
    assert row[3].raw == pytest.approx(302.0)
    assert row[3].raw_error == pytest.approx(np.std(range(5), ddof=1) / np.sqrt(5))


def test_few_siblings_have_no_error():
    study = Study(Path(), simulations=[simulation(f"r{s}", s, 300.0 + s) for s in (1, 2)])
    cell = over_runs(study).rows[0][3]
    assert (cell.raw, cell.raw_error) == (301.5, None)
    assert re.fullmatch(r"2 runs, from 301 to 302; fewer than \d: no error", cell.title)


def test_mean_stability_is_a_lower_bound():
    def one(seed, violations):
        made = simulation(f"r{seed}", seed, 300.0)
        time = replace(made.metrics["temperature"], name="stability_time", value=10.0 * seed)
        return replace(made, metrics={"stability_time": time}, violations=violations)

    study = Study(Path(), simulations=[one(1, [{"criterion": "x"}]), one(2, [])])
    title = over_runs(study).rows[0][3].title
    assert "1 of them ended without a violation: a lower bound" in title


def test_one_run_on_several_ranks_is_no_group():
    study = Study(Path(), simulations=[simulation(f"r{n}", 1, 300.0, ranks=n) for n in (1, 2)])
    assert over_runs(study) is None
