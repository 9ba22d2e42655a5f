# SPDX-License-Identifier: GPL-2.0-or-later
"""Dumps and logs as crashes leave them: what can be kept is kept, and the rest is said."""

import gzip

import numpy as np
import pytest

from egraff.analysis.logs.thermo_log import LogError, read_log
from egraff.analysis.trajectory.reader import EgraffDumpReader
from egraff.data.lammps.dump_file import DumpFile
from egraff.data.lammps.dump_format import DumpError
from tests.analysis.dumps import frame_text, log_text

POSITIONS = np.arange(12.0).reshape(4, 3) / 3.0
CELL = np.diag([5.0, 5.0, 5.0])


def frames(*steps):
    return [frame_text(step, POSITIONS + 0.01 * step, CELL) for step in steps]


def dump(tmp_path, text):
    path = tmp_path / "dump.lammpstrj"
    path.write_text(text)
    return path


KEPT = {
    # name: (text, steps that are kept, what is said)
    "cut mid-line": ("".join(frames(0, 10, 20))[:-9], [0, 10], "step 20 left out: 3 of 4 atom"),
    "cut between lines": (
        "".join(frames(0, 10)) + "\n".join(frames(20)[0].split("\n")[:-2]) + "\n",
        [0, 10],
        "step 20 left out: 3 of 4 atom lines",
    ),
    "cut in the header": (
        "".join(frames(0, 10)) + "ITEM: TIMESTEP\n20\nITEM: NUMBER OF ATOMS\n",
        [0, 10],
        "the file ends inside a frame header",
    ),
    "cut after TIMESTEP": (
        "".join(frames(0)) + "ITEM: TIMESTEP\n",
        [0],
        "the file ends inside a frame header",
    ),
    "restart after a cut line": (
        "".join(frames(0, 10))[:-20] + "".join(frames(10, 20)),
        [0, 10, 20],
        "step 10 left out",
    ),
    "repeated steps": ("".join(frames(0, 10, 20, 10, 20, 30)), [0, 10, 20, 30], "written again"),
    "two whole runs in one file": ("".join(frames(0, 10, 0, 10)), [0, 10], "2 frames (steps 0 to"),
    "no box": (
        frames(0)[0] + frames(10)[0].replace("ITEM: BOX BOUNDS", "ITEM: BOX EDGES"),
        [0],
        "has no cell",
    ),
    "step is no number": (
        frames(0)[0] + frames(10)[0].replace("TIMESTEP\n10", "TIMESTEP\n1x"),
        [0],
        "cannot read the section 'ITEM: TIMESTEP'",
    ),
    "box is no number": (
        frames(0)[0] + frames(10)[0].replace("0.0 5.0\n", "0.0 abc\n", 1),
        [0],
        "cannot read the section 'ITEM: BOX BOUNDS pp pp pp'",
    ),
}


@pytest.mark.parametrize("name", KEPT)
def test_what_can_be_kept_is_kept(tmp_path, name):
    text, steps, said = KEPT[name]
    opened = DumpFile(dump(tmp_path, text))
    assert opened.steps.tolist() == steps
    assert any(said in problem.message for problem in opened.problems), opened.problems
    for index, step in enumerate(steps):
        np.testing.assert_allclose(opened.read(index).positions(), POSITIONS + 0.01 * step)


def test_later_frames_win_after_a_restart(tmp_path):
    again = [frame_text(step, POSITIONS + 5.0, CELL) for step in (10, 20)]
    opened = DumpFile(dump(tmp_path, "".join(frames(0, 10) + again)))
    np.testing.assert_allclose(opened.read(1).positions(), POSITIONS + 5.0)


