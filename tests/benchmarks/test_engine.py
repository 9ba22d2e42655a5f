"""Turns, ratios, and what other programs are."""

import argparse
import sys

import engine
import others
import processes
import pytest


def result(us):
    return {"us_min": us, "us_med": us, "cpu_us_min": 2 * us, "kB_per_atom": 1.0, "others": 0.0}


def test_ours_and_theirs_take_turns(capsys):
    turns = []

    def measure(label, us):
        turns.append(label)
        return result(us)

    rows = {
        "ours": lambda: measure("ours", 10.0 if turns.count("ours") == 0 else 14.0),
        "one": lambda: measure("one", 36.0),
        "broken": lambda: turns.append("broken"),
        "two": lambda: measure("two", 7.0),
    }
    engine.compare(rows, "ours", lambda label, row: print(label, row["us_min"]))
    assert turns == ["ours", "one", "ours", "broken", "two", "ours"]
    printed = capsys.readouterr().out
    assert "one / ours = 3.00 x (by CPU time 3.00 x)" in printed
    assert "two / ours = 0.50 x (by CPU time 0.50 x)" in printed


def test_the_result_line_is_found_among_others():
    assert processes.result_line('Warning: x\nRESULT {"us_min": 1.5}\n') == {"us_min": 1.5}
    assert processes.result_line("RESULTS none") is None


def test_a_command_without_a_result_is_told(capsys):
    failing = [sys.executable, "-c", "raise SystemExit('no such model')"]
    assert processes.measured(failing, 1) is None
    assert "no such model" in capsys.readouterr().out


def test_other_programs_are_read(tmp_path):
    (found,) = others.parse([f"symmetrix-xl={sys.executable}"], tmp_path)
    assert found.program.architecture == "mace"
    assert found.folder == tmp_path / "symmetrix-xl"


@pytest.mark.parametrize("name", others.PROGRAMS)
def test_every_other_program_has_a_runner(name, tmp_path):
    (found,) = others.parse([f"{name}={sys.executable}"], tmp_path)
    assert found.runner.is_file()


def test_an_unknown_program_is_refused(tmp_path):
    with pytest.raises(argparse.ArgumentTypeError, match=r"expected NAME=PYTHON .* got 'mase=x'"):
        others.parse(["mase=x"], tmp_path)


def test_a_missing_environment_is_refused(tmp_path):
    with pytest.raises(argparse.ArgumentTypeError, match=r"benchmarks/README\.md says how"):
        others.parse(["nequip=/no/such/python"], tmp_path)
