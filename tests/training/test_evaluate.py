# SPDX-License-Identifier: GPL-2.0-or-later
"""Evaluation against a direct computation, for checkpoints and exported models."""

from __future__ import annotations

import json

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms

from egraff.calculator import EgraffCalculator
from egraff.errors import EgraffError, InputError, ModelFileError
from egraff.export import export_torchscript
from egraff.training.checkpoint import load_info, load_model
from egraff.training.evaluate import evaluate_file, open_model, write_evaluation
from tests.training.toy import frames, label, write


@pytest.fixture(scope="module")
def exported_model(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "m.egraff.pt"
    info = load_info(trained.out / "best.ckpt")
    model = load_model(trained.out / "best.ckpt", dtype="float64")
    export_torchscript(model, path, training_data=info["training_data"])
    return path


def test_numbers_are_those_of_a_direct_computation(trained, data, exported_model, tmp_path):
    """ASE's calculator, frame by frame, and numpy."""
    images = ase.io.read(data / "val.xyz", ":")
    baseline = load_info(trained.out / "best.ckpt")["training_data"]["energy_baseline_ev"]
    energy, counted, force, stress, stress_labels = [], [], [], [], []
    calculator = EgraffCalculator(exported_model)
    for image in images:
        bare = image.copy()
        bare.calc = calculator
        difference = bare.get_potential_energy() - image.get_potential_energy()
        energy.append(difference / len(image))
        known = sum(baseline[symbol] for symbol in image.get_chemical_symbols())
        counted.append((known - image.get_potential_energy()) / len(image))
        force.append((bare.get_forces() - image.get_forces()).ravel())
        if image.pbc.all():
            stress_labels.append(image.get_stress(voigt=False))
            stress.append(bare.get_stress(voigt=False) - stress_labels[-1])
    force = np.concatenate(force)
    labels = np.concatenate([image.get_forces().ravel() for image in images])
    expected = {
        "n_frames": 12,
        "n_atoms": sum(len(image) for image in images),
        "energy_mae_ev_per_atom": np.abs(energy).mean(),
        "energy_rmse_ev_per_atom": np.sqrt(np.mean(np.square(energy))),
        "trivial_energy_mae_ev_per_atom": np.abs(counted).mean(),
        "trivial_energy_rmse_ev_per_atom": np.sqrt(np.mean(np.square(counted))),
        "force_mae_ev_per_ang": np.abs(force).mean(),
        "force_rmse_ev_per_ang": np.sqrt(np.mean(force**2)),
        "trivial_force_mae_ev_per_ang": np.abs(labels).mean(),
        "trivial_force_rmse_ev_per_ang": np.sqrt(np.mean(labels**2)),
        "stress_mae_ev_per_ang3": np.abs(stress).mean(),
        "trivial_stress_mae_ev_per_ang3": np.abs(stress_labels).mean(),
    }
    write_evaluation(tmp_path / "e.json", evaluate_file(exported_model, data / "val.xyz"))
    found = json.loads((tmp_path / "e.json").read_text())
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-9), name
    assert found["trivial_energy_from"] == "training set"
    assert found["ci95_low_force_mae_ev_per_ang"] < found["force_mae_ev_per_ang"]
    assert found["ratio_force_mae_ev_per_ang"] == pytest.approx(
        found["trivial_force_mae_ev_per_ang"] / found["force_mae_ev_per_ang"]
    )
    assert not any(isinstance(value, dict | list) for value in found.values())


def test_checkpoint_and_exported_model_agree(trained, data, exported_model):
    one = evaluate_file(trained.out / "best.ckpt", data / "val.xyz", dtype="float64")
    two = evaluate_file(exported_model, data / "val.xyz")
    assert one.model == pytest.approx(two.model, rel=1e-9)
    assert one.trivial == pytest.approx(two.trivial, rel=1e-12)
    assert one.interval["force_mae_ev_per_ang"] == pytest.approx(
        two.interval["force_mae_ev_per_ang"], rel=1e-9
    )


def test_validation_in_the_summary_is_this_evaluation(trained, data):
    again = evaluate_file(trained.out / "best.ckpt", data / "val.xyz")
    for name, entry in trained.summary["validation"].items():
        assert entry["value"] == pytest.approx(again.model[name], rel=1e-6)
        assert entry["trivial"] == pytest.approx(again.trivial[name], rel=1e-12)


