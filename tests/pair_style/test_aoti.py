# SPDX-License-Identifier: GPL-2.0-or-later
"""Compiled models: LAMMPS = Python = the eager model, and what is refused in which words."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch._inductor.runtime.cache_dir_utils import cache_dir
from torch.profiler import profile
from typer.testing import CliRunner

from egraff import _core
from egraff.cli import app
from egraff.errors import DisagreementError, EgraffError, InputError, ModelFileError
from egraff.export import export_torchscript
from egraff.export.aoti import INSTRUCTION_SETS, export_aoti
from egraff.forces import predict
from egraff.metadata import read_metadata
from egraff.models import build
from tests.model_files import altered, records, replaced, write
from tests.models.configs import small_config
from tests.models.structures import crystal, graph_of
from tests.pair_style.agreement import agrees
from tests.pair_style.engine import must_run, write_data
from tests.pair_style.systems import ELEMENTS, SYSTEMS
from tests.pair_style.toy import Toy, toy

RELATIVE = 1e-10


def plain(**options) -> Toy:
    """A toy of two layers; three take 1.6 times as long to compile."""
    return toy(n_layers=2, **options)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A toy, compiled by the command line; every test but the slow ones uses this file."""
    path = tmp_path_factory.mktemp("aoti") / "toy.egraff.pt2"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("egraff.training.checkpoint.load_model", lambda *_, **__: plain())
        patch.setattr("egraff.training.checkpoint.load_info", lambda _: {"training_data": {}})
        command = ["export", "any.ckpt", "-o", str(path), "--format", "aoti"]
        result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert "compiled for " in result.output
    return path


def refusal(path, **options) -> ModelFileError:
    with pytest.raises(ModelFileError) as caught:
        _core.Model(str(path), **options)
    assert caught.value.where == str(path)
    return caught.value


# ---- what it computes -------------------------------------------------------------------------


def test_says_what_it_was_compiled_for(exported):
    metadata = read_metadata(exported)
    assert metadata["format"] == "aoti"
    assert metadata["target"]["instruction_set"] in INSTRUCTION_SETS
    assert metadata["target"]["device"] == "cpu"
    assert json.loads(_core.Model(str(exported)).metadata) == metadata


def test_no_path_of_this_machine_is_in_a_file(exported):
    private = [Path(torch.__file__).parents[1], Path(cache_dir())]
    for name, content in records(exported).items():
        assert not any(os.fsencode(place) in content for place in private), name
        assert not name.endswith(".cpp")


def test_agrees_with_the_eager_model_in_all_outputs(exported):
    model = plain()
    graph = graph_of(model, SYSTEMS["triclinic"])
    arguments = graph.species, graph.edge_index, graph.edge_vec, graph.n_atoms
    found = _core.Model(str(exported)).evaluate(*arguments, outputs=["charge"])
    eager = predict(model, graph)
    assert torch.allclose(found["atomic_energy"], eager.atomic_energy, rtol=1e-12)
    assert torch.allclose(found["edge_gradient"], eager.edge_gradient, atol=1e-12)
    assert torch.allclose(found["charge"], model(*arguments)["charge"], atol=1e-12)


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("system", ["triclinic", "empty ranks"])
def test_lammps_is_python(exported, system, ranks):
    agrees(plain(), exported, SYSTEMS[system], ranks=ranks, tolerance=RELATIVE)


@pytest.mark.parametrize("system", ["triclinic", "isolated atom", None])
def test_ranks_exchange_equally_often_with_and_without_atoms(exported, system):
    model = plain()
    graph = graph_of(model, SYSTEMS[system] if system else SYSTEMS["triclinic"][:0])
    compiled = _core.Model(str(exported), verify=False)
    with profile() as calls:
        compiled.evaluate(graph.species, graph.edge_index, graph.edge_vec, graph.n_atoms)
    counts = Counter(event.name for event in calls.events())
    assert counts["egraff::ghost_exchange"] == len(model.exchange_widths)
    assert counts["egraff::ghost_reduce"] == len(model.exchange_widths)


