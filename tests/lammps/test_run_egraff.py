# SPDX-License-Identifier: GPL-2.0-or-later
"""``egraff run`` with ``pair_style egraff`` and an exported model."""

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from egraff.calculator import EgraffCalculator
from egraff.lammps.run import resume_md, run_md
from egraff.lammps.run_settings import make_settings
from tests.lammps.conftest import log_rows
from tests.lammps.salts import salt


@pytest.fixture
def run(exported, tmp_path):
    """Return a function that runs the float64 model from a structure."""

    def start(atoms, **values):
        ase.io.write(tmp_path / "start.traj", atoms)
        settings = make_settings(
            {
                "model": exported("float64"),
                "structure": tmp_path / "start.traj",
                "steps": 20,
                "timestep_fs": 0.5,
                "dump_every": 5,
                "thermo_every": 5,
                "device": "cpu",
                **values,
            }
        )
        record = run_md(settings, tmp_path / "run")
        return record, log_rows(tmp_path / "run" / "log.lammps"), tmp_path / "run"

    return start


def primitive():
    atoms = bulk("LiF", "rocksalt", a=4.03)
    atoms.rattle(0.05, seed=1)
    return atoms


def slab():
    atoms = salt()
    atoms.pbc = [True, True, False]
    return atoms


@pytest.mark.parametrize(
    ("atoms", "ranks"),
    [
        (salt(), 2),
        (primitive(), 1),
        (slab(), 1),
        (Atoms("LiFLiF", [[0, 0, 0], [1.8, 0, 0], [2, 2, 0], [0, 1.9, 1]]), 1),
    ],
    ids=["crystal", "cell smaller than the cutoff", "slab", "molecule"],
)
def test_every_frame_is_what_the_calculator_gives(run, exported, atoms, ranks):
    """Energies and forces along a trajectory, from the files alone."""
    record, rows, directory = run(atoms, ensemble="nvt", thermostat="csvr", ranks=ranks)
    frames = ase.io.read(directory / "dump.lammpstrj", index=":", format="lammps-dump-text")
    calculator = EgraffCalculator(exported("float64"))

    assert record.status == "completed"
    assert len(frames) == len(rows) == 5
    for frame, row in zip(frames, rows, strict=True):
        copy = Atoms(
            atoms.symbols, frame.positions, cell=frame.cell, pbc=atoms.pbc, calculator=calculator
        )
        assert row["PotEng"] == pytest.approx(copy.get_potential_energy(), abs=1e-6)
        np.testing.assert_allclose(frame.get_forces(), copy.get_forces(), atol=1e-6)


def test_nve_conserves_the_energy(run):
    _, rows, _ = run(salt(), steps=100)
    energies = np.array([row["TotEng"] for row in rows])

    assert np.ptp(energies) < 2e-3 * np.ptp([row["KinEng"] for row in rows])


def test_npt_and_resume(run):
    record, _, directory = run(salt(), ensemble="npt", steps=10)
    record = resume_md({"steps": 20, "ranks": 2}, directory)
    rows = log_rows(directory / "log.lammps")

    assert record.status == "completed"
    assert [row["Step"] for row in rows] == [0, 5, 10, 15, 20]
    assert rows[-1]["Volume"] != rows[0]["Volume"]
