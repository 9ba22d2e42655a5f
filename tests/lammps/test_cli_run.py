# SPDX-License-Identifier: GPL-2.0-or-later
"""``egraff run`` as a user types it."""

import json
import subprocess

import pytest
from typer.testing import CliRunner

from egraff.cli import app
from egraff.cli.run import INTERRUPTED
from egraff.errors import InputError
from egraff.lammps import launch
from tests.lammps.conftest import log_rows


@pytest.fixture
def cli(folder, tmp_path, monkeypatch):
    """Return a function that runs ``egraff run`` in an empty directory beside the inputs."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        arguments = ["run", *map(str, words)]
        result = CliRunner().invoke(app, arguments, catch_exceptions=False, env={"COLUMNS": "200"})
        return result

    return run


@pytest.fixture
def files(folder):
    return ("--model", folder / "model.egraff.pt", "--structure", folder / "argon.xyz")


def test_help_names_every_setting(cli):
    text = " ".join(cli("--help").output.split())

    for word in ("--ensemble", "--timestep-fs", "--thermostat-damp-ps", "--resume", "--mpirun"):
        assert word in text
    assert "(default csvr)" in text


def test_run_and_resume(lj, cli, files, tmp_path):
    words = (*files, "--out", "r", "--steps", 40, "--ranks", 2, "--replicate", 2, 1, 1)
    first = cli(*words, "--resume")  # as in a queue: the same command, again and again
    again = cli(*words, "--resume")
    longer = cli("--out", "r", "--resume", "--steps", 60)

    assert first.exit_code == again.exit_code == longer.exit_code == 0
    assert "\nproduction: 40 steps\ncompleted: 40 of 40 steps (0.04 ps) in " in first.output
    assert first.output.endswith("next: egraff analyse r\n")
    assert "\nverdict from the log: not enough data\n" in first.output, "it is far too short"
    assert again.output.startswith("completed: 40 of 40 steps")
    assert "completed: 60 of 60 steps" in longer.output
    assert json.loads((tmp_path / "r" / "run.json").read_text())["n_atoms"] == 216
    assert [row["Step"] for row in log_rows(tmp_path / "r" / "log.lammps")][-1] == 60


def test_flags_on_top_of_a_file(lj, cli, folder, tmp_path):
    config = tmp_path / "run.yaml"
    config.write_text(
        f"model: {folder / 'model.egraff.pt'}\nstructure: {folder / 'argon.xyz'}\n"
        "out: from-file\nsteps: 5\ntemperature: 90\nensemble: nvt\n"
    )
    assert cli("--config", config, "--temperature", 70, "--quiet").exit_code == 0
    record = json.loads((tmp_path / "from-file" / "run.json").read_text())

    assert (record["temperature_K"], record["steps"], record["ensemble"]) == (70.0, 5, "nvt")


def test_mistake_in_a_file_is_blamed_on_it(cli, files, tmp_path):
    config = tmp_path / "run.yaml"
    config.write_text("temperature: -5\n")
    with pytest.raises(
        InputError, match=r"run\.yaml: temperature: expected greater than 0, got -5"
    ):
        cli("--config", config, *files, "--out", "r")


def test_dry_run_writes_the_inputs_only(cli, files, tmp_path):
    result = cli(*files, "--out", "r", "--dry-run", "--ensemble", "npt")

    assert "r: inputs written" in result.output
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == [
        ".lock",
        "in.lammps",
        "model.egraff.pt",
        "restarts",
        "structure.data",
    ]
    assert "all nph iso 1 1 1" in (tmp_path / "r" / "in.lammps").read_text()
    assert "pair_style      egraff" in (tmp_path / "r" / "in.lammps").read_text()


def test_interrupted_run_tells_how_to_go_on(lj, cli, files, tmp_path):
    (tmp_path / "r").mkdir()

    def stop(*_):
        (tmp_path / "r" / "stop").touch()  # by hand, from another terminal

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("egraff.lammps.run_progress.RunDisplay.row", stop)
        result = cli(*files, "--out", "r", "--steps", 1_000_000)

    assert result.exit_code == INTERRUPTED
    assert "interrupted: " in result.output
    assert "next: egraff run --resume --out r" in result.output


def test_warnings_come_before_the_run(lj, cli, files):
    result = cli(*files, "--out", "r", "--steps", 0, "--timestep-fs", 6)

    assert result.output.startswith("warning: a time step of 6 fs is long for atoms")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "--out: expected a run directory, got none\n  fix: add --out DIR"),
        (("--out", "r"), "--model: expected a value, got none"),
        (
            ("--out", "r", "--model", "m.pt", "--structure", "s"),
            "m.pt: expected an exported model,",
        ),
        (
            ("--out", "r", "--resume", "--overwrite"),
            "expected one of --resume and --overwrite, got",
        ),
        (
            ("--out", "r", "--resume", "--dry-run"),
            "expected one of --resume and --dry-run, got bot",
        ),
    ],
)
def test_mistakes(cli, words, message):
    with pytest.raises(InputError, match=message):
        cli(*words)


def test_script_runs_by_hand(lj, cli, files, tmp_path):
    """The written script is complete: LAMMPS alone runs it, as its first lines say."""
    cli(*files, "--out", "r", "--dry-run", "--steps", 20)
    subprocess.run(
        [launch.find_lmp(), "-in", "in.lammps"],
        env=launch.environment(1),
        cwd=tmp_path / "r",
        check=True,
        timeout=60,
        capture_output=True,
    )

    assert [row["Step"] for row in log_rows(tmp_path / "r" / "log.lammps")] == [0, 10, 20]
    assert (tmp_path / "r" / "restarts" / "production.20.restart").exists()


def test_several_models_are_not_taken_for_one(cli, files):
    with pytest.raises(InputError, match=r"--model: expected one model, got 2: .*, b\.egraff"):
        cli(*files, "--model", "b.egraff.pt", "--out", "r")