@pytest.mark.parametrize("ranks", [2, 4])
def test_every_rank_communicates_as_often_as_with_torchscript(exported, tmp_path, ranks):
    """Rank 0 tells how often it did: once with all the atoms, once with none."""
    export_torchscript(plain(), tmp_path / "m.pt")
    full = SYSTEMS["empty ranks"]
    mirrored = full.copy()
    mirrored.positions[:, 2] = full.cell[2, 2] - full.positions[:, 2]
    script = ""
    for name, atoms in {"full": full, "empty": mirrored}.items():
        write_data(atoms, tmp_path / f"{name}.data", ELEMENTS)
        for file in ("m.pt", exported):
            script += f"""
clear
units metal
processors 1 1 *
read_data {name}.data
neighbor 0.5 bin
pair_style egraff
pair_coeff * * {file} {" ".join(ELEMENTS)}
run 0
"""
    text = must_run(script, tmp_path, ranks=ranks)
    most_and_least = re.findall(r"^Nlocal: .* ave +(\S+) max +(\S+) min", text, re.M)
    assert most_and_least == [(str(len(full)), "0")] * 4
    counts = re.findall(r"travel in (\d+) forward and (\d+) reverse communications", text)
    assert counts == [("1", "1")] * 4


def test_same_bits_on_any_number_of_threads(exported):
    model = plain()
    graph = graph_of(model, SYSTEMS["orthogonal"] * (2, 2, 2))
    compiled = _core.Model(str(exported))
    results = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        found = compiled.evaluate(graph.species, graph.edge_index, graph.edge_vec, graph.n_atoms)
        results.append((found["atomic_energy"], found["edge_gradient"]))
    torch.set_num_threads(1)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_errors_of_operators_are_told(exported):
    compiled = _core.Model(str(exported))
    edge_index = torch.tensor([[0, 1], [2, 2]])
    edge_vec = torch.ones(2, 3, dtype=torch.float64)
    with pytest.raises(ModelFileError, match="ghost nodes, but no engine is there to") as caught:
        compiled.evaluate(torch.tensor([0, 1, 1]), edge_index, edge_vec, 2)
    assert caught.value.fix.startswith("fold ghosts onto the atoms that own them")


# ---- what is refused ----------------------------------------------------------------------------


def test_check_frame_that_disagrees(exported, tmp_path):
    frame = read_metadata(exported)["check_frame"]
    frame["energy"] += 0.25
    path = altered(exported, tmp_path / "m.egraff.pt2", check_frame=frame)
    error = refusal(path)
    assert error.field == "check_frame"
    assert "an energy that differs by 0.25 eV (allowed" in error.problem


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("machine", "vax", "expected machine code for x86_64, got some for vax"),
        ("instruction_set", "AVX10", "expected machine code for at most the instruction set "),
        ("device", "cuda", "expected device cpu"),
    ],
)
def test_code_for_another_machine(exported, tmp_path, key, value, problem):
    target = {**read_metadata(exported)["target"], key: value}
    error = refusal(altered(exported, tmp_path / "m.egraff.pt2", target=target), device="auto")
    assert problem in error.problem
    assert "export it" in error.fix or "use device" in error.fix


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        ({"format": "onnx"}, "format", 'expected torchscript or aoti, got "onnx"'),
        ({"target": None}, "target", "expected a JSON object, got null"),
        ({"target": {}}, "target: machine", "expected a name, the key is missing"),
        ({"outputs": ["atomic_energy"]}, "outputs", "expected 2 tensors, the outputs and the "),
    ],
)
def test_metadata_that_contradict_the_program(exported, tmp_path, changes, field, problem):
    error = refusal(altered(exported, tmp_path / "m.egraff.pt2", **changes))
    assert error.field == field
    assert problem in error.problem


