# SPDX-License-Identifier: GPL-2.0-or-later
"""Models without message passing, evaluated in blocks of atoms: same numbers, less memory."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from egraff import _core
from egraff.errors import EgraffError
from egraff.export import export_torchscript
from egraff.forces import predict
from egraff.graph import graph_of_atoms
from egraff.metadata import read_metadata
from egraff.models import build
from tests.pair_style.systems import SYSTEMS

R_MAX = 4.0


@pytest.fixture(scope="module")
def allegro():
    return build(
        "allegro",
        elements=["H", "O"],
        r_max=R_MAX,
        avg_num_neighbours=20.0,
        seed=1,
        dtype="float64",
        n_scalar_features=32,
        n_tensor_features=16,
    )


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "fused"])
def path(allegro, tmp_path_factory, request):
    path = tmp_path_factory.mktemp("blocks") / "allegro.egraff.pt"
    export_torchscript(allegro, path, fuse=request.param)
    return path


@pytest.fixture(scope="module")
def graph():
    """Many blocks of edges, of two elements."""
    atoms = SYSTEMS["triclinic"] * (4, 4, 4)
    atoms.rattle(0.05, seed=1)
    graph = graph_of_atoms(
        atoms,
        elements=["H", "O"],
        r_max=R_MAX,
    )
    assert graph.edge_index.shape[1] > 5000
    return graph


def evaluate(path, graph):
    model = _core.Model(str(path))
    return model.evaluate(graph.species, graph.edge_index, graph.edge_vec, graph.n_atoms)


def test_blocks_are_the_whole(allegro, path, graph):
    out, eager = evaluate(path, graph), predict(allegro, graph)

    assert out["energy"] == pytest.approx(float(eager.energy), rel=1e-12)
    assert torch.allclose(out["atomic_energy"], eager.atomic_energy, rtol=1e-12, atol=1e-13)
    # tables are good to 1e-10 of the largest derivative
    allowed = 1e-9 if "radial_tables" in read_metadata(path) else 1e-12
    assert torch.allclose(out["edge_gradient"], eager.edge_gradient, rtol=0, atol=allowed)
    assert torch.allclose(out["forces"], eager.forces, rtol=0, atol=allowed)


def test_fused_models_have_blocks_inside(path):
    metadata = read_metadata(path)
    assert metadata.get("blocks_inside", False) is metadata["fused"]


def test_same_bits_on_any_number_of_threads(path, graph):
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(evaluate(path, graph))
    torch.set_num_threads(1)

    for other in results[1:]:
        assert other["energy"] == results[0]["energy"]
        assert torch.equal(other["atomic_energy"], results[0]["atomic_energy"])
        assert torch.equal(other["edge_gradient"], results[0]["edge_gradient"])


def test_atoms_without_edges_are_in_blocks_too(allegro, path, graph):
    """A gas beside the solid: more nodes than a block holds, none with an edge."""
    gas = torch.zeros(3000, dtype=torch.int64)
    species = torch.cat([graph.species, gas])
    n_atoms = graph.n_atoms + len(gas)
    model = _core.Model(str(path))
    out = model.evaluate(species, graph.edge_index, graph.edge_vec, n_atoms)
    eager = allegro(species, graph.edge_index, graph.edge_vec, n_atoms)["atomic_energy"]

    assert torch.allclose(out["atomic_energy"], eager, rtol=1e-12, atol=1e-13)


def test_centres_must_ascend(path, graph):
    reverse = torch.flip(graph.edge_index, [1]).contiguous()
    vectors = torch.flip(graph.edge_vec, [0]).contiguous()
    # where blocks are inside, it is an operator that says so
    kind = RuntimeError if read_metadata(path)["fused"] else EgraffError
    with pytest.raises(kind, match="expected centres in ascending order") as caught:
        _core.Model(str(path)).evaluate(graph.species, reverse, vectors, graph.n_atoms)

    if kind is EgraffError:
        assert "fix: sort the edges by their centre" in str(caught.value)


MEASURE = """
import resource, sys
import torch
from ase.build import bulk
from egraff import _core
from egraff.graph import graph_of_atoms

model = _core.Model(sys.argv[1])
peak = []
for size in (6, 12):
    atoms = bulk("H", "sc", a=2.0).repeat(size)
    graph = graph_of_atoms(atoms, elements=["H", "O"], r_max=4.0)
    torch.set_num_threads(1)
    model.evaluate(graph.species, graph.edge_index, graph.edge_vec, len(atoms))
    peak.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print((peak[1] - peak[0]) * 1024 / (12**3 - 6**3))
"""


def test_memory_holds_a_block_and_no_more(path):
    """The whole graph at once takes 300 kB for each atom with its 26 edges."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, path], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 30e3