def test_the_file_that_the_model_was_trained_on(trained, data, exported_model):
    for model in (trained.out / "best.ckpt", exported_model):
        for name in ("train.xyz", "val.xyz"):
            (remark,) = [
                remark
                for remark in evaluate_file(model, data / name).remarks
                if remark.startswith("the model was trained or validated on this file")
            ]
            assert f"({name}): its errors on frames that it has not seen are larger" in remark


def test_frames_with_energies_only(trained, tmp_path):
    images = frames(7, 4)
    for image in images:
        image.calc.results = {"energy": image.calc.results["energy"]}
    evaluation = evaluate_file(trained.out / "best.ckpt", write(tmp_path / "e.xyz", images))
    assert {name.split("_")[0] for name in evaluation.model} == {"energy"}


def test_frames_without_labels(trained, tmp_path):
    images = frames(7, 2)
    for image in images:
        image.calc = None
    path = write(tmp_path / "bare.xyz", images)
    with pytest.raises(InputError, match=r"no frame has an energy or forces; the first frame has:"):
        evaluate_file(trained.out / "best.ckpt", path)


def test_isolated_atoms_are_reported_apart(trained, data, tmp_path):
    atoms = [label(Atoms(symbol)) for symbol in ("Al", "Cu")]
    mixed = write(tmp_path / "mixed.xyz", [*atoms, *ase.io.read(data / "val.xyz", ":")])
    found = evaluate_file(trained.out / "best.ckpt", mixed)
    plain = evaluate_file(trained.out / "best.ckpt", data / "val.xyz")
    assert (found.n_frames, found.model, found.trivial) == (12, plain.model, plain.trivial)
    e0 = trained.summary["model"]["reference_energies_ev"]
    for atom in atoms:
        symbol = atom.get_chemical_symbols()[0]
        difference = e0[symbol] - atom.get_potential_energy()
        assert found.isolated[symbol] == pytest.approx(difference, abs=1e-9)
        assert found.flat()[f"isolated_atom_error_ev_{symbol}"] == found.isolated[symbol]


def test_nothing_but_isolated_atoms(trained, tmp_path):
    found = evaluate_file(
        trained.out / "best.ckpt", write(tmp_path / "atoms.xyz", [label(Atoms("Cu"))])
    )
    assert (found.n_frames, found.model) == (0, {})
    assert set(found.isolated) == {"Cu"}


def test_an_element_that_the_model_does_not_know(trained, tmp_path):
    images = frames(7, 2)
    images[0].symbols[0] = "Ag"
    with pytest.raises(InputError, match=r"Ag not among the elements of the model \(Al Cu\)"):
        evaluate_file(trained.out / "best.ckpt", write(tmp_path / "ag.xyz", images))


def test_a_model_without_a_baseline_gets_one_from_the_frames(trained, data, tmp_path):
    model = load_model(trained.out / "best.ckpt")
    export_torchscript(model, tmp_path / "m.egraff.pt")
    evaluation = evaluate_file(tmp_path / "m.egraff.pt", data / "val.xyz")
    assert evaluation.baseline_source == "evaluated frames"
    assert evaluation.trivial["energy_mae_ev"] > 0


def test_a_broken_model(trained, data, tmp_path):
    content = torch.load(trained.out / "best.ckpt", weights_only=True)
    content["egraff"]["weights"]["embedding.weight"][0] = torch.nan
    torch.save(content, tmp_path / "broken.ckpt")
    with pytest.raises(EgraffError, match=r"got none for 12 of 12 frames, the first is frame 0"):
        evaluate_file(tmp_path / "broken.ckpt", data / "val.xyz")


def test_refusals(tmp_path, exported_model):
    with pytest.raises(ModelFileError, match=r"a checkpoint or an exported model, found no such f"):
        open_model(tmp_path / "none.ckpt")
    with pytest.raises(ModelFileError, match=r"a checkpoint or an exported model, found a folder"):
        open_model(tmp_path)
    with pytest.raises(InputError, match=r"expected no dtype with an exported model, .* float32"):
        open_model(exported_model, dtype="float32")
    cut = tmp_path / "cut.egraff.pt"
    cut.write_bytes(exported_model.read_bytes()[:1000])
    with pytest.raises(ModelFileError, match=r"truncated or damaged"):
        open_model(cut)
