# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line as a whole: what it loads, what it says, how it ends."""

import errno
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from egraff import __version__, cli, doctor
from egraff.cli import app
from egraff.errors import EgraffError, InputError, OutputError
from egraff.quickstart import PLANS, learn, quickstart, simulate

VERBS = ["data", *(c.name or c.callback.__name__ for c in app.registered_commands)]


def run_python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


def test_help_needs_no_torch():
    code = (
        "import sys; from egraff.cli import app; from typer.testing import CliRunner; "
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0; "
        "heavy = {'torch', 'lightning', 'MDAnalysis', 'matplotlib'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    done = run_python(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb):
    result = CliRunner().invoke(app, [verb, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_version():
    assert CliRunner().invoke(app, ["--version"]).output == f"egraff {__version__}\n"


def test_errors_are_told_without_a_traceback():
    done = subprocess.run(
        [sys.executable, "-m", "egraff", "data", "info", "absent.xyz"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("egraff: error: absent.xyz: ")
    assert "  fix: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["train", "--data", "absent.xyz", "--out"],
        ["run", "--model", "absent.pt", "--structure", "absent.xyz", "--out"],
        ["export", "absent.ckpt", "-o"],
        ["eval", "absent.ckpt", "absent.xyz", "--json"],
        ["import", "mace", "absent.pt", "-o"],
        ["analyse", "absent.lammpstrj", "--out"],
        ["quickstart", "--out"],
        ["data", "split", "absent.xyz", "--out"],
        ["data", "export", "molecule", "--out"],
    ],
    ids=" ".join,
)
def test_outputs_that_cannot_be_written_are_refused_before_inputs_are_read(tmp_path, command):
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(app, [*command, str(tmp_path / "file" / "x")])
    assert isinstance(result.exception, OutputError)
    assert "expected a folder to write into, got: " in str(result.exception)


def test_elements_of_types_are_symbols():
    for command in (["check", "a.pt", "b.data"], ["analyse", "b.lammpstrj"], ["run", "--out", "r"]):
        result = CliRunner().invoke(app, [*command, "--elements", "1 2"])
        assert isinstance(result.exception, InputError)
        assert "--elements: expected element symbols, got 1, 2" in str(result.exception)


def test_what_the_disk_refuses_to_libraries_is_one_line(monkeypatch, capsys):
    def full():
        raise OSError(errno.ENOSPC, "No space left on device", "/data/metrics.csv")

    monkeypatch.setattr(cli, "app", full)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("egraff: error: /data/metrics.csv: expected room for it, got: No space")
    assert "Traceback" not in error


def test_a_defect_keeps_its_traceback(monkeypatch):
    def broken():
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "/forgotten")

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(FileNotFoundError, match="/forgotten"):
        cli.main()


def test_an_instruction_set_is_for_machine_code(tmp_path):
    command = ["export", "a.ckpt", "-o", str(tmp_path / "m.pt"), "--instruction-set", "AVX2"]
    result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, InputError)
    assert (
        "--instruction-set: expected --format aoti with this option, got --format torchscript"
        in str(result.exception)
    )


def test_doctor_finds_this_installation_sound():
    findings = {finding.what: finding for finding in doctor.examine()}
    assert [f"{f.what}: {f.found}" for f in findings.values() if f.verdict == "bad"] == []
    assert findings["pair_style egraff"].found == "known to lmp, no plugin command needed"


def test_doctor_reports_what_is_wrong_and_goes_on(monkeypatch):
    def broken(_directory=None):
        raise EgraffError("expected libraries for torch 2.13, got 2.14\n  fix: build again")

    monkeypatch.setattr("egraff.ops.check_torch", broken)
    finding = next(f for f in doctor.examine() if f.what == "compiled libraries")
    assert (finding.verdict, finding.fix) == ("bad", "build again")
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "compiled libraries: build again" in result.output


def test_quickstart_does_not_touch_a_directory_of_others(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(InputError, match=r"expected an empty directory or an earlier quickstart"):
        quickstart(tmp_path, pytest.fail, overwrite=True)
    assert (tmp_path / "thesis.tex").exists()


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_quickstart_continues_an_interrupted_training(tmp_path, plan):
    assert "--resume" not in learn(plan, tmp_path)[0].arguments
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "last.ckpt").touch()
    assert "--resume" in learn(plan, tmp_path)[0].arguments
    ranks = [
        step.arguments[step.arguments.index("--ranks") + 1] for step in simulate(plan, tmp_path)
    ]
    assert ranks == ["1", "2", "2"]


def test_quickstart_ends_with_the_step_that_was_interrupted(tmp_path, monkeypatch):
    def interrupted(*_arguments, **_options):
        raise typer.Exit(130)

    monkeypatch.setattr(cli.train, "_fit", interrupted)
    result = CliRunner().invoke(app, ["quickstart", "--out", str(tmp_path / "out")])
    assert result.exit_code == 130
    commands = [line for line in result.output.splitlines() if line.startswith("$ egraff ")]
    assert len(commands) == 1
    assert commands[0].startswith("$ egraff train ")
