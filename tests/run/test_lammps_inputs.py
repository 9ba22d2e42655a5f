# SPDX-License-Identifier: GPL-2.0-or-later
"""The scripts in ``lammps_inputs/``, run as their first lines say."""

import subprocess
from pathlib import Path

import pytest
from ase import Atoms
from ase.build import bulk

from egraff.lammps import launch
from egraff.lammps.structure import to_lammps, write_data
from tests.run.conftest import log_rows

INPUTS = Path(__file__).parents[2] / "lammps_inputs"


@pytest.fixture
def lammps(exported, tmp_path):
    """Return a function that runs a script on a small LiF crystal or molecule."""
    crystal = bulk("LiF", "rocksalt", a=4.03, cubic=True)
    crystal.rattle(0.05, seed=1)
    molecule = Atoms("LiFLiF", [[0, 0, 0], [1.8, 0, 0], [2, 2, 0], [0, 1.9, 1]])
    for name, atoms in (("crystal", crystal), ("molecule", molecule)):
        write_data(tmp_path / f"{name}.data", to_lammps(atoms, ["Li", "F"]), title=name)

    def run(script, *, data="crystal", ranks=1, log=(), **variables):
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
        assert result.returncode == 0, result.stdout[-2000:]
        return log_rows(tmp_path / "log.lammps")

    return run


def steps_of_frames(path):
    lines = path.read_text().splitlines()
    return [int(lines[at + 1]) for at, line in enumerate(lines) if line == "ITEM: TIMESTEP"]


@pytest.mark.parametrize("script", ["in.nve", "in.nvt"])
@pytest.mark.parametrize("data", ["crystal", "molecule"])
def test_dynamics(lammps, tmp_path, script, data):
    n_atoms, fixed = (8, 3) if data == "crystal" else (4, 6)
    molecule = "yes" if data == "molecule" else "no"
    rows = lammps(script, data=data, steps=10, every=5, T=200, molecule=molecule)

    assert [row["Step"] for row in rows] == [0, 10]
    assert rows[0]["Temp"] == pytest.approx(200.0)
    heat = rows[0]["KinEng"] / (0.5 * 8.617343e-5 * 200.0)
    assert heat == pytest.approx(3 * n_atoms - fixed, rel=1e-6)
    assert steps_of_frames(tmp_path / "dump.lammpstrj") == [0, 5, 10]
    assert (tmp_path / "final.data").exists()


@pytest.mark.parametrize("couple", ["iso", "aniso"])
def test_npt(lammps, couple):
    rows = lammps("in.npt", steps=10, P=1e5, couple=couple, Pdamp=0.1)

    assert rows[-1]["Volume"] < rows[0]["Volume"]
    assert (rows[-1]["Lx"] == rows[-1]["Ly"]) == (couple == "iso")


@pytest.mark.parametrize(("cell", "ranks"), [("none", 2), ("iso", 1)])
def test_relax(lammps, tmp_path, cell, ranks):
    rows = lammps("in.relax", steps=20, cell=cell, ranks=ranks)

    assert rows[-1]["PotEng"] < rows[0]["PotEng"]
    assert (rows[-1]["Lx"] == rows[0]["Lx"]) == (cell == "none")
    assert (tmp_path / "relaxed.data").exists()


def test_production_goes_on_where_it_was(lammps, tmp_path):
    options = {"log": ("-log", "none"), "every": 2, "save": 4}
    lammps("in.production", steps=8, **options)
    assert (tmp_path / "restart.latest").exists()
    lammps("in.production", steps=14, **options)

    assert steps_of_frames(tmp_path / "dump.lammpstrj") == list(range(0, 15, 2))
    times = {row["Step"]: row["Time"] for row in log_rows(tmp_path / "log.lammps")}
    assert times[14] == pytest.approx(0.014)
    assert (tmp_path / "final.data").exists()


def test_production_stops_when_asked(lammps, tmp_path):
    (tmp_path / "stop").touch()
    lammps("in.production", steps=5000, log=("-log", "none"))

    assert (tmp_path / "restart.latest").exists()
    assert not (tmp_path / "final.data").exists()


def test_every_script_is_explained():
    readme = (INPUTS / "README.md").read_text()
    scripts = sorted(path.name for path in INPUTS.glob("in.*"))

    assert scripts == ["in.npt", "in.nve", "in.nvt", "in.production", "in.relax"]
    for script in scripts:
        assert f"`{script}`" in readme
