# SPDX-License-Identifier: GPL-2.0-or-later
"""Stopping, failing and going on: nothing lost beyond the last restart file, nothing twice."""

import json
import os
import shutil
import signal
import subprocess

import pytest

from egraff.analysis.logs.thermo_log import read_log
from egraff.errors import InputError, RunError
from egraff.lammps.run import resume_md
from egraff.lammps.run_progress import RunDisplay
from egraff.lammps.run_resume import dump_offset, find_restarts, log_offset
from egraff.locks import locked
from tests.lammps.conftest import METADATA, log_rows
from tests.model_files import made_up


def frame_steps(directory):
    lines = (directory / "dump.lammpstrj").read_text().splitlines()
    return [int(lines[at + 1]) for at, line in enumerate(lines) if line == "ITEM: TIMESTEP"]


def when_at(monkeypatch, step, action, *, stage="production"):
    """Do something once, when a run first reports a step of a stage."""
    shown = RunDisplay.row
    done = []

    def row(self, now, values):
        shown(self, now, values)
        if now == stage and values["Step"] >= step and not done:
            done.append(True)
            action()

    monkeypatch.setattr(RunDisplay, "row", row)


def interrupt():
    """Send this process what ctrl-C sends."""
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("ensemble", ["nve", "nvt", "npt"])
def test_two_halves_are_one_whole(run_lj, ensemble):
    """40 steps resumed up to 100 give the rows and frames of 100 at once, to rounding."""
    same = {"ensemble": ensemble, "thermostat": "nose-hoover"}  # without chance
    _, _, halves = run_lj(out="halves", steps=40, ranks=2, **same)
    _, expected, whole = run_lj(out="whole", steps=100, **same)
    record = resume_md({"steps": 100, "ranks": 1}, halves)

    assert record.status == "completed"
    assert record.settings.steps == record.steps_done == 100
    assert [segment.from_step for segment in record.segments] == [0, 40]
    walls = [segment.wall_time_s for segment in record.segments]
    assert record.wall_time_s == pytest.approx(sum(walls), abs=2e-3)
    assert frame_steps(halves) == frame_steps(whole) == list(range(0, 101, 20))
    found = log_rows(halves / "log.lammps")
    assert [row["Step"] for row in found] == list(range(0, 101, 10))
    for one, other in zip(expected, found, strict=True):
        assert one["TotEng"] == pytest.approx(other["TotEng"], rel=1e-7)


def test_interrupted_run_stops_cleanly_and_goes_on(run_lj, monkeypatch, settings):
    when_at(monkeypatch, 30, interrupt)
    record, _, directory = run_lj(steps=200_000, restart_every=0, ranks=2)
    stopped_at = record.steps_done

    assert record.status == "interrupted"
    assert 30 <= stopped_at < 200_000
    assert [one.step for one in find_restarts(directory)] == [stopped_at]
    assert not (directory / "stop").exists()
    with pytest.raises(InputError, match=f"at least the {stopped_at} steps that are done, got 20"):
        resume_md({"steps": 20}, directory)

    target = stopped_at + 45
    again = {**settings(restart_every=0).model_dump(), "steps": target, "ranks": 1}
    assert resume_md(again, directory).steps_done == target
    steps = [row["Step"] for row in log_rows(directory / "log.lammps")]
    assert steps == sorted(set(steps))
    assert set(range(0, target, 10)) <= set(steps)
    assert frame_steps(directory) == list(range(0, target + 1, 20))


def test_second_interrupt_kills_and_the_run_can_still_be_resumed(run_lj, monkeypatch):
    def twice():
        interrupt()
        interrupt()

    when_at(monkeypatch, 50, twice)
    record, _, directory = run_lj(steps=10_000_000, restart_every=40, ranks=2)

    assert record.status == "interrupted"
    assert find_restarts(directory)[0].step > 0
    with locked(directory):  # nothing of it runs any more
        pass


