# SPDX-License-Identifier: GPL-2.0-or-later
"""Every architecture, number type, format and number of ranks in every box: LAMMPS = Python.

The whole grid takes about ten minutes on two cores:

    OMP_NUM_THREADS=1 python -m pytest -n 2 --dist loadgroup tests/pair_style/test_grid.py

`make test` runs a part of it, `make test-slow` the rest. Every file is written once, and every
number of ranks has one start of `lmp`, which goes through all boxes.

Two comparisons: with the same file, evaluated by Python on the folded graph, which shows what
ranks, ghosts and LAMMPS's own sums change; and with the eager model, which adds what the file
changes: another order of sums and, in fused files, tables in place of radial networks.

Errors are relative to the sizes of the terms of a sum; the worst ones are recorded
(`--junitxml FILE`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from egraff import _core
from egraff.export import export_torchscript
from egraff.export.agreement import float64_form
from egraff.export.aoti import export_aoti
from egraff.forces import predict
from egraff.models import ARCHITECTURES, ForceField, build
from tests.models.configs import small_config
from tests.models.structures import graph_of
from tests.pair_style.agreement import (
    Case,
    Values,
    can_be_tiled,
    run_cases,
    sizes_in_python,
    values_in_lammps,
    values_in_python,
    write_systems,
)
from tests.pair_style.systems import SYSTEMS

RELATIVE = {"float64": 1e-10, "float32": 1e-5}

BOXES = [(system, "brick") for system in SYSTEMS]
BOXES += [(system, "tiled") for system in SYSTEMS if can_be_tiled(system)]
FEW = [("triclinic", "brick"), ("below the cutoff", "brick"), ("empty ranks", "tiled")]


@dataclass(frozen=True)
class Kind:
    """What is exported. ``fuse`` None is the default of the command line."""

    architecture: str
    dtype: str
    format: str
    fuse: bool | None = None

    def __str__(self) -> str:
        plain = ["plain"] if self.fuse is False else []
        return "-".join([self.architecture, self.dtype, self.format, *plain])


@dataclass(frozen=True)
class Exported:
    """A model with random weights and the file made of it, in a directory with all systems."""

    model: ForceField
    path: Path


@dataclass(frozen=True)
class InPython:
    """What a file and the eager model give for a system, and what errors are relative to."""

    file: Values
    eager: Values
    sizes: Mapping[str, float]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Return a function that exports each kind once."""

    @cache
    def make(kind: Kind) -> Exported:
        options = {**small_config(kind.architecture), "dtype": kind.dtype}
        model = build(kind.architecture, seed=5, **options).eval()
        directory = tmp_path_factory.mktemp(str(kind))
        write_systems(directory)
        aoti = kind.format == "aoti"
        path = directory / ("model.pt2" if aoti else "model.pt")
        (export_aoti if aoti else export_torchscript)(model, path, fuse=kind.fuse)
        return Exported(model, path)

    return make


@pytest.fixture(scope="module")
def in_python(exported):
    """Return a function from a kind and a system to what Python makes of them."""

    @cache
    def values(kind: Kind, system: str) -> InPython:
        made, atoms = exported(kind), SYSTEMS[system]
        graph = graph_of(made.model, atoms)
        out = _core.Model(str(made.path), verify=False).evaluate(
            graph.species, graph.edge_index, graph.edge_vec, len(atoms)
        )
        names = ("atomic_energy", "forces", "virial", "edge_gradient")
        eager = predict(made.model, graph)
        tensors = (eager.atomic_energy, eager.forces, eager.virial[0], eager.edge_gradient)
        exact = predict(float64_form(made.model), graph)
        return InPython(
            file=values_in_python(graph, *(out[name] for name in names)),
            eager=values_in_python(graph, *tensors),
            sizes=sizes_in_python(graph, exact.atomic_energy, exact.edge_gradient),
        )

    return values


def compare(exported, in_python, record, kind: Kind, ranks: int, boxes, style: str = "") -> None:
    """Check that `lmp` on this number of ranks gives in all boxes what Python gives.

    ``style`` is what follows `pair_style egraff`.
    """
    made = exported(kind)
    cases = {box: Case(box[0], made.path.name, box[1]) for box in boxes}
    found = run_cases(
        list(cases.values()), made.path.parent, ranks=ranks, style=style, timeout=900.0
    )
    python = {box: in_python(kind, box[0]) for box in boxes}
    limit, worst, wrong = RELATIVE[kind.dtype], {"file": 0.0, "eager": 0.0}, []
    for box, case in cases.items():
        lammps = values_in_lammps(found[case])
        sizes = python[box].sizes
        for reference in worst:
            for quantity, values in getattr(python[box], reference).items():
                assert lammps[quantity].shape == values.shape, (box, quantity)
                error = np.abs(lammps[quantity] - values).max() / sizes[quantity]
                if error <= limit:
                    worst[reference] = max(worst[reference], error)
                else:  # also if it is not a number
                    text = f"{box[0]} ({box[1]}): {quantity}, LAMMPS and {reference}: {error:.1e}"
                    wrong.append(text)
    for reference, error in worst.items():
        record(f"worst relative error, {reference}", f"{error:.1e}")
    assert not wrong, "\n".join(wrong)


# tests of one kind share a file, hence a process
EVERYTHING = [
    pytest.param(kind, ranks, id=f"{kind}-{ranks}", marks=pytest.mark.xdist_group(str(kind)))
    for format_ in ("torchscript", "aoti")
    for name in sorted(ARCHITECTURES)
    for dtype in RELATIVE
    for kind in [Kind(name, dtype, format_)]
    for ranks in (1, 2, 4)
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("kind", "ranks"), EVERYTHING)
@pytest.mark.timeout(3600)
@pytest.mark.slow
def test_every_box(exported, in_python, record_property, kind, ranks):
    compare(exported, in_python, record_property, kind, ranks, BOXES)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
@pytest.mark.parametrize(
    ("fuse", "ranks"),
    [
        pytest.param(None, 1, id="default-1"),
        pytest.param(None, 4, id="default-4"),
        pytest.param(False, 2, id="plain-2"),
        pytest.param(False, 1, id="plain-1", marks=pytest.mark.slow),
        pytest.param(False, 4, id="plain-4", marks=pytest.mark.slow),
    ],
)
def test_some_boxes(exported, in_python, record_property, name, ranks, fuse):
    """The part for every day: fused and plain files, float64, boxes of three kinds."""
    kind = Kind(name, "float64", "torchscript", fuse)
    compare(exported, in_python, record_property, kind, ranks, FEW)


ON_A_GPU = [
    pytest.param(kind, ranks, graph, id=f"{kind}-{ranks}-{graph}", marks=group)
    for name in sorted(ARCHITECTURES)
    for dtype in RELATIVE
    for kind in [Kind(name, dtype, "torchscript", False)]
    for group in [pytest.mark.xdist_group(str(kind))]
    for ranks in (1, 2, 4)
    for graph in ("device", "host")
]


@pytest.mark.gpu
@pytest.mark.parametrize(("kind", "ranks", "graph"), ON_A_GPU)
def test_every_box_on_a_gpu(exported, in_python, record_property, kind, ranks, graph):
    """The same files in LAMMPS on a GPU, which several ranks share, and in Python on the CPU."""
    boxes = BOXES if graph == "device" else FEW
    compare(exported, in_python, record_property, kind, ranks, boxes, f"device cuda graph {graph}")
