# SPDX-License-Identifier: GPL-2.0-or-later
"""egraff._core: what it computes, and what it refuses in which words."""

from __future__ import annotations

import json
import math
import re

import pytest
import torch
from e3nn.util import jit

from egraff import _core
from egraff.errors import ModelFileError
from egraff.export import export_torchscript
from egraff.forces import predict
from egraff.graph import graph_of_atoms
from tests.model_files import records, replaced, with_text
from tests.pair_style.systems import SYSTEMS
from tests.pair_style.toy import Toy, toy


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    path = tmp_path_factory.mktemp("core") / "toy.egraff.pt"
    metadata = export_torchscript(toy(), path)
    return path, metadata


@pytest.fixture(scope="module")
def graph():
    atoms = SYSTEMS["triclinic"]
    return graph_of_atoms(atoms, elements=["H", "O"], r_max=4.0)


def save(tmp_path, metadata, model: torch.nn.Module | None = None):
    """Write a file with the given metadata, which may be wrong."""
    text = metadata if isinstance(metadata, str) else json.dumps(metadata)
    return with_text(tmp_path / "altered.egraff.pt", model or toy(), text)


def refusal(path, **options) -> ModelFileError:
    with pytest.raises(ModelFileError) as caught:
        _core.Model(str(path), **options)
    assert caught.value.where == str(path)
    assert caught.value.fix
    assert str(path) in str(caught.value)
    assert "fix: " in str(caught.value)
    return caught.value


# ---- what it computes -------------------------------------------------------------------------


def test_says_what_it_is(exported):
    path, metadata = exported
    model = _core.Model(str(path))
    assert json.loads(model.metadata) == metadata
    assert model.elements == ["H", "O"]
    assert model.r_max == 4.0
    assert model.dtype == "float64"
    assert model.device == "cpu"
    assert model.outputs == ["atomic_energy", "charge"]


def test_agrees_with_the_eager_model(exported, graph):
    out = _core.Model(str(exported[0])).evaluate(
        graph.species, graph.edge_index, graph.edge_vec, graph.n_atoms, outputs=["charge"]
    )
    eager = predict(toy(), graph)
    assert out["energy"] == pytest.approx(float(eager.energy), rel=1e-12)
    assert torch.allclose(out["atomic_energy"], eager.atomic_energy, rtol=1e-12)
    assert torch.allclose(out["edge_gradient"], eager.edge_gradient, atol=1e-12)
    assert torch.allclose(out["forces"], eager.forces, atol=1e-11)
    assert torch.allclose(out["virial"], eager.virial[0], atol=1e-10)
    charge = toy()(graph.species, graph.edge_index, graph.edge_vec, graph.n_atoms)["charge"]
    assert torch.allclose(out["charge"], charge, atol=1e-12)
    assert {out[name].dtype for name in out if name != "energy"} == {torch.float64}


def test_same_bits_on_any_number_of_threads(exported):
    atoms = SYSTEMS["orthogonal"] * (3, 3, 3)  # enough edges that threads share them
    graph = graph_of_atoms(
        atoms,
        elements=["H", "O"],
        r_max=4.0,
    )
    model = _core.Model(str(exported[0]))
    gradient = model.evaluate(graph.species, graph.edge_index, graph.edge_vec, graph.n_atoms)
    gradient = gradient["edge_gradient"]
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(
            [
                _core.atom_virials(
                    graph.edge_index, graph.edge_vec, gradient, graph.n_atoms, **kind
                )
                for kind in ({}, {"centroid": True})
            ]
        )
    torch.set_num_threads(1)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_centroid_virials_give_the_heat_flux_of_a_local_potential():
    """For U_i of the edges of i alone: sum_i W_i v_i = sum_ij (r_j - r_i) (F_j(U_i) . v_j)."""
    atoms = SYSTEMS["non-periodic"]
    positions = torch.tensor(atoms.positions, requires_grad=True)
    graph = graph_of_atoms(atoms, elements=["H", "O"], r_max=4.0)
    i, j = graph.edge_index
    edge_vec = positions[j] - positions[i]
    # two edges of one centre meet, so the potential is many-body
    density = torch.zeros(len(atoms), dtype=torch.float64)
    density = density.index_add(0, i, (1 - (edge_vec**2).sum(1) / 16) ** 3)
    energies = -density.sqrt()
    velocities = torch.randn(len(atoms), 3, dtype=torch.float64, generator=_seeded(3))

    (gradient,) = torch.autograd.grad(energies.sum(), edge_vec, retain_graph=True)
    flux = torch.zeros(3, dtype=torch.float64)
    for centre, energy in enumerate(energies):
        (d_energy,) = torch.autograd.grad(energy, positions, retain_graph=True)
        arm = positions.detach() - positions.detach()[centre]
        flux += (arm * (-d_energy * velocities).sum(1, keepdim=True)).sum(0)

    w = _core.atom_virials(graph.edge_index, edge_vec, gradient, len(atoms), centroid=True)
    xx, yy, zz, xy, xz, yz, yx, zx, zy = w.T
    tensor = torch.stack([xx, xy, xz, yx, yy, yz, zx, zy, zz], dim=1).reshape(-1, 3, 3)
    assert torch.allclose(torch.einsum("nab,nb->a", tensor, velocities), flux, rtol=1e-12)


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_no_atoms_and_no_edges(exported):
    model = _core.Model(str(exported[0]))
    nothing = torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0, 3, dtype=torch.float64)
    out = model.evaluate(torch.zeros(0, dtype=torch.int64), *nothing, 0)
    assert out["energy"] == 0.0
    assert out["forces"].shape == (0, 3)
    out = model.evaluate(torch.tensor([0, 1]), *nothing, 2)
    assert torch.equal(out["forces"], torch.zeros(2, 3, dtype=torch.float64))


