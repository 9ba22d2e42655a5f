# SPDX-License-Identifier: GPL-2.0-or-later
"""``egraff train`` and ``egraff eval`` as a user types them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import typer
import yaml
from ase import Atoms
from typer.testing import CliRunner

from egraff.cli.evaluate import evaluate
from egraff.cli.train import train
from egraff.errors import InputError
from egraff.training.config import TrainConfig
from egraff.training.module import ForceFieldTraining
from tests.training.toy import TINY, frames, label, write

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(train)
app.command(name="eval")(evaluate)


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(part) for part in arguments])
    if isinstance(result.exception, Exception):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def config(data, tmp_path):
    path = tmp_path / "c.yaml"
    content = {"preset": None, "model_options": TINY, "r_max": 4.0, "epochs": 9}
    path.write_text(yaml.safe_dump(content))
    return path


def test_train_then_evaluate(data, config, tmp_path):
    out = tmp_path / "run"
    printed = run(
        *("train", "--model", "nequip", "--config", config, "--epochs", 1, "--seed", 3),
        *("--data", data / "train.xyz", "--val", data / "val.xyz", "--out", out),
        *("--set", "stress_weight=2", "--set", "model_options.radial_width=12"),
        *("--dtype", "float64", "--device", "cpu", "--threads", 1),
    )
    assert "errors on 12 validation frames" in printed
    settings = json.loads((out / "summary.json").read_text())["settings"]
    assert settings["epochs"] == 1
    assert settings["seed"] == 3
    assert settings["dtype"] == "float64"
    assert settings["stress_weight"] == 2.0
    assert settings["model_options"] == {**TINY, "radial_width": 12}

    printed = run("eval", out / "best.ckpt", data / "val.xyz", "--json", tmp_path / "eval.json")
    assert "12 frames" in printed
    for text in ("energy MAE", "force RMSE", "stress MAE", "trivial", "95 %", "meV/atom"):
        assert text in printed
    flat = json.loads((tmp_path / "eval.json").read_text())
    assert flat["n_frames"] == 12
    assert flat["force_mae_ev_per_ang"] > 0
    assert flat["trivial_force_mae_ev_per_ang"] > 0


def test_resume(data, config, tmp_path):
    out = tmp_path / "run"
    given = ("--model", "nequip", "--config", config, "--data", data / "train.xyz", "--out", out)
    run("train", *given, "--epochs", 1, "--threads", 1)
    run("train", "--out", out, "--resume", "--epochs", 2)
    assert json.loads((out / "summary.json").read_text())["training"]["epochs"] == 2
    # the whole command once more, as a cluster's script would have it
    run("train", *given, "--epochs", 2, "--resume")
    with pytest.raises(InputError, match=r"lr: expected 0.01, as in the training that is"):
        run("train", "--out", out, "--resume", "--lr", 0.3)


def test_resume_before_anything_has_started(data, config, tmp_path):
    """A job script may say --resume from the first time on."""
    out = tmp_path / "run"
    given = ("--model", "nequip", "--config", config, "--data", data / "train.xyz", "--out", out)
    run("train", *given, "--epochs", 1, "--threads", 1, "--resume")
    assert json.loads((out / "summary.json").read_text())["training"]["epochs"] == 1
    with pytest.raises(InputError, match=r"expected a training to continue, found no last.ckpt"):
        run("train", "--out", tmp_path / "mistyped", "--resume")


def test_labels_under_other_names(data, config, tmp_path):
    images = frames(1, 12)
    for image in images:
        results, image.calc = image.calc.results, None
        image.info["REF_energy"] = results["energy"]
        image.arrays["REF_forces"] = results["forces"]
        if "stress" in results:
            image.info["VASP_kbar"] = -1602.176634 * results["stress"]
    path = write(tmp_path / "train.xyz", images)
    out = tmp_path / "run"
    given = ("--model", "nequip", "--config", config, "--data", path, "--out", out)
    with pytest.raises(InputError, match=r"frame 0, energy: missing; .*\n.*-key REF_energy"):
        run("train", *given)
    named = ("--energy-key", "REF_energy", "--forces-key", "REF_forces")
    stress = ("--stress-key", "VASP_kbar", "--set", "stress_weight=1")
    with pytest.raises(InputError, match=r"stress_unit: expected the unit of VASP_kbar"):
        run("train", *given, *named, *stress)
    units = ("--stress-unit", "kbar", "--stress-sign", "compression")
    run("train", *given, *named, *stress, *units, "--epochs", 1, "--threads", 1)
    settings = json.loads((out / "summary.json").read_text())["settings"]
    assert settings["energy_key"] == "REF_energy"
    assert settings["stress_sign"] == "compression"

    printed = run("eval", out / "best.ckpt", path, *named, "--json", tmp_path / "e.json")
    assert "no stress is read" not in printed
    flat = json.loads((tmp_path / "e.json").read_text())
    assert "stress_mae_ev_per_ang3" not in flat
    run("eval", out / "best.ckpt", path, *named, *stress[:2], *units, "--json", tmp_path / "s.json")
    flat = json.loads((tmp_path / "s.json").read_text())
    stresses = [
        read_stress["VASP_kbar"] / -1602.176634
        for read_stress in (image.info for image in images)
        if "VASP_kbar" in read_stress
    ]
    # of the nine elements the three off the diagonal count twice
    weights = np.array([1, 1, 1, 2, 2, 2]) / 9
    expected = np.mean([np.abs(stress) @ weights for stress in stresses])
    assert flat["trivial_stress_mae_ev_per_ang3"] == pytest.approx(expected)


def test_isolated_atoms_are_printed_apart(trained, data, tmp_path):
    path = write(tmp_path / "atoms.xyz", [label(Atoms("Cu")), *frames(2, 3)])
    printed = run("eval", trained.out / "best.ckpt", path)
    assert "3 frames" in printed
    assert "isolated atom Cu: E0 of the model less the label" in printed


def test_a_number_that_is_none(data, config, tmp_path):
    config.write_text("lr: .inf\n")
    given = ("--model", "nequip", "--data", data / "train.xyz", "--out", tmp_path / "run")
    with pytest.raises(InputError, match=r"c.yaml: lr: Input should be a finite number, got inf"):
        run("train", *given, "--config", config)
    with pytest.raises(InputError, match=r"lr: Input should be a finite number, got nan"):
        run("train", *given, "--set", "lr=.nan")
    with pytest.raises(InputError, match=r"radial_width|n_bessel"):
        run("train", *given, "--set", "model_options.n_bessel=.inf")
    assert not (tmp_path / "run").exists()


def test_interrupt(data, config, tmp_path, monkeypatch):
    def press_ctrl_c(self, batch, batch_idx):
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(ForceFieldTraining, "training_step", press_ctrl_c)
    out = tmp_path / "run"
    given = ("--model", "nequip", "--config", config, "--data", data / "train.xyz", "--out", out)
    printed = run("train", *given, "--threads", 1, code=130)
    assert f"continue with: egraff train --resume --out {out}" in printed


def test_set_needs_a_name_and_a_value(tmp_path):
    for text in ("lr", "=3", "lr=[1"):
        with pytest.raises(InputError, match=r"--set: expected NAME=VALUE, got"):
            run("train", "--out", tmp_path / "run", "--set", text)


def test_a_setting_given_twice(tmp_path):
    given = ("train", "--out", tmp_path / "run", "--set", "lr=0.5")
    for other in (("--lr", 0.1), ("--set", "lr=0.1")):
        with pytest.raises(InputError, match=r"--set: lr is given twice, as 0.\d and 0.\d\n"):
            run(*given, *other)


def test_an_unknown_setting_in_the_file(config, tmp_path):
    config.write_text("bach_size: 3\n")
    with pytest.raises(InputError, match=r"c.yaml: bach_size: unknown setting\n.* batch_size\?"):
        run("train", "--config", config, "--out", tmp_path, "--data", "a", "--model", "nequip")


def test_one_exported_model(data, exported, tmp_path):
    with pytest.raises(InputError, match=r"not among the elements of the model \(Li F\)"):
        run("eval", exported("float64"), data / "val.xyz")


def test_frames_of_a_model_without_history(trained, data, tmp_path):
    from egraff.export import export_torchscript
    from egraff.training.checkpoint import load_model

    export_torchscript(load_model(trained.out / "best.ckpt"), tmp_path / "m.egraff.pt")
    printed = run("eval", tmp_path / "m.egraff.pt", data / "val.xyz")
    assert "The trivial predictor was fitted to these frames" in printed


def test_help_does_not_import_torch():
    code = (
        "import sys, egraff.cli.train, egraff.cli.evaluate;"
        "print([m for m in ('torch', 'lightning', 'ase') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["preset", "dtype", "epochs", "batch_size", "lr", "device"])
def test_help_states_the_defaults_of_the_settings(name):
    options = {
        option.name: option for option in typer.main.get_command(app).commands["train"].params
    }
    default = TrainConfig.model_fields[name].default
    assert f"default: {default}." in options[name].help
