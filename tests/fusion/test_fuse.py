# SPDX-License-Identifier: GPL-2.0-or-later
"""Fused models: they are the models they were made from, in Python, on file and in the C++ core."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from e3nn import o3

from egraff import _core, fusion
from egraff.errors import DisagreementError, EgraffError
from egraff.export import compare, export_torchscript, prepare
from egraff.export.prepare import verification_frames, weights_sha256
from egraff.forces import edge_forces, predict
from egraff.metadata import read_metadata
from egraff.models import build
from tests.conftest import tiny_nequip
from tests.models.configs import small_config

ALLOWED = {"float32": 1e-5, "float64": 1e-9}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"l_max": 3, "n_features": [5, 17, 3, 2], "n_layers": 2},
        {"l_max": 2, "n_features": 3, "parity": False, "resnet": True},
        {"l_max": 0, "n_features": 5, "radial_depth": 0},
        {"pair_cutoffs": {"Li": 3.0, "F": {"Li": 3.5}}, "bessel_trainable": True},
    ],
)
def test_forces_are_those_of_the_plain_model(options, dtype):
    model = tiny_nequip(dtype, **options)
    fused = fusion.fuse(model).model
    for _, graph in verification_frames(model, None):
        differences = compare(model, fused, graph, what="fused and plain", tolerance=ALLOWED[dtype])
        assert differences["forces"] < ALLOWED[dtype]


@pytest.mark.parametrize("name", ["nequip", "torchmd_net", "equiformer"])
def test_forces_are_the_derivative_of_the_fused_energy(name):
    options = {**small_config(name), "dtype": "float64"}
    model = fusion.fuse(build(name, seed=3, **options)).model
    _, graph = verification_frames(model, None)[0]
    gradient = predict(model, graph).edge_gradient
    generator = torch.Generator().manual_seed(3)
    direction = torch.randn(gradient.shape, dtype=torch.float64, generator=generator)
    step = 1e-4
    energies = [
        predict(model, replace(graph, edge_vec=graph.edge_vec + k * step * direction)).energy.item()
        for k in (-2, -1, 1, 2)
    ]
    numeric = (energies[0] - 8 * energies[1] + 8 * energies[2] - energies[3]) / (12 * step)
    assert numeric == pytest.approx(float((gradient * direction).sum()), rel=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_file_loads_in_the_core_and_agrees(tmp_path, dtype):
    model = tiny_nequip(dtype)
    metadata = export_torchscript(model, tmp_path / "m.egraff.pt", fuse=True)
    assert read_metadata(tmp_path / "m.egraff.pt")["fused"] is True
    assert metadata["weights_sha256"] == weights_sha256(model)
    bound, derivative_bound = fusion.TOLERANCE[dtype]
    assert len(metadata["radial_tables"]) == 3
    for table in metadata["radial_tables"]:
        assert 0 < table["error"] <= bound
        assert 0 < table["derivative_error"] <= derivative_bound
        assert table["n_tables"] == 1

    core = _core.Model(str(tmp_path / "m.egraff.pt"))
    _, graph = verification_frames(model, None)[0]
    expected = predict(model, graph)
    result = core.evaluate(graph.species, graph.edge_index, graph.edge_vec, graph.n_atoms)
    assert result["energy"] == pytest.approx(float(expected.energy), abs=ALLOWED[dtype])
    forces = edge_forces(graph, result["edge_gradient"])
    assert (forces - expected.forces).abs().max() < ALLOWED[dtype]


def test_plain_files_say_so(exported):
    metadata = read_metadata(exported("float32"))
    assert metadata["fused"] is False
    assert "radial_tables" not in metadata


def test_fused_wherever_possible(tmp_path):
    fusable = export_torchscript(tiny_nequip(), tmp_path / "a.egraff.pt", fuse=None)
    assert fusable["fused"] is True
    other = tiny_nequip(l_max=4, n_features=2)
    assert export_torchscript(other, tmp_path / "b.egraff.pt", fuse=None)["fused"] is False
    with pytest.raises(
        EgraffError,
        match=r"expected a model with fused operators \(features and harmonics up to l = 3\), got "
        r"nequip without\n  fix: export with --no-fuse",
    ):
        export_torchscript(other, tmp_path / "b.egraff.pt", fuse=True)


def test_pairs_with_the_same_functions_share_a_table():
    # x = r / cutoff is all that the network sees
    fused = fusion.fuse(tiny_nequip("float32", pair_cutoffs={"Li": 3.0, "F": {"Li": 3.5}}))
    assert {table["n_tables"] for table in fused.tables} == {1}


def test_pairs_with_functions_of_their_own_have_tables_of_their_own(monkeypatch):
    model = tiny_nequip("float64")
    plain = type(model).radial_functions

    def radial_functions(self, distances):
        radial, envelope = plain(self, distances)
        pair = distances.centre + 2 * distances.neighbour
        return radial * (1.0 + pair)[:, None], envelope

    monkeypatch.setattr(type(model), "radial_functions", radial_functions)
    fused = fusion.fuse(model)
    assert {table["n_tables"] for table in fused.tables} == {4}
    _, graph = verification_frames(model, None)[0]
    compare(model, fused.model, graph, what="fused and plain", tolerance=1e-9)


def test_refuses_to_write_a_fused_model_that_disagrees(tmp_path, monkeypatch):
    def broken(model):
        result = truly(model)
        with torch.no_grad():
            result.model.layers[1].convolution.tables.mul_(1.001)
        return result

    truly = fusion.fuse
    monkeypatch.setattr(prepare, "fuse_model", broken)
    with pytest.raises(DisagreementError, match=r"check frame: .* differ by"):
        export_torchscript(tiny_nequip(), tmp_path / "m.egraff.pt", fuse=True)
    assert not (tmp_path / "m.egraff.pt").exists()


def test_refuses_other_harmonics():
    model = tiny_nequip("float64")
    model.harmonics = o3.SphericalHarmonics([0, 1], True, "norm")
    with pytest.raises(
        EgraffError,
        match=r"expected all harmonics from l = 0 to l_max with e3nn's component normalisation, "
        r"got 4 that differ by \S+ in nequip\n  fix: export with --no-fuse",
    ):
        fusion.fuse(model)


def test_refuses_tables_that_fill_the_memory(monkeypatch):
    monkeypatch.setattr(fusion, "MAX_TABLE_BYTES", 2**10)
    with pytest.raises(
        EgraffError,
        match=r"expected radial tables of at most 1 KiB, got 15\.2 KiB or more for 1 pairs of "
        r"elements in layers.0\n"
        r"  fix: export with --no-fuse or, from float64, with --dtype float32",
    ):
        fusion.fuse(tiny_nequip("float32"))


def test_the_plain_model_is_left_alone():
    model = tiny_nequip("float64")
    before = weights_sha256(model)
    fusion.fuse(model)
    assert weights_sha256(model) == before
    assert type(model).__name__ == "NequIP"