# ---- files that cannot be used ----------------------------------------------------------------


def test_missing_file(tmp_path):
    error = refusal(tmp_path / "none.egraff.pt")
    assert error.problem == "expected an exported model, found no such file"


def test_directory(tmp_path):
    assert refusal(tmp_path).problem == "expected an exported model, got a directory"


def test_something_else(tmp_path):
    path = tmp_path / "model.egraff.pt"
    path.write_text("not a model")
    assert "expected an exported model (a zip archive), got something" in refusal(path).problem


@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.99])
def test_truncated(exported, tmp_path, fraction):
    content = exported[0].read_bytes()
    path = tmp_path / "short.egraff.pt"
    path.write_bytes(content[: int(len(content) * fraction)])
    error = refusal(path)
    assert "expected a complete archive, got a truncated or damaged one" in error.problem
    assert error.fix.startswith("copy the file again")


def test_torchscript_of_somebody_else(tmp_path):
    path = tmp_path / "other.pt"
    torch.jit.save(jit.script(torch.nn.Linear(1, 1)), path)
    assert "not an egraff model: the archive holds no extra/egraff.json" in refusal(path).problem


def test_json_that_is_none(tmp_path):
    error = refusal(save(tmp_path, "{"))
    assert error.field == "extra/egraff.json"
    assert error.problem.startswith("expected JSON, got: ")
    assert refusal(save(tmp_path, "[]")).problem == "expected a JSON object, got array"


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("contract", 3, "expected model contract 2, got 3: the file is from a newer"),
        ("contract", 1, "expected model contract 2, got 1"),
        ("contract", "one", 'expected a whole number, got "one"'),
        ("contract", 2.5, "expected a whole number, got 2.5"),
        ("architecture", None, "expected a name, got null"),
        ("elements", [], "expected a list of chemical symbols, got []"),
        ("elements", ["H", "H"], "expected each element once, got H twice"),
        ("elements", ["H", "Xx"], 'expected a list of chemical symbols, got ["H","Xx"]'),
        ("elements", 3, "expected a list of chemical symbols, got 3"),
        ("r_max", -1, "expected a number in (0, 100] Angstrom, got -1"),
        ("r_max", 1e300, "expected a number in (0, 100] Angstrom, got 1e+300"),
        ("r_max", True, "expected a number of Angstrom, got true"),
        ("pair_cutoffs", [[1.0]], "one row and column of numbers per element, got [[1.0]]"),
        ("pair_cutoffs", [[1, 1], [1, 9]], "expected values in (0, r_max = 4], got 9"),
        ("dtype", "float16", 'expected float32 or float64, got "float16"'),
        ("exchange_widths", "many", 'expected a list of whole numbers, got "many"'),
        ("exchange_widths", [-1], "expected a list of whole numbers from 1 to 1000000, got [-1]"),
        ("outputs", ["charge"], "expected a list of names with atomic_energy among them"),
        ("torch_version", "99.1.0", "expected a file written by torch 2."),
        ("fused", 1, "expected true or false, got 1"),
        ("blocks_inside", 7, "expected true or false, got 7"),
        ("units", {"energy": "Ry", "length": "Angstrom"}, 'expected eV, got "Ry"'),
        ("config", {"energy_shift": [0.0]}, "expected one number of eV per element, got [0.0]"),
        ("config", [], "expected a JSON object, got []"),
        ("training_data", "mine", 'expected a JSON object, got "mine"'),
        ("licence", None, "expected terms of use, got null"),
        ("check_frame", 7, "expected a JSON object, got 7"),
    ],
)
def test_wrong_metadata(exported, tmp_path, key, value, problem):
    error = refusal(save(tmp_path, {**exported[1], key: value}))
    assert problem in error.problem
    assert error.field.split(":")[0] == key