def test_compressed_file_cut_short(tmp_path):
    random = np.random.default_rng(0).normal(size=(40, 4, 3))
    whole = "".join(frame_text(10 * k, random[k], CELL) for k in range(40))
    packed = gzip.compress(whole.encode())
    path = tmp_path / "d.gz"
    path.write_bytes(packed[: len(packed) // 2])
    opened = DumpFile(path)
    assert 5 <= len(opened) < 40
    assert any("damaged or cut" in problem.message for problem in opened.problems)
    last = len(opened) - 1
    np.testing.assert_allclose(opened.read(last).positions(), random[last])


REFUSED = {
    "empty": ("", "no whole frame in the dump: the file is empty"),
    "another format": ("4\ncomment\nAr 0 0 0\n", "expected a line that begins with 'ITEM: '"),
    "text before": ("hello\n" + frames(0)[0], "expected a line that begins with 'ITEM: '"),
    "only half a frame": (frames(0)[0][:-9], "no whole frame in the dump: frame of step 0 left"),
    "a field too few": (frames(0)[0].replace("3 1 Ar", "3 Ar"), "expected 6 fields"),
    "a field too many": (frames(0)[0].replace("3 1 Ar", "3 1 1 Ar"), "expected 6 fields"),
    "not a number": (
        frames(0)[0].replace("3 1 Ar", "3 q Ar"),
        "atom line 3: column type expected a number, got 'q'",
    ),
    "an id twice": (frames(0)[0].replace("3 1 Ar", "2 1 Ar"), "atom id 2 occurs more than once"),
    "no positions": (
        frames(0)[0].replace("x y z", "vx vy vz"),
        "expected columns x y z, xs ys zs or xu yu zu",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused(tmp_path, name):
    text, message = REFUSED[name]
    path = dump(tmp_path, text)
    with pytest.raises(DumpError) as caught:
        EgraffDumpReader(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing_dump(tmp_path):
    with pytest.raises(DumpError, match="no such file"):
        DumpFile(tmp_path / "absent")


def test_lost_atoms_end_the_trajectory(tmp_path):
    text = frames(0)[0] + frames(10)[0] + frame_text(20, POSITIONS[:3], CELL)
    reader = EgraffDumpReader(dump(tmp_path, text))
    assert reader.n_frames == 2
    assert "from step 20 on the number of atoms is not 4 (3 there)" in reader.problems[-1].message


def test_nan_positions_are_read(tmp_path):
    text = frames(0)[0].replace("0.66666666666666663", "nan").replace("1.3333333333333333", "-inf")
    reader = EgraffDumpReader(dump(tmp_path, text))
    positions = reader.ts.data["positions"]
    assert np.isnan(positions).sum() == 1
    assert np.isneginf(positions).sum() == 1


def test_padded_columns_are_read(tmp_path):
    text = frames(0)[0].replace("1 Ar ", "1   Ar  ")
    np.testing.assert_allclose(
        EgraffDumpReader(dump(tmp_path, text)).ts.data["positions"], POSITIONS
    )


COLUMNS = ("Step", "Temp", "TotEng")
ROWS = [(0, 300.0, -1.0), (10, 310.5, -1.1), (20, 290.25, -1.2)]


def log(tmp_path, text):
    path = tmp_path / "log.lammps"
    path.write_text(text)
    return read_log(path)


def test_log_of_a_finished_run(tmp_path):
    read = log(tmp_path, log_text(COLUMNS, ROWS))
    assert read.finished
    assert read.column("temp").tolist() == [300.0, 310.5, 290.25]
    run = read.runs[0]
    assert (run.loop_time_s, run.ranks, run.n_steps, run.n_atoms) == (1.25, 2, 100, 4)


def test_log_of_a_crashed_run_is_kept(tmp_path):
    text = log_text(COLUMNS, ROWS, finished=False) + "ERROR: Lost atoms: original 4 current 3\n"
    read = log(tmp_path, text)
    assert not read.finished
    assert len(read.column("step")) == 3
    assert read.errors == ["ERROR: Lost atoms: original 4 current 3"]


def test_log_keeps_nan_rows(tmp_path):
    rows = [*ROWS, (30, float("nan"), float("inf"))]
    read = log(tmp_path, log_text(COLUMNS, rows))
    assert np.isnan(read.column("temp")[-1])
    assert np.isinf(read.column("toteng")[-1])


def test_log_cut_in_a_row(tmp_path):
    read = log(tmp_path, log_text(COLUMNS, ROWS, finished=False)[:-4])
    assert len(read.column("step")) == 2
    assert "the log ends inside this line" in read.problems[0]


def test_log_row_of_wrong_length(tmp_path):
    read = log(tmp_path, log_text(COLUMNS, ROWS).replace("10  310.5  -1.1", "10  310.5"))
    assert read.column("step").tolist() == [0, 20]
    assert "expected 3 thermo values, got 2" in read.problems[0]


def test_log_row_with_a_word(tmp_path):
    read = log(tmp_path, log_text(COLUMNS, ROWS).replace("310.5", "3!0.5"))
    assert read.column("step").tolist() == [0, 20]
    assert "a thermo value is not a number" in read.problems[0]


RESUMED = """units           metal
read_restart    restarts/production.10.restart
Reading restart file ...
  restart file = 22 Jul 2025, LAMMPS = 22 Jul 2025
  restoring atom style atomic from restart
  orthogonal box = (-12.094859 -10.926177 -12.132323) to (13.019398 11.252366 13.145471)
  1 by 1 by 1 MPI processor grid
  15 atoms
  read_restart CPU = 0.001 seconds
run             40 upto
Neighbor list info ...
  update: every = 1 steps, delay = 0 steps, check = yes
  1 neighbor lists, perpetual/occasional/extra = 1 0 0
  (1) pair egraff, perpetual
"""


def test_log_of_a_run_that_was_killed_and_resumed(tmp_path):
    """What LAMMPS prints before it goes on stands behind the rows of the killed run."""
    killed = log_text(COLUMNS, ROWS[:1], finished=False)
    read = log(tmp_path, killed + RESUMED + log_text(COLUMNS, ROWS[1:]))
    assert read.problems == []
    assert [run.finished for run in read.runs] == [False, True]
    np.testing.assert_array_equal(read.column("step"), [row[0] for row in ROWS])


def test_log_with_warnings_between_rows(tmp_path):
    text = log_text(COLUMNS, ROWS).replace(
        "10  310.5", "WARNING: look out (src/x.cpp:1)\n10  310.5"
    )
    read = log(tmp_path, text)
    assert len(read.column("step")) == 3
    assert read.warnings == ["WARNING: look out (src/x.cpp:1)"]


def test_log_of_a_restart_repeats_steps(tmp_path):
    later = [(10, 1.0, -2.0), (20, 2.0, -2.0), (30, 3.0, -2.0)]
    read = log(tmp_path, log_text(COLUMNS, ROWS, finished=False) + log_text(COLUMNS, later))
    assert read.column("step").tolist() == [0, 10, 20, 30]
    assert read.column("temp").tolist() == [300.0, 1.0, 2.0, 3.0]
    assert read.problems == [
        "steps go back from 20 to 10 (a restart, or reset_timestep); of rows of the same steps the "
        "later ones are kept"
    ]
    follows = [(20, 1.0, -2.0), (30, 2.0, -2.0)]
    read = log(tmp_path, log_text(COLUMNS, ROWS) + log_text(COLUMNS, follows))
    assert read.column("temp").tolist() == [300.0, 310.5, 1.0, 2.0]
    assert read.problems == []


def test_log_runs_with_other_columns(tmp_path):
    other = log_text(("Step", "Temp"), [(30, 5.0)])
    read = log(tmp_path, log_text(COLUMNS, ROWS) + other)
    assert read.column_names() == ["Step", "Temp"]
    with pytest.raises(
        LogError, match="expected a thermo column press in every run, got in all: Step Temp"
    ):
        read.column("press")


def test_log_style_multi(tmp_path):
    blocks = "".join(
        f"------------ Step {step:14d} ----- CPU = {cpu:12.7f} (sec) -------------\n"
        f"TotEng   =        -1.5 KinEng   =  {step:10.4f} Temp     =   30{step}.25\n"
        f"PotEng   =        -2.5 Press    =       -nan\n"
        for step, cpu in ((0, 0.0), (5, 0.1))
    )
    text = f"Per MPI rank memory allocation (min/avg/max) = 3 | 3 | 3 Mbytes\n{blocks}"
    read = log(tmp_path, text + "Loop time of 1 on 1 procs for 5 steps with 4 atoms\n")
    assert read.column("step").tolist() == [0, 5]
    assert read.column("temp").tolist() == [300.25, 305.25]
    assert np.isnan(read.column("press")).all()


def test_log_style_yaml(tmp_path):
    text = (
        "Per MPI rank memory allocation (min/avg/max) = 3 | 3 | 3 Mbytes\n---\n"
        "keywords: ['Step', 'Temp', 'Press', ]\ndata:\n"
        "  - [0, 300.5, -1.5, ]\n  - [10, .nan, nan, ]\n...\n"
    )
    read = log(tmp_path, text + "Loop time of 1 on 1 procs for 10 steps with 4 atoms\n")
    assert read.column("step").tolist() == [0, 10]
    assert read.column("temp")[0] == 300.5
    assert np.isnan(read.column("temp")[1])
    assert np.isnan(read.column("press")[1])


def test_log_without_thermo_is_refused(tmp_path):
    with pytest.raises(LogError, match="no thermo output and no LAMMPS error in it"):
        log(tmp_path, "LAMMPS (22 Jul 2025)\n")


def test_log_with_only_an_error(tmp_path):
    read = log(
        tmp_path, "LAMMPS (22 Jul 2025)\nERROR on proc 0: Unknown pair style (src/f.cpp:1)\n"
    )
    assert read.errors == ["ERROR on proc 0: Unknown pair style (src/f.cpp:1)"]
    assert read.runs == []


def test_log_that_echoes_the_word_error(tmp_path):
    read = log(
        tmp_path,
        "# watch for ERROR: lost atoms\nvariable ERROR_MAX equal 1\n" + log_text(COLUMNS, ROWS),
    )
    assert read.errors == []
    assert read.finished


def test_missing_log(tmp_path):
    with pytest.raises(LogError, match="no such file"):
        read_log(tmp_path / "absent")
