# SPDX-License-Identifier: GPL-2.0-or-later
"""Which runs are samples of one experiment."""

from pathlib import Path

import pytest

from egraff.analysis.experiments import groups
from egraff.analysis.runs import Run

SETTINGS = {
    "model": "m.pt",
    "structure": "a.xyz",
    "frame": 0,
    "seed": 1,
    "thermostat": "csvr",
    "thermostat_damp_ps": 0.1,
    "barostat": "iso",
    "velocities": "draw",
    "equilibrate_steps": 0,
    "ranks": 1,
    "dump_every": 100,
}


def sample(**changes):
    """A run with its name; changes of settings, or of the record where there is no such setting."""
    record = {
        "model_sha256": "m",
        "structure_sha256": "a",
        "elements": ["Ar"],
        "n_atoms": 8,
        "ensemble": "nvt",
        "timestep_fs": 1.0,
        "steps": 100,
        "status": "completed",
    }
    settings = {**SETTINGS, **{k: v for k, v in changes.items() if k in SETTINGS}}
    record |= {k: v for k, v in changes.items() if k not in SETTINGS}
    return Run(Path("r"), {**record, "seed": settings["seed"], "settings": settings}), str(changes)


@pytest.mark.parametrize("change", [{"seed": 2}, {"frame": 3}])
def test_other_starts_are_replicas(change):
    assert groups([sample(), sample(**change)]) == [["{}", str(change)]]


@pytest.mark.parametrize(
    "change",
    [
        {"thermostat": "langevin"},
        {"thermostat_damp_ps": 1.0},
        {"barostat": "tri"},
        {"velocities": "zero"},
        {"equilibrate_steps": 500},
        {"model_sha256": "other"},
        {"structure_sha256": "another phase, perhaps"},
        {"timestep_fs": 0.5},
        {"steps": 200},
    ],
)
def test_other_conditions_are_another_experiment(change):
    assert groups([sample(), sample(seed=2, **change)]) == []


def test_one_start_on_other_ranks_counts_once():
    runs = [
        sample(),
        sample(ranks=2, dump_every=10),
        sample(seed=2, model="n.pt", structure="b.xyz"),
    ]
    assert groups(runs) == [["{}", str({"seed": 2, "model": "n.pt", "structure": "b.xyz"})]]
    assert groups(runs[:2]) == []