def test_every_key_is_needed(exported, tmp_path):
    metadata = exported[1]
    optional = {"radial_tables"}
    for key in metadata.keys() - optional:
        path = save(tmp_path, {name: metadata[name] for name in metadata if name != key})
        error = refusal(path)
        assert "the key is missing" in error.problem
        assert error.field == key


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("energy", None, "expected a number of eV, got null"),
        ("symbols", ["Xe"], 'expected only symbols that are in elements, got ["Xe"]'),
        ("positions", [[1.0, 2.0]], "expected one vector per atom, got [[1.0,2.0]]"),
        ("pbc", [True], "expected three of true and false, got [true]"),
        ("cell", None, "expected three lattice vectors, as the frame is periodic, got null"),
        ("cell", [[1, 0, 0], [0, 1, 0], [1, 1, 0]], "got 1 0 0 0 1 0 1 1 0"),
        ("cell", [[1e-3, 0, 0], [0, 1, 0], [0, 0, 1]], "expected a small structure, got 8 atoms"),
        ("cell", [[2e-2, 0, 0], [0, 1, 0], [0, 0, 1]], "expected a structure of at most 10000 "),
        ("forces", [], "expected one vector per atom, got []"),
    ],
)
def test_wrong_check_frame(exported, tmp_path, key, value, problem):
    frame = {**exported[1]["check_frame"], key: value}
    error = refusal(save(tmp_path, {**exported[1], "check_frame": frame}))
    assert problem in error.problem
    assert error.field.startswith("check_frame: ")


def test_check_frame_that_disagrees(exported, tmp_path):
    frame = dict(exported[1]["check_frame"])
    frame["energy"] += 0.25
    frame["forces"] = [[x + 0.5 for x in row] for row in frame["forces"]]
    path = save(tmp_path, {**exported[1], "check_frame": frame})
    error = refusal(path)
    assert error.field == "check_frame"
    assert "an energy that differs by 0.25 eV (allowed" in error.problem
    assert "forces that differ by up to 0.5 eV/Angstrom (allowed" in error.problem
    assert _core.Model(str(path), verify=False).r_max == 4.0


def test_check_frame_with_a_force_that_is_not_a_number(exported, tmp_path):
    frame = dict(exported[1]["check_frame"])
    frame["forces"] = [[math.nan] * 3, *frame["forces"][1:]]
    text = json.dumps({**exported[1], "check_frame": frame}).replace("NaN", "1e999")
    with pytest.raises(ModelFileError, match=r"expected|differ"):
        _core.Model(str(save(tmp_path, text)))


def test_weights_of_another_type(exported, tmp_path):
    path = save(tmp_path, exported[1], toy(dtype="float32"))
    error = refusal(path, verify=False)
    assert error.field == "dtype"
    assert "expected weights of type float64, got Float in" in error.problem


class WrongShape(Toy):
    def forward(
        self,
        species: torch.Tensor,
        edge_index: torch.Tensor,
        edge_vec: torch.Tensor,
        n_local: int,
    ) -> dict[str, torch.Tensor]:
        if n_local == 3:
            return {"charge": edge_vec}
        if n_local == 2:
            return {"atomic_energy": edge_vec[:2].to(torch.float32)}
        return {"atomic_energy": edge_vec.sum(1)[:1]}


