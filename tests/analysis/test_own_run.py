# SPDX-License-Identifier: GPL-2.0-or-later
"""Dumps and logs of the user's own LAMMPS runs, of real LAMMPS with Lennard-Jones."""

import json
import subprocess

import numpy as np
import pytest
from typer.testing import CliRunner

from egraff.analysis.context import AnalysisContext
from egraff.analysis.logs.commands import Stage, read_stages
from egraff.analysis.own_run import run_of_dump
from egraff.analysis.pipeline import CURVES, RESULT
from egraff.analysis.sources import GivenOptions, runs_at
from egraff.cli import app
from egraff.errors import InputError
from egraff.lammps import launch
from tests.analysis.runs import analyse_run

EPSILON = {"metal": "0.0104", "real": "$(0.0104*23.060549)"}  # eV, kcal/mol
PS = {"metal": 1.0, "real": 1000.0}

SCRIPT = """\
units           {units}
atom_modify     map array
lattice         fcc 5.3
region          cell block 0 3 0 3 0 3
create_box      2 cell
create_atoms    1 box
set             type 1 type/fraction 2 0.25 1
mass            1 39.948
mass            2 20.1797
pair_style      lj/cut 6.0
pair_coeff      * * {epsilon} 3.4
velocity        all create 60 1 mom yes loop geom
timestep        $(0.002*{ps})
thermo          5
thermo_style    custom step {time} temp pe ke etotal press vol
thermo_modify   format float %.15g {modify}
dump            d all custom 5 d.lammpstrj {columns}
dump_modify     d sort id format float %.15g {dump_modify}
{run}
"""
COLUMNS = "id type element x y z ix iy iz vx vy vz fx fy fz"


