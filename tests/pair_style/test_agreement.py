# SPDX-License-Identifier: GPL-2.0-or-later
"""LAMMPS on any number of ranks = the compiled core in Python = the eager model.

A toy in every mode, box and decomposition; test_grid.py has the real architectures.
One start of `lmp` per number of ranks and way of dealing with ghosts goes through all systems,
types and decompositions.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from egraff import _core
from egraff.export import export_torchscript
from egraff.forces import predict
from egraff.graph import graph_of_atoms
from tests.pair_style.agreement import (
    Case,
    can_be_tiled,
    run_cases,
    values_in_lammps,
    values_in_python,
    write_systems,
)
from tests.pair_style.systems import R_MAX, SYSTEMS
from tests.pair_style.toy import toy

MODELS = {
    "float64": {"dtype": "float64"},
    "float32": {"dtype": "float32"},
    # shorter for some pairs, and not the same for both directions
    "pair_cutoffs": {"dtype": "float64", "pair_cutoffs": {"H": 2.6, "O": {"H": 3.1}}},
}
# relative to the largest number of its kind
TOLERANCE = {"float64": 1e-10, "float32": 1e-5, "pair_cutoffs": 1e-10}
RUNS = [
    *((1, mode, "host") for mode in ("fold", "exchange", "extended")),
    *((2, mode, "host") for mode in ("auto", "extended")),
    (4, "auto", "host"),
    # what a GPU does, with the CPU for a GPU
    *((1, mode, "device") for mode in ("fold", "exchange", "extended")),
    *((ranks, "auto", "device") for ranks in (2, 4)),
]


def cases_of(ranks: int, mode: str, graph: str) -> list[Case]:
    """Return all that are possible on one rank, else a selection.

    Ranks that share a core spend their time waiting for each other, so not all are repeated there.
    """
    chosen = [Case(system, "float64") for system in SYSTEMS]
    if mode != "extended":  # whose ghosts reach too far for these boxes
        chosen += [Case(system, "float64", "tiled") for system in SYSTEMS if can_be_tiled(system)]
    chosen += [Case(system, "float32") for system in ("triclinic", "empty ranks")]
    chosen += [Case("triclinic", "pair_cutoffs")]
    if ranks == 1 and graph == "host":
        chosen += [Case(system, model) for system in SYSTEMS for model in MODELS]
    return sorted(set(chosen))


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A directory with all models and structures."""
    path = tmp_path_factory.mktemp("agreement")
    for name, options in MODELS.items():
        export_torchscript(toy(**options), path / name)
    write_systems(path)
    return path


@pytest.fixture(scope="module")
def results(directory):
    """Return a function from one of RUNS to all results of one start of `lmp`, by case."""
    made = {}

    def results_of(ranks: int, mode: str, graph: str):
        run = (ranks, mode, graph)
        if run not in made:
            style = f"mode {mode} graph {graph}"
            made[run] = run_cases(cases_of(*run), directory, ranks=ranks, style=style)
        return made[run]

    return results_of


@pytest.fixture(scope="module")
def expected(directory):
    """Return a function from system and model to the values of core and eager model."""
    made = {}

    def values(system: str, model: str):
        if (system, model) not in made:
            made[system, model] = _expected(directory, system, model)
        return made[system, model]

    return values


def _expected(directory, system: str, model: str):
    atoms = SYSTEMS[system]
    core = _core.Model(str(directory / model))
    graph = graph_of_atoms(
        atoms,
        elements=core.elements,
        r_max=R_MAX,
        pair_cutoffs=json.loads(core.metadata)["pair_cutoffs"],
    )
    out = core.evaluate(graph.species, graph.edge_index, graph.edge_vec, len(atoms))
    eager = predict(toy(**MODELS[model]), graph)
    limit = TOLERANCE[model]
    for name in ("atomic_energy", "forces", "edge_gradient"):
        here = getattr(eager, name)
        scale = max(1.0, float(here.abs().max())) if here.numel() else 1.0
        assert torch.allclose(here, out[name], rtol=0, atol=limit * scale), name
    assert torch.allclose(eager.virial[0], out["virial"], atol=limit * 100, rtol=limit)
    names = ("atomic_energy", "forces", "virial", "edge_gradient")
    return values_in_python(graph, *(out[name] for name in names))


@pytest.mark.parametrize(
    ("run", "case"),
    [
        pytest.param(run, case, id="-".join(map(str, (*run, *vars(case).values()))))
        for run in RUNS
        for case in cases_of(*run)
    ],
)
def test_agrees_with_python(results, expected, run, case):
    found = values_in_lammps(results(*run)[case])
    wanted = expected(case.system, case.file)
    assert found.keys() == wanted.keys()
    for quantity, values in wanted.items():
        assert found[quantity].shape == values.shape
        floor = 10.0 if quantity in ("virial", "sum of atomic virials") else 1.0
        scale = max(floor, float(np.abs(values).max()))
        error = np.abs(found[quantity] - values).max()
        assert error <= TOLERANCE[case.file] * scale, quantity
