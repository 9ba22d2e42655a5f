# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs of the real LAMMPS, with Lennard-Jones in place of a model."""

import errno
import json

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule

from egraff.errors import OutputError
from egraff.lammps import launch
from egraff.lammps.run_record import read_record
from egraff.statistics import mean_with_error
from tests.lammps.conftest import SIGMA_ANG, lennard_jones

BOLTZMANN = 8.617343e-5  # LAMMPS's own value, eV/K


def argon(repeat=(2, 2, 2), rattle=0.1):
    atoms = bulk("Ar", "fcc", a=5.3, cubic=True) * repeat
    atoms.rattle(rattle, seed=4)
    return atoms


def turned(atoms, seed=5):
    """Return the same structure in another frame, with its cell as it then lies in space."""
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    rotation *= np.sign(np.linalg.det(rotation))
    atoms = atoms.copy()
    atoms.set_cell(atoms.cell.array @ rotation)
    atoms.positions = atoms.positions @ rotation
    return atoms


def skewed():
    """Return a lattice with tilts beyond half a box, whose atoms lie partly outside it."""
    atoms = argon((2, 2, 1))
    atoms.set_cell([[10.6, 0, 0], [21.2, 10.6, 0], [-10.6, 10.6, 5.3]])
    atoms.positions += [7.0, -9.0, 1.0]
    return atoms


def left_handed():
    atoms = argon((2, 1, 2))
    atoms.set_cell(atoms.cell.array[[1, 0, 2]])
    return turned(atoms)


def slab():
    atoms = argon((2, 2, 1))
    atoms.pbc = [True, True, False]
    return turned(atoms)


def wire():
    atoms = argon((1, 2, 1))
    atoms.pbc = [False, True, False]
    return atoms


STRUCTURES = {
    "crystal": argon,
    "general triclinic": lambda: turned(argon((2, 1, 1))),
    "tilts beyond half a box": skewed,
    "left-handed": left_handed,
    "cell much smaller than the cutoff": lambda: bulk("Ar", "fcc", a=5.3),
    "slab": slab,
    "wire": wire,
    "cluster": lambda: Atoms("Ar4", np.eye(4)[:, :3] * SIGMA_ANG * 1.2),
}


@pytest.mark.parametrize(("name", "ranks"), [*((name, 2) for name in STRUCTURES), ("crystal", 1)])
def test_energy_of_any_cell_is_the_sum_over_pairs(run_lj, name, ranks):
    atoms = STRUCTURES[name]()
    _, rows, _ = run_lj(atoms=atoms, steps=0, velocities="zero", ranks=ranks)

    assert rows[0]["PotEng"] == pytest.approx(lennard_jones(atoms), rel=1e-10)


def test_velocities_of_the_file_keep_their_kinetic_energy(run_lj):
    """In a rotated cell, so that a velocity left unrotated would show in the pressure tensor."""
    atoms = turned(argon((2, 1, 1)))
    atoms.set_velocities(np.random.default_rng(1).normal(size=(8, 3)) * 0.02)
    _, rows, _ = run_lj(atoms=atoms, steps=0, velocities="structure")

    assert rows[0]["KinEng"] == pytest.approx(atoms.get_kinetic_energy(), rel=1e-6)


def test_drawn_velocities_have_the_temperature_exactly(run_lj):
    _, rows, _ = run_lj(steps=0, temperature=57.0)

    assert rows[0]["Temp"] == pytest.approx(57.0, rel=1e-10)
    assert rows[0]["KinEng"] == pytest.approx(0.5 * 3 * 107 * BOLTZMANN * 57.0, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "thermostat", "dof"),
    [
        ("CH3CH2OH", "csvr", 3 * 9 - 6),
        ("CH3CH2OH", "nose-hoover", 3 * 9 - 6),
        ("CH3CH2OH", "langevin", 3 * 9 - 3),
        ("CO", "csvr", 3 * 2 - 5),
    ],
)
def test_temperature_of_a_molecule_counts_what_moves(run_lj, name, thermostat, dof):
    atoms = molecule(name)
    atoms.positions *= 3.0
    _, rows, _ = run_lj(
        atoms=atoms, ensemble="nvt", thermostat=thermostat, timestep_fs=1.0, steps=400
    )

    for row in rows:
        assert 2.0 * row["KinEng"] / (BOLTZMANN * row["Temp"]) == pytest.approx(dof, rel=1e-6)


@pytest.mark.parametrize("thermostat", ["nose-hoover", "csvr", "langevin"])
def test_thermostats_reach_the_temperature(run_lj, thermostat):
    """From rest at the lattice sites; potential energy takes half of what the bath gives."""
    _, rows, _ = run_lj(
        ensemble="nvt",
        thermostat=thermostat,
        thermostat_damp_ps=0.1,
        velocities="zero" if thermostat == "langevin" else "draw",
        equilibrate_steps=500,
        steps=2000,
    )
    mean = np.mean([row["Temp"] for row in rows])

    # 321 degrees of freedom fluctuate by 8 %; some 50 independent samples leave about 1 %
    assert mean == pytest.approx(40.0, rel=0.05)


def test_csvr_holds_the_temperature_of_a_molecule(run_lj):
    """The mean is the target, not 24/21 or 21/24 of it, as wrong degrees of freedom would give."""
    atoms = molecule("CH3CH2OH")
    atoms.positions *= 3.0
    _, rows, _ = run_lj(
        atoms=atoms,
        ensemble="nvt",
        thermostat="csvr",
        thermostat_damp_ps=0.02,
        temperature=10.0,
        timestep_fs=1.0,
        equilibrate_steps=10_000,
        steps=200_000,
        dump_every=0,
        restart_every=0,
    )
    mean = mean_with_error(np.array([row["Temp"] for row in rows]))

    assert mean.error < 0.01 * 10.0
    assert abs(mean.value - 10.0) < 4.0 * mean.error