def test_program_that_does_not_load(exported, tmp_path):
    contents = records(exported[0])
    program = "archive/code/__torch__/tests/pair_style/toy.py"
    for text, problem in ((b"def f(", "expected ident but found"), (b"", "Unknown type name")):
        path = replaced(tmp_path / "m.egraff.pt", {**contents, program: text})
        error = refusal(path)
        assert error.problem.startswith("expected a TorchScript program that torch ")
        assert f"got: {problem}" in error.problem


class Fails(Toy):
    def forward(
        self,
        species: torch.Tensor,
        edge_index: torch.Tensor,
        edge_vec: torch.Tensor,
        n_local: int,
    ) -> dict[str, torch.Tensor]:
        if n_local > 0:
            raise RuntimeError("a layer fails")
        return {"atomic_energy": edge_vec}


def test_program_that_fails_on_its_check_frame(exported, tmp_path):
    error = refusal(save(tmp_path, exported[1], Fails(toy().config)))
    expected = r"expected a program that can be evaluated, got: .*a layer fails"
    assert re.fullmatch(expected, error.problem)


def test_program_that_breaks_the_contract(exported, tmp_path, graph):
    model = _core.Model(str(save(tmp_path, exported[1], WrongShape(toy().config))), verify=False)
    arguments = graph.species, graph.edge_index, graph.edge_vec
    with pytest.raises(ModelFileError, match=r"expected 40 rows, one per local atom, got \[1\]"):
        model.evaluate(*arguments, 40)
    few = graph.edge_index[0] < 3
    with pytest.raises(ModelFileError, match="expected the model to return atomic_energy"):
        model.evaluate(graph.species, graph.edge_index[:, few], graph.edge_vec[few], 3)
    few = graph.edge_index[0] < 2
    with pytest.raises(ModelFileError, match=r"expected Double \[2\], got Float \[2, 3\]"):
        model.evaluate(graph.species, graph.edge_index[:, few], graph.edge_vec[few], 2)


def test_unknown_output(exported, graph):
    model = _core.Model(str(exported[0]))
    with pytest.raises(ModelFileError, match="expected the model to return spin, which it does"):
        model.evaluate(graph.species, graph.edge_index, graph.edge_vec, 40, outputs=["spin"])


def test_graphs_of_the_wrong_shape(exported, graph):
    model = _core.Model(str(exported[0]))
    with pytest.raises(ModelFileError, match=r"species: expected .* int64 \[n_nodes\]"):
        model.evaluate(graph.species[:, None], graph.edge_index, graph.edge_vec, 40)
    with pytest.raises(ModelFileError, match=r"edge_vec: expected .* float64 \[n_edges, 3\]"):
        model.evaluate(graph.species, graph.edge_index, graph.edge_vec[:, :2], 40)
    with pytest.raises(ModelFileError, match=r"edge_index: expected .* n_edges = 1 as in edge_vec"):
        model.evaluate(graph.species, graph.edge_index, graph.edge_vec[:1], 40)
    with pytest.raises(ModelFileError, match=r"n_local: expected 0 <= n_local <= 40 .* got 41"):
        model.evaluate(graph.species, graph.edge_index, graph.edge_vec, 41)
    with pytest.raises(ValueError, match=r"expected edge_index \[2, n_edges\]"):
        _core.atom_virials(graph.edge_index[:1], graph.edge_vec, graph.edge_vec, 40)
    with pytest.raises(ValueError, match="edge_index: expected node indices below 2"):
        _core.atom_virials(graph.edge_index, graph.edge_vec, graph.edge_vec, 2)


def test_indices_out_of_range(exported):
    model = _core.Model(str(exported[0]))
    vec = torch.ones(1, 3, dtype=torch.float64)
    species, edge = torch.tensor([0, 1]), torch.tensor([[0], [1]])
    with pytest.raises(ValueError, match="species: expected indices from 0 to 1, got 2"):
        model.evaluate(species + 1, edge, vec, 2)
    with pytest.raises(ValueError, match=r"edge_index: centres: expected .* from 0 to 0, got 1"):
        model.evaluate(species, edge.flip(0), vec, 1)
    with pytest.raises(ValueError, match=r"edge_index: neighbours: expected .* to 1, got -1"):
        model.evaluate(species, torch.tensor([[0], [-1]]), vec, 2)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:x", "tpu"])
def test_device_that_does_not_exist(exported, device):
    error = refusal(exported[0], device=device)
    assert f"(this torch sees no GPU), got {device}" in error.problem
    assert _core.Model(str(exported[0]), device="auto").device == "cpu"
