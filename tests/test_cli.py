# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line as a whole: what it loads, what it says, how it ends."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from egraff import __version__, doctor
from egraff.cli import app
from egraff.errors import EgraffError, InputError
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


def test_an_instruction_set_is_for_machine_code(tmp_path):
    command = ["export", "a.ckpt", "-o", str(tmp_path / "m.pt"), "--instruction-set", "AVX2"]
    result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, InputError)
    assert "--instruction-set: expected --format aoti beside it, got a file that is not" in str(
        result.exception
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
        quickstart(tmp_path, overwrite=True)
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