def test_nve_conserves_energy_and_momentum(run_lj):
    _, rows, directory = run_lj(steps=500, dump_every=500)
    energies = np.array([row["TotEng"] for row in rows])
    last = ase.io.read(directory / "dump.lammpstrj", index=-1, format="lammps-dump-text")

    # the potential is cut, not shifted: atoms that cross 6 A cost up to 1.3 meV each
    assert np.ptp(energies) < 0.1 * rows[0]["KinEng"]
    assert np.abs(last.get_velocities().mean(axis=0)).max() < 1e-9


@pytest.mark.parametrize("barostat", ["iso", "aniso", "tri"])
def test_npt_compresses(run_lj, barostat):
    record, rows, _ = run_lj(
        ensemble="npt", barostat=barostat, pressure_bar=5000.0, barostat_damp_ps=0.2, steps=500
    )

    assert record.settings.target_pressure_bar == 5000.0
    assert rows[-1]["Volume"] < 0.97 * rows[0]["Volume"]
    shape = [rows[-1][name] for name in ("Lx", "Ly", "Lz")]
    assert (np.ptp(shape) < 1e-9) == (barostat == "iso")
    assert ("Xy" in rows[0]) == (barostat == "tri")


def test_two_ranks_follow_the_same_path(run_lj):
    _, one, _ = run_lj(out="one", steps=30)
    _, two, _ = run_lj(out="two", steps=30, ranks=2)

    for first, second in zip(one, two, strict=True):
        assert first["PotEng"] == pytest.approx(second["PotEng"], rel=1e-9)


def test_a_drifting_molecule_is_never_lost(run_lj):
    """It leaves its box (10 A of room) four times over; its centre moves by velocity times time."""
    atoms = molecule("CO")
    atoms.positions *= 3.0
    atoms.set_velocities(np.full((2, 3), 0.1 / units.fs))  # 0.1 A/fs along each axis
    _, _, directory = run_lj(
        atoms=atoms, velocities="structure", steps=50, timestep_fs=8.0, dump_every=50, ranks=2
    )
    first, last = (
        np.loadtxt(directory / "dump.lammpstrj", skiprows=skip, max_rows=2, usecols=(3, 4, 5))
        for skip in (9, 20)
    )
    mass = atoms.get_masses()[:, None]
    moved = ((last - first) * mass).sum(axis=0) / mass.sum()
    np.testing.assert_allclose(moved, 40.0, atol=1e-6)


def test_frames_hold_elements_images_velocities_and_forces(run_lj):
    _, rows, directory = run_lj(atoms=argon(), steps=40, dump_every=20)
    lines = (directory / "dump.lammpstrj").read_text().splitlines()

    assert lines[8] == "ITEM: ATOMS id type element x y z ix iy iz vx vy vz fx fy fz"
    assert [line for line in lines if line.isdigit()] == ["0", "32", "20", "32", "40", "32"]
    assert lines[9].split()[:3] == ["1", "1", "Ar"]
    table = np.array([line.split()[9:12] for line in lines[9:41]], dtype=float)
    kinetic = 0.5 * 39.948 * (table**2).sum() * 1.0364269e-4
    assert kinetic == pytest.approx(rows[0]["KinEng"], rel=1e-4)


def test_record_says_what_was_run(run_lj, folder):
    returned, rows, directory = run_lj(ensemble="nvt", ranks=2, steps=40, equilibrate_steps=10)
    record = json.loads((directory / "run.json").read_text())

    assert read_record(directory) == returned
    assert record == returned.as_dict()
    assert record["status"] == "completed"
    assert record["error"] is None
    assert record["model"] == str(folder / "model.egraff.pt")
    assert record["elements"] == ["Ar"]
    assert (record["ensemble"], record["temperature_K"]) == ("nvt", 40.0)
    assert (record["steps"], record["steps_done"], record["timestep_fs"]) == (40, 40, 4.0)
    assert (record["dump_every"], record["thermo_every"]) == (20, 10)
    assert (record["ranks"], record["threads"], record["n_atoms"]) == (2, 1, 108)
    assert record["units"] == "metal"
    assert record["pbc"] == [True, True, True]
    assert record["wall_time_s"] > 0
    assert record["ns_per_day"] > 0
    assert record["versions"]["lammps"]
    assert [row["Step"] for row in rows] == list(range(0, 41, 10))
    assert sorted(path.name for path in directory.iterdir()) == [
        ".lock",
        "dump.lammpstrj",
        "final.data",
        "in.lammps",
        "log.equilibrate",
        "log.lammps",
        "model.egraff.pt",
        "restarts",
        "run.json",
        "screen.log",
        "structure.data",
    ]


def test_replicas_of_the_cell(run_lj):
    """The energy of twelve copies is twelve times the energy."""
    atoms = argon((1, 1, 1))
    _, rows, _ = run_lj(atoms=atoms, steps=0, velocities="zero", replicate=(3, 2, 2))

    assert rows[0]["PotEng"] == pytest.approx(12 * lennard_jones(atoms), rel=1e-10)


def test_a_full_disk_ends_the_run_with_one_line(run_lj, monkeypatch, tmp_path):
    def no_room(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(launch, "launch", no_room)
    with pytest.raises(OutputError, match=r"screen\.log: expected room for it, got: No space left"):
        run_lj()
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["status"] == "failed"  # and --resume goes on from there
