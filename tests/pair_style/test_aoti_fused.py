# SPDX-License-Identifier: GPL-2.0-or-later
"""A compiled model of a real architecture, with fused operators: Python = LAMMPS = eager.

The slow grid (test_grid.py) has all architectures; this is the one of every day. What a compiled
program hands to an operator is not always what the eager model does, so both forms of the fused
convolution are in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from egraff import _core
from egraff.export.aoti import export_aoti
from egraff.forces import predict
from egraff.fusion import fuse
from egraff.fusion.convolution import FusedEdgeConvolution
from egraff.models import ForceField, build
from tests.models.structures import graph_of
from tests.pair_style.agreement import agrees
from tests.pair_style.systems import ELEMENTS, SYSTEMS

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

RELATIVE = 1e-9  # forces are derivatives of tables


class Compiled(NamedTuple):
    """An eager model and the file that was compiled of it."""

    model: ForceField
    path: Path


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> Compiled:
    """A NequIP whose first layer reads 4 channels and whose others read full cache lines of 8."""
    model = build(
        "nequip",
        seed=5,
        elements=sorted(ELEMENTS),
        r_max=4.0,
        dtype="float64",
        n_layers=3,
        l_max=1,
        n_type_features=4,
        n_features=8,
        n_bessel=4,
        radial_width=8,
        avg_num_neighbours=12.0,
        energy_scale=[0.7, 0.9],
        energy_shift=[-1.5, -3.25],
    ).eval()
    path = tmp_path_factory.mktemp("aoti") / "nequip.egraff.pt2"
    assert export_aoti(model, path, fuse=True)["fused"]
    return Compiled(model, path)


def test_has_both_forms_of_the_convolution(compiled):
    fused = fuse(compiled.model).model
    convolutions = [part for part in fused.modules() if isinstance(part, FusedEdgeConvolution)]
    assert [part.channels_last for part in convolutions] == [False, True, True]


@pytest.mark.parametrize("system", ["triclinic", "isolated atom", "below the cutoff"])
def test_python_is_eager(compiled, system):
    graph = graph_of(compiled.model, SYSTEMS[system])
    found = _core.Model(str(compiled.path), verify=False).evaluate(
        graph.species, graph.edge_index, graph.edge_vec, graph.n_atoms
    )
    eager = predict(compiled.model, graph)
    for name in ("atomic_energy", "edge_gradient"):
        wanted = getattr(eager, name)
        error = (found[name] - wanted).abs().max() / wanted.abs().max()
        assert error < RELATIVE, f"{name}: {error:.1e} relative"


@pytest.mark.parametrize(
    ("system", "ranks"), [("triclinic", 1), ("triclinic", 2), ("empty ranks", 4)]
)
def test_lammps_is_eager(compiled, system, ranks):
    agrees(*compiled, SYSTEMS[system], ranks=ranks, tolerance=RELATIVE)


def test_threads_change_the_order_of_sums_only(compiled):
    graph = graph_of(compiled.model, SYSTEMS["orthogonal"] * (2, 2, 2))
    program = _core.Model(str(compiled.path), verify=False)
    results = []
    for threads in (1, 3, 3):
        torch.set_num_threads(threads)
        found = program.evaluate(graph.species, graph.edge_index, graph.edge_vec, graph.n_atoms)
        results.append((found["atomic_energy"], found["edge_gradient"]))
    torch.set_num_threads(1)
    one, three, again = results
    assert all(torch.equal(a, b) for a, b in zip(three, again, strict=True))
    for a, b in zip(one, three, strict=True):
        assert (a - b).abs().max() < RELATIVE * a.abs().max()
