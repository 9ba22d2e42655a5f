# SPDX-License-Identifier: GPL-2.0-or-later
"""Every step in a folder whose path has a thousand characters, blanks and letters beyond ASCII."""

from pathlib import Path

import ase.io
import pytest
from typer.testing import CliRunner

from egraff.cli import app, main
from egraff.data.embedded import embedded

TINY = ["n_features=[4,2]", "n_layers=2", "l_max=1", "radial_width=4"]


@pytest.fixture
def folder(tmp_path) -> Path:
    path = tmp_path
    while len(str(path)) < 1000:
        path /= "two w\u00f6rds, \u539f\u5b50 " * 5 + "x"
    path.mkdir(parents=True)
    return path


def invoke(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output[-2000:]
    return done.output


@pytest.mark.slow  # test_model_link.py has runs of such models for every day
def test_from_frames_to_metrics(folder):
    frames = ase.io.read(embedded("molecule", "train"), ":12")
    ase.io.write(folder / "frames.xyz", frames)
    ase.io.write(folder / "start.xyz", frames[0])
    options = [word for option in TINY for word in ("--set", f"model_options.{option}")]
    train = ["train", "--model", "nequip", "--r-max", 3, "--epochs", 1, "--threads", 1, *options]
    invoke(*train, "--data", folder / "frames.xyz", "--out", folder / "t")
    model = folder / "m.egraff.pt"
    invoke("export", folder / "t" / "best.ckpt", "-o", model)
    invoke("eval", model, folder / "frames.xyz", "--json", folder / "eval.json")
    # the model has learnt nothing: it is not to say where the run stops
    run = ["run", "--model", model, "--structure", folder / "start.xyz", "--steps", 60]
    run += ["--timestep-fs", 0.1, "--dump-every", 1, "--no-guard-distance", "--no-guard-force"]
    invoke(*run, "--out", folder / "r")
    invoke("analyse", folder / "r")
    assert (folder / "r" / "analysis" / "result.json").is_file()
    invoke("report", folder / "r", "-o", folder / "report.html")
    assert (folder / "report.html").is_file()


@pytest.mark.parametrize(
    "command",
    [
        ["data", "info", "{name}.xyz"],
        ["train", "--model", "nequip", "--data", "{name}.xyz", "--out", "t"],
        ["export", "{name}.ckpt", "-o", "m.pt"],
        ["eval", "{name}.pt", "a.xyz"],
        ["run", "--model", "{name}.pt", "--structure", "a.xyz", "--out", "r"],
        ["analyse", "{name}"],
        ["report", "{name}"],
    ],
    ids=lambda command: command[0],
)
def test_a_name_that_no_file_can_have(command, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    name = "x" * 300
    monkeypatch.setattr("sys.argv", ["egraff", *(word.format(name=name) for word in command)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert name in message
    assert ": File name too long\n  fix: " in message
    assert not list(tmp_path.iterdir())