def test_program_of_the_other_format(exported, tmp_path):
    error = refusal(altered(exported, tmp_path / "m.egraff.pt", format="torchscript"))
    assert "expected a TorchScript program that torch" in error.problem


def test_package_without_a_program(exported, tmp_path):
    path = tmp_path / "empty.egraff.pt2"
    program = "/data/aotinductor/"
    replaced(path, {name: c for name, c in records(exported).items() if program not in name})
    error = refusal(path)
    assert "expected a compiled program that torch" in error.problem
    assert "--format aoti" in error.fix


def test_no_compiler(tmp_path):
    from torch._inductor import config

    with (
        config.patch({"cpp.cxx": ("no-such-compiler",)}),
        pytest.raises(EgraffError, match=r"expected a C\+\+ compiler, .* found none\n  fix: inst"),
    ):
        export_aoti(plain(), tmp_path / "m.egraff.pt2")
    assert list(tmp_path.iterdir()) == []


def test_compiler_that_fails(tmp_path, monkeypatch):
    from torch._inductor.exc import CppCompileError

    def fail(*_, **__):
        raise CppCompileError(["g++"], "out of memory")

    monkeypatch.setattr("torch._inductor.aoti_compile_and_package", fail)
    with pytest.raises(EgraffError, match=r"(?s)expected the C\+\+ compiler to compile .*memory"):
        export_aoti(plain(), tmp_path / "m.egraff.pt2")
    assert list(tmp_path.iterdir()) == []


def test_instruction_set_that_cannot_be_checked_here(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    with pytest.raises(InputError, match=r"can check \(AVX2, baseline\), got AVX512"):
        export_aoti(plain(), tmp_path / "m.egraff.pt2", instruction_set="AVX512")


def test_compiled_model_that_differs_is_not_written(exported, tmp_path, monkeypatch):
    other = plain(seed=1)
    bare = {name: c for name, c in records(exported).items() if "/extra/" not in name}
    monkeypatch.setattr("egraff.export.aoti._compile", lambda _, path, __: write(path, bare))
    with pytest.raises(DisagreementError, match="compiled and eager model, check frame"):
        export_aoti(other, tmp_path / "m.egraff.pt2")
    assert list(tmp_path.iterdir()) == []


# ---- what needs files of its own ----------------------------------------------------------------


@pytest.mark.slow
def test_threads_share_the_blocks_of_a_local_model(tmp_path):
    model = build("allegro", seed=5, **{**small_config("allegro"), "dtype": "float64"}).eval()
    path = tmp_path / "allegro.egraff.pt2"
    export_aoti(model, path, fuse=True)
    graph = graph_of(model, crystal().repeat((3, 3, 6)))
    assert graph.edge_index.shape[1] > 2 * 1024  # several blocks
    expected = predict(model, graph).edge_gradient
    results = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        found = _core.Model(str(path)).evaluate(
            graph.species, graph.edge_index, graph.edge_vec, graph.n_atoms
        )
        results.append(found["edge_gradient"])
    torch.set_num_threads(1)
    assert torch.equal(*results)
    assert torch.allclose(results[0], expected, rtol=0, atol=1e-11)


@pytest.mark.slow
@pytest.mark.skipif(
    platform.machine() != "x86_64" or not shutil.which("objdump"), reason="needs x86 and objdump"
)
def test_code_keeps_to_its_instruction_set(tmp_path):
    path = tmp_path / "toy.egraff.pt2"
    export_aoti(plain(), path, instruction_set="AVX2")
    with zipfile.ZipFile(path) as package:
        (library,) = [name for name in package.namelist() if name.endswith(".so")]
        (tmp_path / "toy.so").write_bytes(package.read(library))
    code = subprocess.run(
        ["objdump", "-d", tmp_path / "toy.so"], capture_output=True, text=True, check=True
    ).stdout
    assert "%ymm0" in code
    assert "%zmm" not in code
    assert "%k1" not in code
    agrees(plain(), path, SYSTEMS["triclinic"], ranks=2, tolerance=RELATIVE)