def test_killed_run_goes_on_from_its_last_restart_file(run_lj, monkeypatch, tmp_path):
    """What LAMMPS wrote after that restart file is written again, not kept twice."""
    started = []
    popen = subprocess.Popen

    def start(*args, **options):
        started.append(popen(*args, **options))
        return started[-1]

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", start)
        when_at(patch, 130, lambda: started[0].kill())
        with pytest.raises(RunError, match=r"after step \d+ of the production stage:\n.*SIGKILL"):
            run_lj(steps=10_000_000, restart_every=40)
    directory = tmp_path / "run"
    killed = json.loads((directory / "run.json").read_text())
    restart = find_restarts(directory)[0].step

    assert killed["status"] == "failed"
    assert "SIGKILL" in killed["error"]
    assert 0 < restart <= killed["steps_done"] < 10_000_000
    target = killed["steps_done"] + 60
    record = resume_md({"steps": target}, directory)
    assert record.status == "completed"
    assert record.error is None
    assert record.segments[0].status == "failed"
    assert record.segments[1].from_step == restart
    steps = [row["Step"] for row in log_rows(directory / "log.lammps")]
    assert steps == sorted({*range(0, target + 1, 10), target})
    assert frame_steps(directory) == list(range(0, target + 1, 20))
    assert read_log(directory / "log.lammps").problems == []


def test_interrupted_equilibration_goes_on_with_it(run_lj, monkeypatch):
    when_at(monkeypatch, 300, interrupt, stage="equilibrate")
    record, rows, directory = run_lj(equilibrate_steps=3000, restart_every=0)

    assert record.status == "interrupted"
    assert (record.steps_done, rows) == (0, [])
    (restart,) = find_restarts(directory)
    assert restart.stage == "equilibrate"
    assert 300 <= restart.step < 3000
    assert resume_md({}, directory).status == "completed"
    equilibration = [row["Step"] for row in log_rows(directory / "log.equilibrate")]
    assert set(range(0, 3001, 10)) <= set(equilibration)
    assert equilibration == sorted(set(equilibration))
    assert [row["Step"] for row in log_rows(directory / "log.lammps")] == list(range(0, 101, 10))


def test_without_a_restart_file_it_starts_again(finished):
    expected = log_rows(finished / "log.lammps")
    shutil.rmtree(finished / "restarts")
    (finished / "restarts").mkdir()
    record = resume_md({"steps": 120}, finished)

    assert record.segments[-1].from_step == 0
    assert log_rows(finished / "log.lammps")[:11] == expected
    assert frame_steps(finished) == list(range(0, 121, 20))


def test_complete_run_is_left_alone(finished):
    before = {path: path.stat().st_mtime_ns for path in finished.iterdir()}

    assert resume_md({"steps": 100}, finished).status == "completed"
    assert before == {path: path.stat().st_mtime_ns for path in finished.iterdir()}


def test_damaged_restart_file_is_passed_over(finished):
    newest, older = find_restarts(finished)
    newest.path.write_bytes(newest.path.read_bytes()[:-40])

    assert [one.step for one in find_restarts(finished)] == [older.step]
    record = resume_md({"steps": 140}, finished)
    assert record.segments[-1].from_step == older.step == 80
    assert frame_steps(finished) == list(range(0, 141, 20))


def test_trajectory_with_a_hole_is_not_continued(finished):
    """The last restart file is whole, but the frames before it are not: use the one before."""
    dump = finished / "dump.lammpstrj"
    text = dump.read_text()
    dump.write_text(text[: text.index("ITEM: TIMESTEP\n80\n") + 300])

    record = resume_md({"steps": 120}, finished)
    assert record.segments[-1].from_step == 80
    assert frame_steps(finished) == list(range(0, 121, 20))


def test_run_whose_process_vanished(finished):
    """Power cut: the record still says running."""
    record = json.loads((finished / "run.json").read_text())
    record["status"] = record["segments"][0]["status"] = "running"
    (finished / "run.json").write_text(json.dumps(record))

    record = resume_md({}, finished)
    assert record.status == "completed"
    assert record.segments[0].status == "killed"
    assert record.segments[0].error == "the process was ended from outside"