@pytest.fixture
def lammps(tmp_path):
    """Return a function that runs LAMMPS and returns the dump; log.lammps is beside it."""

    def run(
        text="fix move all nve\nrun 100",
        *,
        units="metal",
        time="time",
        columns=COLUMNS,
        dump_modify="element Ar Ne",
        modify="",
        folder="md",
        script=SCRIPT,
        options=(),
    ):
        directory = tmp_path / folder
        directory.mkdir(exist_ok=True)
        values = {"units": units, "epsilon": EPSILON[units], "ps": PS[units], "time": time}
        (directory / "in").write_text(
            script.format(
                run=text, columns=columns, dump_modify=dump_modify, modify=modify, **values
            )
        )
        done = subprocess.run(
            [launch.find_lmp(), "-in", "in", "-screen", "none", *options],
            cwd=directory,
            env=launch.environment(1),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, (directory / "log.lammps").read_text()[-2000:]
        return directory / "d.lammpstrj"

    return run


def analysed(run):
    analyse_run(run)
    content = json.loads((run.directory / RESULT).read_text())
    with np.load(run.directory / CURVES) as curves:
        return content, {m["name"]: m["value"] for m in content["metrics"]}, dict(curves)


def test_a_dump_and_its_log_are_a_run(lammps):
    dump = lammps()
    run = run_of_dump(dump)
    assert run.directory == dump.parent / "d"
    assert run.record["ensemble"] == "nve"
    assert (run.record["status"], run.record["units"]) == ("completed", "metal")
    assert run.record["timestep_fs"] == pytest.approx(2.0)
    assert (run.record["n_atoms"], run.record["elements"]) == (108, ["Ar", "Ne"])
    content, metrics, curves = analysed(run)
    assert content["problems"] == [
        text for text in content["problems"] if text.startswith(("vibrations", "diffusion"))
    ]
    assert metrics["stability_time"] == pytest.approx(0.2)
    assert curves["thermo/time_ps"][[0, -1]] == pytest.approx([0.0, 0.2])
    assert metrics["nve_drift"] is not None
    assert run.record["problems"] == []


def test_real_units_give_the_same_numbers(lammps):
    """LAMMPS's constants of both styles differ in the fifth digit."""
    found = {}
    for units in PS:
        run = run_of_dump(lammps(units=units, folder=units))
        _, metrics, curves = analysed(run)
        found[units] = (metrics, curves, AnalysisContext(run).universe())
    (metal, thermo, frames), (real, other, other_frames) = found["metal"], found["real"]
    for name in ("thermo/time_ps", "thermo/temp", "thermo/pe", "thermo/etotal", "thermo/press"):
        scale = np.abs(thermo[name]).max()
        np.testing.assert_allclose(other[name], thermo[name], atol=1e-4 * scale, err_msg=name)
    for name in ("temperature", "density", "temperature[Ar]", "temperature[Ne]", "stability_time"):
        assert real[name] == pytest.approx(metal[name], rel=1e-4), name
    for name in ("positions", "velocities", "forces"):
        ours, theirs = (one.trajectory[3].data[name] for one in (frames, other_frames))
        np.testing.assert_allclose(theirs, ours, atol=1e-4 * np.abs(ours).max(), err_msg=name)


def test_other_units_are_refused_by_name(lammps):
    dump = lammps()
    log = dump.with_name("log.lammps")
    log.write_text(log.read_text().replace("units           metal", "units           electron"))
    with pytest.raises(InputError, match=r"expected units metal or real, got electron"):
        run_of_dump(dump)


STAGES = """\
minimize        0.0 1e-3 20 100
fix             move all nvt temp 60 60 0.2
run             50
unfix           move
fix             move all nve
run             30
run             20
"""


RESET = f"""\
undump          d
reset_timestep  0
dump            d all custom 5 d.lammpstrj {COLUMNS}
dump_modify     d sort id element Ar Ne format float %.15g
"""
APPEND = "element Ar Ne append yes"


@pytest.mark.parametrize("reset", ["", RESET])
def test_only_the_stage_of_the_last_frame_is_analysed(lammps, reset):
    before, after = STAGES.split("fix             move all nve\n")
    dump = lammps(f"{before}{reset}fix             move all nve\n{after}")
    run = run_of_dump(dump)
    first = run.record["first_step"]  # a minimisation counts its iterations as steps
    assert run.record["ensemble"] == "nve"
    last = first + run.record["steps"]
    (left_out,) = run.record["problems"]
    assert left_out.startswith("other stages of log.lammps left out: minimize of steps")
    assert "; run (nvt) of steps " in left_out
    content, metrics, curves = analysed(run)
    assert left_out in content["problems"]
    assert (first == 0) == bool(reset)
    times = curves["thermo/time_ps"]
    assert times[[0, -1]] == pytest.approx([0.0, 0.1])
    assert AnalysisContext(run).universe().trajectory.steps.tolist() == [
        n for n in range(0, last + 1, 5) if n >= first
    ]
    assert AnalysisContext(run).universe().trajectory.times_ps[-1] == pytest.approx(
        (last // 5 * 5 - first) * 0.002
    )
    assert metrics["stability_time"] == pytest.approx(times[-1])


def test_a_dump_that_ends_where_another_stage_begins(lammps):
    before = "fix move all nvt temp 60 60 0.2\nrun 50\nundump d\nunfix move\n"
    run = run_of_dump(lammps(before + "fix move all nve\nrun 50"))
    assert (run.record["ensemble"], run.record["steps"]) == ("nvt", 50)
    assert len(AnalysisContext(run).universe().trajectory) == 11
    (left_out,) = run.record["problems"]
    assert left_out == "other stages of log.lammps left out: run (nve) of steps 50 to 100"


def test_a_run_that_was_stopped_and_appended_to(lammps):
    dump = lammps("fix move all nve\nrestart 40 r.*\nrun 60")
    again = SCRIPT[: SCRIPT.index("units")] + "log log.lammps append\nread_restart r.40\n"
    again += SCRIPT[SCRIPT.index("pair_style") : SCRIPT.index("velocity")]
    again += SCRIPT[SCRIPT.index("timestep") :]
    lammps("fix move all nve\nrun 60", dump_modify=APPEND, script=again, options=("-log", "none"))
    run = run_of_dump(dump)
    assert (run.record["first_run"], run.record["last_run"]) == (0, 1)
    content, metrics, curves = analysed(run)
    assert curves["thermo/time_ps"] == pytest.approx(np.arange(0, 101, 5) * 0.002)
    assert any("were written again after a restart" in text for text in content["problems"])
    assert metrics["stability_time"] == pytest.approx(0.2)


def test_a_time_step_that_changes_needs_times(lammps):
    changing = "fix move all nve\nfix short all dt/reset 1 NULL 0.002 0.003 units box\nrun 50"
    with pytest.raises(InputError, match=r"timestep: expected one time step, or times in log and"):
        run_of_dump(lammps(changing))
    run = run_of_dump(lammps(changing, dump_modify="element Ar Ne time yes"))
    assert run.record["ensemble"] == "nve"
    _, metrics, curves = analysed(run)
    times = AnalysisContext(run).universe().trajectory.times_ps
    assert times[-1] < 50 * 0.002
    assert curves["thermo/time_ps"] == pytest.approx(times, abs=1e-9)
    assert metrics["stability_time"] == pytest.approx(times[-1])


def test_a_dump_that_states_other_times_than_its_steps(lammps):
    text = "fix move all nve\nrun 10\ntimestep 0.001\nrun 10"
    with pytest.raises(InputError, match=r"TIME: expected times of 0\.001 ps per step, got 0\.03"):
        run_of_dump(lammps(text, time="", dump_modify="element Ar Ne time yes"))


def test_elements_of_a_dump_without_symbols(lammps):
    dump = lammps(columns="id type x y z", dump_modify="")
    with pytest.raises(InputError, match=r"expected a column element, got id type x y z"):
        run_of_dump(dump)
    run = run_of_dump(dump, elements=["Ar", "Ne"])
    assert sorted(set(AnalysisContext(run).universe().atoms.elements)) == ["Ar", "Ne"]
    assert AnalysisContext(run).universe().atoms.masses.sum() == pytest.approx(
        81 * 39.948 + 27 * 20.1797, rel=0.1
    )
    dump = lammps(columns=COLUMNS, dump_modify="")
    with pytest.raises(InputError, match=r"element: expected the elements .* got C for every atom"):
        run_of_dump(dump)


def test_contradictions_are_refused(lammps):
    dump = lammps()
    with pytest.raises(InputError, match="element: expected element Ne of type 1, got Ar"):
        run_of_dump(dump, elements=["Ne", "Ar"])
    log = dump.with_name("log.lammps")
    text = log.read_text()
    log.write_text(text.replace("units           metal", "# nothing"))
    with pytest.raises(InputError, match="expected a units command, got none"):
        run_of_dump(dump)
    log.write_text(text.replace("pair_style      lj/cut 6.0", "pair_style egraff\n").replace(
        "pair_coeff      * * 0.0104 3.4", "pair_coeff * * m.pt Ne Ar"))  # fmt: skip
    with pytest.raises(InputError, match="element: expected element Ne of type 1, got Ar"):
        run_of_dump(dump)
    with pytest.raises(InputError, match="--elements: expected the elements of pair_coeff, Ne Ar"):
        run_of_dump(dump, elements=["Ar", "Ne"])
    log.write_text(text)
    other = dump.with_name("other.log")
    other.write_text(text.replace("\n       100 ", "\n        99 "))
    with pytest.raises(InputError, match=r"other\.log: expected a run that reaches step 100"):
        run_of_dump(dump, log=other)


def test_units_that_dump_and_log_state_must_agree(lammps):
    dump = lammps(dump_modify="element Ar Ne units yes")
    assert run_of_dump(dump).record["units"] == "metal"
    log = dump.with_name("log.lammps")
    log.write_text(log.read_text().replace("units           metal", "units           real"))
    with pytest.raises(InputError, match=r"UNITS: expected the units of .*, real, got metal"):
        run_of_dump(dump)


def test_energies_per_atom_and_parts_of_the_atoms_are_refused(lammps):
    with pytest.raises(InputError, match="thermo_modify norm yes: expected energies of the system"):
        run_of_dump(lammps(modify="norm yes"))
    part = SCRIPT.replace("dump            d all", "group ne type 2\ndump d ne")
    with pytest.raises(InputError, match=r"expected all 108 atoms of .*log\.lammps, got "):
        run_of_dump(lammps(script=part))


def test_a_minimisation_has_no_times(lammps):
    with pytest.raises(InputError, match="expected dynamics, got a minimisation"):
        run_of_dump(lammps("minimize 0.0 1e-3 20 100"))


def test_a_dump_without_a_log(lammps):
    dump = lammps()
    dump.with_name("log.lammps").unlink()
    with pytest.raises(InputError, match="expected the time step, got none: there is no log"):
        run_of_dump(dump)
    run = run_of_dump(dump, interval_ps=0.01)
    assert run.record["timestep_fs"] == pytest.approx(2.0)
    content, metrics, _ = analysed(run)
    assert "density" in metrics
    assert any("taken for those of units metal" in text for text in content["problems"])
    run = run_of_dump(lammps(dump_modify="element Ar Ne time yes units yes"), log=None)
    assert run.record["problems"] == []


def test_a_failed_run_is_shown_as_one(lammps):
    dump = lammps()
    log = dump.with_name("log.lammps")
    text = log.read_text()
    log.write_text(text[: text.index("Loop time")] + "ERROR: Lost atoms: original 108 current 9\n")
    run = run_of_dump(dump)
    assert run.record["status"] == "failed"
    content, _, _ = analysed(run)
    assert content["violations"][0]["criterion"] == "lammps-error"


def test_a_directory_with_a_dump_and_a_log(lammps):
    dump = lammps()
    dump.with_name("log.lammps").rename(dump.with_name("argon.out"))
    (run,) = runs_at(dump.parent)
    assert run.log.samefile(dump.with_name("argon.out"))
    (again,) = runs_at(dump.parent)  # its record is made again: the files may have grown
    assert again.record == run.record
    for name in ("x.log", "y.log"):
        dump.with_name(name).write_text("LAMMPS (22 Jul 2025)\n")
    (dump.parent / "d" / "run.json").unlink()
    with pytest.raises(InputError, match=r"expected one log, got argon\.out, x\.log, y\.log"):
        runs_at(dump.parent)
    dump.with_name("e.lammpstrj").write_text(dump.read_text())
    with pytest.raises(InputError, match=r"expected one dump, got d\.lammpstrj, e\.lammpstrj"):
        runs_at(dump.parent)
    with pytest.raises(InputError, match=r"--structure: not allowed with a LAMMPS dump"):
        runs_at(dump, GivenOptions(structure="start.data"))


def test_results_do_not_replace_another_run(lammps, one_run):
    dump = lammps()
    with pytest.raises(InputError, match="expected a free name for the results, got the directory"):
        run_of_dump(dump, out=one_run)
    (dump.parent / "d").write_text("a file")
    assert run_of_dump(dump).directory == dump.parent / "d.lammpstrj.analysis"


@pytest.fixture
def one_run(tmp_path):
    (tmp_path / "other").mkdir()
    content = {"status": "completed", "ensemble": "nve", "timestep_fs": 1.0, "steps": 1}
    content |= {"n_atoms": 1, "elements": ["Ar"]}
    (tmp_path / "other" / "run.json").write_text(json.dumps(content))
    return tmp_path / "other"


def test_the_command_line(lammps, tmp_path):
    dump = lammps(columns="id type x y z", dump_modify="")
    command = ["analyse", dump, "--log", dump.with_name("log.lammps"), "--elements", "Ar Ne"]
    result = CliRunner().invoke(app, [str(word) for word in (*command, "--out", tmp_path / "r")])
    assert result.exit_code == 0, result.exception
    assert (tmp_path / "r" / RESULT).is_file()
    assert f"{tmp_path / 'r'}: analysed" in result.output


@pytest.mark.parametrize(
    ("fixes", "ensemble"),
    [
        ("nve", "nve"),
        ("nve/omp print ave/time dt/reset", "nve"),
        ("nve momentum", "unknown"),
        ("nvt", "nvt"),
        ("nvt/kk momentum halt", "nvt"),
        ("nve langevin", "nvt"),
        ("nve temp/csvr halt", "nvt"),
        ("npt momentum", "npt"),
        ("nve temp/berendsen press/berendsen", "npt"),
        ("nph", "unknown"),
        ("nvt nve", "unknown"),
        ("nve gcmc", "unknown"),
        ("nve deform", "unknown"),
        ("langevin", "unknown"),
        ("", "unknown"),
    ],
)
def test_ensembles_of_fixes(tmp_path, fixes, ensemble):
    lines = [f"fix f{i} all {style} 1 2 3" for i, style in enumerate(fixes.split())]
    text = "\n".join(["units metal", "fix x all nvt", "unfix x", *lines, "run 5", TABLE])
    (tmp_path / "log").write_text(text)
    (stage,) = read_stages(tmp_path / "log")
    assert stage.ensemble == ensemble


TABLE = "Per MPI rank memory allocation (min/avg/max) = 3\n Step Temp\n 0 1\nLoop time of 1 on"


def test_a_ramp_is_one_stage_whose_target_is_its_highest_temperature(lammps):
    ramp = "fix move all nvt temp 1 60 0.1\nrun 20\nfix move all nvt temp 60 300 0.1\nrun 20"
    run = run_of_dump(lammps(ramp))
    assert run.record["temperature_K"] == 300.0
    assert (run.record["first_run"], run.record["problems"]) == (0, [])
    langevin = "fix move all nve\nfix bath all langevin 40 90 0.1 7\nrun 20"
    assert run_of_dump(lammps(langevin)).record["temperature_K"] == 90.0
    assert run_of_dump(lammps()).record["temperature_K"] is None


def test_conditions_follow_the_commands(tmp_path):
    text = f"""LAMMPS (22 Jul 2025)
units real
variable dt index 2.0
timestep ${{dt}}
timestep 2.0
pair_style hybrid/overlay egraff zbl 1 2
pair_coeff * * egraff ${{model}} O H
pair_coeff * * egraff a.pt b.pt O NULL
pair_coeff 1 2 zbl 8 1
fix move all nve # as
  fix style: nvt, fix ID: move
if "1 == 1" then "fix other all nvt"
minimize 0 0 1 1
{TABLE} 1 procs for 1 steps with 2 atoms
run 3
WARNING: none
{TABLE} 1 procs for 1 steps with 2 atoms
Per MPI rank memory allocation (min/avg/max) = 3
"""
    (tmp_path / "log").write_text(text)
    models = ("a.pt", "b.pt")
    expected = Stage("minimize", "real", 2.0, ("nve",), False, models, ("O", "NULL"))
    first, second = read_stages(tmp_path / "log")
    assert first == expected
    assert second.command == "run"
