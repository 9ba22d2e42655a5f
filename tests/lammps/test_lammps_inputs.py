# SPDX-License-Identifier: GPL-2.0-or-later
"""The scripts in ``lammps_inputs/``, run as their first lines say."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from egraff.analysis.context import AnalysisContext
from egraff.analysis.own_run import run_of_dump
from egraff.analysis.pipeline import RESULT
from egraff.analysis.sources import runs_at
from egraff.errors import InputError
from egraff.export import export_torchscript
from egraff.lammps import launch
from egraff.lammps.structure import to_lammps, write_data
from tests.analysis.runs import analyse_run
from tests.conftest import tiny_nequip
from tests.lammps.conftest import log_rows

INPUTS = Path(__file__).parents[2] / "lammps_inputs"


@pytest.fixture
def lammps(exported, tmp_path):
    """Return a function that runs a script on a small LiF crystal or molecule."""
    crystal = bulk("LiF", "rocksalt", a=4.03, cubic=True)
    crystal.rattle(0.05, seed=1)
    molecule = Atoms("LiFLiF", [[0, 0, 0], [1.8, 0, 0], [2, 2, 0], [0, 1.9, 1]])
    for name, atoms in (("crystal", crystal), ("molecule", molecule)):
        write_data(tmp_path / f"{name}.data", to_lammps(atoms, ["Li", "F"]), title=name)

    def run(script, *, data="crystal", ranks=1, log=(), refused=None, **variables):
        values = {
            "model": exported("float32"),
            "data": f"{data}.data",
            "elements": "Li F",
            **variables,
        }
        words = [word for name, value in values.items() for word in ("-var", name, str(value))]
        launcher = [*launch.find_mpirun(), "-n", str(ranks)] if ranks > 1 else []
        result = subprocess.run(
            [*launcher, launch.find_lmp(), *log, "-in", INPUTS / script, *words],
            cwd=tmp_path,
            env=launch.environment(1),
            capture_output=True,
            text=True,
            timeout=120,
        )
        if refused is not None:
            assert result.returncode != 0
            assert refused in " ".join(result.stdout.split())
            return []
        assert result.returncode == 0, result.stdout[-2000:]
        assert "WARNING: pair_style egraff" not in result.stdout
        return log_rows(tmp_path / "log.lammps")

    return run


def analysed(directory, *, ensemble, timestep_fs, steps, times=None):
    """Analyse what a script wrote, as ``egraff analyse .`` does; check what it was taken for."""
    (run,) = runs_at(directory)
    assert run.record["problems"] == []
    assert run.record["ensemble"] == ensemble
    assert run.record["type_elements"] == ["Li", "F"]
    trajectory = AnalysisContext(run).universe().trajectory
    assert trajectory.steps.tolist() == steps
    if times is None:
        assert run.record["timestep_fs"] == pytest.approx(timestep_fs)
        times = np.array(steps) * timestep_fs * 1e-3
    assert trajectory.times_ps == pytest.approx(times)
    analyse_run(run)
    content = json.loads((run.directory / RESULT).read_text())
    few = ("diffusion", "vibrations")  # of which these short runs have too few frames
    assert [text for text in content["problems"] if not text.startswith(few)] == []
    assert content["violations"] == []
    return run


def steps_of_frames(path):
    lines = path.read_text().splitlines()
    return [int(lines[at + 1]) for at, line in enumerate(lines) if line == "ITEM: TIMESTEP"]


@pytest.mark.parametrize("script", ["in.nve", "in.nvt"])
@pytest.mark.parametrize("data", ["crystal", "molecule"])
def test_dynamics(lammps, exported, tmp_path, script, data):
    n_atoms, fixed = (8, 3) if data == "crystal" else (4, 6)
    molecule = "yes" if data == "molecule" else "no"
    rows = lammps(script, data=data, steps=10, every=5, T=200, molecule=molecule)

    assert [row["Step"] for row in rows] == [0, 10]
    assert rows[0]["Temp"] == pytest.approx(200.0)
    heat = rows[0]["KinEng"] / (0.5 * 8.617343e-5 * 200.0)
    assert heat == pytest.approx(3 * n_atoms - fixed, rel=1e-6)
    timestep, ensemble = (0.5, "nve") if script == "in.nve" else (1.0, "nvt")
    run = analysed(tmp_path, ensemble=ensemble, timestep_fs=timestep, steps=[0, 5, 10])
    assert run.model.samefile(exported("float32"))
    assert run.record["pbc"] == [data == "crystal"] * 3
    assert (tmp_path / "final.data").exists()


@pytest.mark.parametrize("couple", ["iso", "aniso"])
def test_npt(lammps, tmp_path, couple):
    rows = lammps("in.npt", steps=10, every=5, P=1e5, couple=couple, Pdamp=0.1)

    assert rows[-1]["Volume"] < rows[0]["Volume"]
    assert (rows[-1]["Lx"] == rows[-1]["Ly"]) == (couple == "iso")
    analysed(tmp_path, ensemble="npt", timestep_fs=1.0, steps=[0, 5, 10])


@pytest.mark.parametrize(("cell", "ranks"), [("none", 2), ("iso", 1)])
def test_relax(lammps, tmp_path, cell, ranks):
    rows = lammps("in.relax", steps=20, cell=cell, ranks=ranks)

    assert rows[-1]["PotEng"] < rows[0]["PotEng"]
    assert (rows[-1]["Lx"] == rows[0]["Lx"]) == (cell == "none")
    assert (tmp_path / "relaxed.data").exists()
    with pytest.raises(InputError, match="expected dynamics, got a minimisation"):
        runs_at(tmp_path)


def test_production_goes_on_where_it_was(lammps, tmp_path):
    options = {"log": ("-log", "none"), "every": 2, "save": 4}
    lammps("in.production", steps=8, **options)
    assert (tmp_path / "restart.latest").exists()
    lammps("in.production", steps=14, **options)

    assert steps_of_frames(tmp_path / "dump.lammpstrj") == list(range(0, 15, 2))
    times = {row["Step"]: row["Time"] for row in log_rows(tmp_path / "log.lammps")}
    assert times[14] == pytest.approx(0.014)
    analysed(tmp_path, ensemble="nvt", timestep_fs=1.0, steps=list(range(0, 15, 2)))
    assert (tmp_path / "final.data").exists()


def test_production_stops_when_asked(lammps, tmp_path):
    (tmp_path / "stop").touch()
    lammps("in.production", steps=5000, log=("-log", "none"))

    assert (tmp_path / "restart.latest").exists()
    assert not (tmp_path / "final.data").exists()


def test_melt_quench_ends_in_a_glass_at_the_temperature_asked_for(lammps, tmp_path):
    stages = {"heat": 10, "melt": 10, "quench": 20, "hold": 10}
    rows = lammps("in.melt_quench", Tmelt=900, T=100, every=10, **stages)

    assert "cooling at 40000 K/ps" in (tmp_path / "log.lammps").read_text()
    assert rows[-1]["Step"] == sum(stages.values())
    analysed(tmp_path, ensemble="npt", timestep_fs=1.0, steps=list(range(0, 51, 10)))
    for stage in ("melt", "cooled", "glass"):
        assert (tmp_path / f"{stage}.data").exists()


@pytest.mark.parametrize(("limit", "left"), [(1e3, "final.data"), (-1.0, "uncertain.data")])
def test_committee_stops_at_the_limit(lammps, exported, tmp_path, limit, left):
    second = tmp_path / "second.egraff.pt"
    export_torchscript(tiny_nequip("float32", energy_scale=[0.8, 0.8]), second)
    models = f"{exported('float32')} {second}"
    lammps("in.committee", models=models, T=200, steps=20, look=5, every=10, limit=limit)

    step = 20 if limit > 0 else 5
    assert f"timestep = {step}," in (tmp_path / left).read_text()
    assert not (tmp_path / {"final.data": "uncertain.data"}.get(left, "final.data")).exists()
    step, largest, smallest, mean = np.loadtxt(tmp_path / "egraff_deviation.txt", ndmin=2)[0]
    assert step == 0
    assert 0 < smallest < mean < largest
    run = run_of_dump(tmp_path / "dump.lammpstrj")
    assert run.record["committee"] == models.split()
    assert run.model is None  # the mean drives
    assert "a committee of 2 models, whose mean drives: replay" in run.record["problems"][0]


def test_zbl_adds_the_repulsion_of_nuclei(lammps, tmp_path):
    """The hit atom starts with the recoil energy, less what the whole cell must not carry."""
    rows = lammps("in.zbl", charges="3,9", recoil=30, T=1e-6, steps=50, every=10)
    times = [row["Time"] for row in rows]
    steps = list(range(0, 51, 10))
    assert [row["Step"] for row in rows] == steps
    analysed(tmp_path, ensemble="nve", timestep_fs=None, steps=steps, times=times)
    alone = lammps("in.nve", T=1e-6, steps=0)

    # 2 A apart, nothing is within `outer`
    assert rows[0]["PotEng"] == pytest.approx(alone[0]["PotEng"], rel=1e-10)
    kept = 1.0 - 6.94 / (4 * (6.94 + 18.998))
    assert rows[0]["KinEng"] == pytest.approx(30.0 * kept, rel=1e-4)
    assert rows[1]["Dt"] < 0.001


def test_conductivity_is_the_integral_of_the_correlation(lammps, tmp_path):
    times = {"warm": 10, "steps": 200, "sample": 2, "points": 20, "report": 100}
    lammps("in.conductivity", T=300, centroid="approximate", **times)

    step, kelvin, *kappa = np.loadtxt(tmp_path / "conductivity.txt")[-1]
    correlation = np.loadtxt(tmp_path / "correlation.txt", skiprows=4)
    integral = np.trapezoid(correlation[:, 3:], dx=2 * 1e-15, axis=0)  # (eV A/ps)^2 s
    volume = 4.03**3  # A^3
    expected = 1.602176634e-19**2 * 1e4 * integral  # (J m/s)^2 s
    expected /= volume * 1e-30 * 1.380649e-23 * kelvin**2
    assert step == 200
    assert kappa == pytest.approx(expected, rel=1e-3)


def test_conductivity_of_message_passing_is_refused_at_once(lammps, tmp_path):
    refusal = "centroid_stress: expected a model without message passing"
    lammps("in.conductivity", warm=10**9, refused=refusal)
    assert not (tmp_path / "conductivity.txt").exists()


def test_imposed_flux_over_gradient_is_the_conductivity(lammps, tmp_path):
    times = {"warm": 10, "settle": 20, "steps": 200, "swap": 5, "report": 100}
    lammps("in.conductivity_nemd", repeat="1 1 10", T=300, **times)

    step, gradient, kappa = np.loadtxt(tmp_path / "conductivity.txt")[-1]
    slabs = np.loadtxt(tmp_path / "profile.txt", skiprows=4)
    assert len(slabs) == 20
    kelvin = slabs[:, 3]
    length = 40.3
    expected = (kelvin[8] - kelvin[2] + kelvin[12] - kelvin[18]) / 2 / (0.3 * length)
    assert step == 200
    assert gradient == pytest.approx(expected, rel=1e-3)
    assert kappa * gradient > 0


def test_every_script_is_explained():
    readme = (INPUTS / "README.md").read_text()
    scripts = sorted(path.name for path in INPUTS.glob("in.*"))

    assert scripts
    for script in scripts:
        assert f"`{script}`" in readme