FRAME = "ITEM: TIMESTEP\n{}\nITEM: NUMBER OF ATOMS\n2\nITEM: BOX BOUNDS pp pp pp\n0 1\n0 1\n0 1\n"
FRAME += "ITEM: ATOMS id\n1\n2\n"


@pytest.mark.parametrize(
    ("steps", "cut", "step", "frames_kept"),
    [
        ([0, 10, 20], 0, 20, 2),
        ([0, 10, 20], 0, 15, 2),
        ([0, 10, 20], 0, 21, 3),
        ([0, 10, 20], 1, 20, 2),
        ([0, 10], 1, 15, None),
        ([0], 0, 15, None),
        ([0], 0, 0, 0),
        ([], 0, 0, 0),
        ([], 0, 5, None),
    ],
)
def test_where_the_trajectory_is_cut(tmp_path, steps, cut, step, frames_kept):
    path = tmp_path / "dump"
    frames = [FRAME.format(number) for number in steps]
    text = "".join(frames)
    path.write_text(text[: len(text) - cut])
    expected = None if frames_kept is None else len("".join(frames[:frames_kept]))

    assert dump_offset(path, step, dump_every=10, n_atoms=2) == expected


def test_where_the_log_is_cut(tmp_path):
    path = tmp_path / "log"
    head = "run 100\n20 is not a row\n   Step   Temp\n   0  1.0\nWARNING: 30\n  10  1.0\n"
    path.write_text(head + "  20  1.0\nLoop time of 1\n")

    assert log_offset(path, 20) == log_offset(path, 11) == len(head)
    assert log_offset(tmp_path / "none", 20) == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"temperature": 90.0}, "--temperature: expected 40.0, as the run was started, got 90.0"),
        ({"timestep_fs": 1.0}, "--timestep-fs: expected 4.0, as the run was started, got 1.0"),
        ({"dump_every": 7}, "--dump-every: expected 20, .*, got 7\n  fix: drop the option"),
        ({"thermo_every": 7}, "--thermo-every: expected 10, .*, got 7\n  fix: drop the option"),
        (
            {"model": "other.pt"},
            r"other.pt: expected the model that the run was started with \(SHA.*\), got no file",
        ),
        ({"structure": "o.xyz"}, r"o.xyz: expected the structure .* \(SHA-256 .*, got no file"),
        ({"bogus": 1}, "expected the name of a setting, got 'bogus'"),
    ],
)
def test_what_may_not_change(finished, values, message):
    with pytest.raises(InputError, match=message):
        resume_md({"steps": 105, **values}, finished)


def test_model_that_moved_or_changed(run_lj, tmp_path):
    model = made_up(tmp_path / "model.pt", METADATA)
    _, _, directory = run_lj(steps=0, model=model)
    moved = tmp_path / "moved.pt"
    shutil.move(model, moved)

    assert resume_md({"steps": 1, "model": moved}, directory).steps_done == 1
    made_up(moved, {**METADATA, "r_max": 5.0})
    with pytest.raises(
        InputError, match=r"moved.pt: expected the model that .* \(.*\), got one with"
    ):
        resume_md({"steps": 2}, directory)


def test_nothing_to_resume(tmp_path):
    with pytest.raises(InputError, match=r"expected a run to resume, found no run.json"):
        resume_md({}, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "run.json: expected JSON, got: "),
        ("[]", "run.json: expected the record of a run, got list\n  fix: choose another --out"),
    ],
)
def test_record_that_is_none(tmp_path, text, message):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(InputError, match=message):
        resume_md({}, tmp_path)


def test_nothing_left_to_start_from(finished):
    shutil.rmtree(finished / "restarts")
    (finished / "structure.data").unlink()
    with pytest.raises(
        InputError, match=r"restart file or structure.data, found neither\n  fix: s"
    ):
        resume_md({"steps": 105}, finished)


def test_run_that_still_goes_on(finished):
    with (
        locked(finished),
        pytest.raises(InputError, match="that is not in use, but a run is running in it"),
    ):
        resume_md({"steps": 105}, finished)
