# SPDX-License-Identifier: GPL-2.0-or-later
"""SevenNet's checkpoints, from files, wheels and names; without the package sevenn."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from typer.testing import CliRunner

from egraff.calculator import EgraffCalculator
from egraff.cli import app
from egraff.errors import EgraffError
from egraff.forces import predict
from egraff.graph import graph_of_atoms
from egraff.interop import sevennet_files
from egraff.training.checkpoint import load_info, load_model
from tests.parity.comparison import Reference
from tests.parity.test_sevennet import original


def write(folder: Path, found: Reference) -> Path:
    """Write a checkpoint as sevenn does, arrays of numpy in its options included."""
    config = {**found.case["config"], "shift_cp": np.ones(3), "scale_cp": np.float32([1.0])}
    path = folder / "checkpoint.pth"
    torch.save({"config": config, "model_state_dict": dict(found.weights), "epoch": 3}, path)
    return path


def wheel(folder: Path, checkpoint: Path) -> Path:
    path = folder / "sevenn-0.12.1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        inside = "sevenn/pretrained_potentials/SevenNet_0__11Jul2024/checkpoint_sevennet_0.pth"
        archive.write(checkpoint, inside)
    return path


def invoke(*arguments: object):
    return CliRunner().invoke(app, ["import", "sevennet", *(str(part) for part in arguments)])


def refusal(*arguments: object) -> str:
    result = invoke(*arguments)
    assert isinstance(result.exception, EgraffError), result.exception
    return str(result.exception)


def test_checkpoint_is_imported_exported_and_has_the_originals_numbers(tmp_path):
    found = original()
    checkpoint, exported = tmp_path / "a.ckpt", tmp_path / "a.egraff.pt"
    result = invoke(write(tmp_path, found), "-o", checkpoint)
    assert result.exit_code == 0, result.exception
    assert "a.ckpt: nequip, float64, elements O C H, r_max 4 Angstrom" in result.output
    # what was not done is said, and stays with the model
    assert "was not evaluated beside the original" in result.output
    origin = load_info(checkpoint)["training_data"]["imported_from"]
    assert "was not evaluated beside the original" in origin["compared"]
    assert "was not evaluated" in CliRunner().invoke(app, ["info", str(checkpoint)]).output
    result = CliRunner().invoke(app, ["export", str(checkpoint), "-o", str(exported)])
    assert result.exit_code == 0, result.exception
    assert "fused, for the CPU" in result.output
    structure = found.structures[1]
    atoms = Atoms(structure["numbers"], structure["positions"], cell=structure["cell"], pbc=True)
    atoms.calc = EgraffCalculator(exported)
    for key, value in {
        "energies": atoms.get_potential_energies(),
        "forces": atoms.get_forces(),
        "stress": atoms.get_stress(voigt=False),
    }.items():
        # of the tables: 1e-12, of their derivatives 1e-10
        assert np.abs(value - structure[key]).max() < 1e-9 * np.abs(structure[key]).max(), key


def test_a_wheel_here_serves_names_and_brings_the_licence(tmp_path, monkeypatch):
    monkeypatch.setattr(sevennet_files, "find_spec", lambda _: None)
    monkeypatch.chdir(tmp_path)
    path = wheel(tmp_path, write(tmp_path, original()))
    for source in ("7net-0", path / "7net-0"):
        assert invoke(source, "-o", "a.ckpt").exit_code == 0
        info = load_info("a.ckpt")["training_data"]["imported_from"]
        assert info["file"] == "checkpoint_sevennet_0.pth"
        assert info["licence"] == "MIT (SevenNet, file LICENSE of the package sevenn)"
    exported = CliRunner().invoke(app, ["export", "a.ckpt", "-o", "a.egraff.pt"])
    assert exported.exit_code == 0
    with zipfile.ZipFile("a.egraff.pt") as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("egraff.json"))
        metadata = json.loads(archive.read(name))
    assert metadata["licence"] == info["licence"]
    assert any("doi:10.1021/acs.jctc.4c00190" in line for line in metadata["citations"])


def test_an_installed_package_serves_names_without_being_imported(tmp_path, monkeypatch):
    folder = tmp_path / "sevenn" / "pretrained_potentials" / "SevenNet_l3i5"
    folder.mkdir(parents=True)
    (tmp_path / "sevenn" / "__init__.py").write_text("raise RuntimeError('was run')")
    write(folder, original("polynomial_l3"))
    monkeypatch.syspath_prepend(tmp_path)
    assert invoke("7net-l3i5", "-o", tmp_path / "a.ckpt").exit_code == 0
    assert load_model(tmp_path / "a.ckpt").config.l_max == 3


def test_what_brings_a_model_that_is_not_there_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(sevennet_files, "find_spec", lambda _: None)
    monkeypatch.chdir(tmp_path)
    text = refusal("7net-0", "-o", "a.ckpt")
    assert "7net-0: expected the package sevenn, which has this model" in text
    assert text.endswith("fix: pip download --no-deps sevenn==0.12.1")
    assert "x.pth: expected a checkpoint of sevenn, found no such file" in refusal(
        "x.pth", "-o", "a.ckpt"
    )


def test_wheels_that_do_not_serve(tmp_path):
    path = wheel(tmp_path, write(tmp_path, original()))
    assert "expected one of its models (7net-0, " in refusal(path, "-o", tmp_path / "a.ckpt")
    text = refusal(path / "7net-l3i5", "-o", tmp_path / "a.ckpt")
    assert "expected SevenNet_l3i5 among its pretrained models, found none" in text
    path.write_text("no archive")
    text = refusal(path / "7net-0", "-o", tmp_path / "a.ckpt")
    assert "expected a wheel of sevenn, could not read it" in text


def test_files_that_are_no_checkpoints(tmp_path):
    path = tmp_path / "x.pth"
    torch.save({"config": {}}, path)
    assert "expected config and model_state_dict" in refusal(path, "-o", tmp_path / "a.ckpt")
    touched = tmp_path / "touched"

    class Trap:
        def __reduce__(self):
            return Path.touch, (touched,)

    path.write_bytes(pickle.dumps(Trap()))
    assert "could not read it (" in refusal(path, "-o", tmp_path / "a.ckpt")
    assert not touched.exists()


def test_options_of_other_importers(tmp_path):
    path = write(tmp_path, original())
    text = refusal(path, "-o", tmp_path / "a.ckpt", "--head", "x")
    assert "--head: not for sevennet: its checkpoints hold their options" in text


# what sevenn 0.12.1 says of the structure of the test below: energy (eV), force on the first atom
# (eV/A), stress (eV/A^3, xx yy zz yz xz xy)
PRETRAINED = {
    "7net-0": (
        -26.369585037,
        [-0.508063138, 0.301651746, 0.716659069],
        [-0.028528687, -0.012283343, -0.024862919, 0.000460547, -0.000042123, -0.001001095],
    ),
    "7net-l3i5": (
        -26.434570313,
        [-0.457308203, 0.240357012, 0.681219161],
        [-0.025802843, -0.011056341, -0.022399174, 0.000305884, -0.000197208, -0.000798961],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PRETRAINED)
def test_pretrained_models_give_the_numbers_of_sevenn(name):
    wheels = sorted((Path(__file__).parents[2] / "build").glob("sevenn-*.whl"))
    if not wheels:  # 42 MB of another project, which `make test` does not download
        pytest.skip(f"no wheel in build: {sevennet_files.DOWNLOAD} -d build")
    model, _ = sevennet_files.load_sevennet(wheels[-1] / name)
    generator = np.random.default_rng(0)
    generator.normal(0, 0.1, (8, 3))
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    atoms.positions += generator.normal(0, 0.15, (8, 3))
    graph = graph_of_atoms(atoms, elements=model.elements, r_max=model.r_max)
    found = predict(model, graph)
    energy, force, stress = PRETRAINED[name]
    # float32: rounding of both programs
    assert float(found.energy) == pytest.approx(energy, abs=1e-5)
    np.testing.assert_allclose(found.forces[0].numpy(), force, atol=5e-6)
    voigt = found.stress[0].numpy()[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    np.testing.assert_allclose(voigt, stress, atol=5e-7)
