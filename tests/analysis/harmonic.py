# SPDX-License-Identifier: GPL-2.0-or-later
"""A harmonic crystal under a Langevin thermostat, solved exactly: no time step, no equilibration.

Springs along the bonds hold the neighbours on an fcc lattice together. Each normal mode is
a Langevin oscillator, whose position and velocity are drawn from their exact joint distribution.
The springs weaken with the volume by one Grueneisen parameter for all modes, so that pressure
follows from kinetic and potential energy.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from ase.build import bulk
from scipy.linalg import expm

from egraff.neighbours import find_edges
from egraff.units import BOLTZMANN_EV_PER_K
from tests.analysis.dumps import frame_text, log_text, write_run

TEMPERATURE_K, SPRING, FRICTION, GRUENEISEN = 40.0, 0.02, 5.0, 2.5  # K, eV/A^2, 1/ps
STEP_PS, N_ROWS, ROWS_PER_FRAME = 0.04, 600, 6
ELEMENTS = ["Ar", "Ne"]
_EV_IN_AMU_A2_PER_PS2 = 9648.533
_BAR_PER_EV_PER_A3 = 1.602176634e6
_KT = BOLTZMANN_EV_PER_K * TEMPERATURE_K


def crystal():
    """Argon with a quarter of neon on the sites of 27 cubic cells."""
    atoms = bulk("Ar", "fcc", a=5.2, cubic=True) * (3, 3, 3)
    atoms.numbers[np.random.default_rng(1).permutation(108)[:27]] = 10
    return atoms


def exact() -> dict[str, float]:
    """Means over infinite time; the centre of mass is at rest."""
    atoms = crystal()
    modes, volume = 3 * (len(atoms) - 1), atoms.get_volume()
    per_kinetic, per_potential = 2.0 / 3.0, 2.0 * GRUENEISEN - 2.0 / 3.0
    to_bar = _BAR_PER_EV_PER_A3 / volume
    return {
        "temperature": TEMPERATURE_K,
        "temperature_deviation": 0.0,
        "temperature[Ar]": TEMPERATURE_K,
        "temperature[Ne]": TEMPERATURE_K,
        "temperature_excess[Ar]": 0.0,
        "temperature_excess[Ne]": 0.0,
        "pressure": 0.5 * modes * _KT * (per_kinetic + per_potential) * to_bar,
        # kinetic and potential energy are independent, each with a variance of kT / 2 per mode
        "pressure_fluctuation": np.sqrt(0.5 * modes)
        * _KT
        * np.hypot(per_kinetic, per_potential)
        * to_bar,
    }


@cache
def _modes():
    """Angular frequencies, 1/ps, and mass-weighted vectors of all modes but translations."""
    atoms = crystal()
    n = len(atoms)
    edges = find_edges(atoms.positions, np.array(atoms.cell), (True,) * 3, r_max=4.0)
    hessian = np.zeros((n, 3, n, 3))
    for i, j, vector in zip(*edges.index, edges.vector, strict=True):
        block = SPRING * np.outer(vector, vector) / (vector @ vector)
        hessian[i, :, i, :] += block
        hessian[i, :, j, :] -= block
    root = np.repeat(np.sqrt(atoms.get_masses()), 3)
    square, vectors = np.linalg.eigh(hessian.reshape(3 * n, 3 * n) / np.outer(root, root))
    omega = np.sqrt(_EV_IN_AMU_A2_PER_PS2 * square[3:])
    return omega, vectors[:, 3:] / root[:, None]


@cache
def _propagators():
    """Of every mode: what a step makes of (q, v), and the Cholesky factor of its kicks."""
    omega, _ = _modes()
    kt = _KT * _EV_IN_AMU_A2_PER_PS2
    steps, kicks = [], []
    for w in omega:
        step = expm(STEP_PS * np.array([[0.0, 1.0], [-(w**2), -FRICTION]]))
        variance = np.diag([kt / w**2, kt])
        steps.append(step)
        kicks.append(np.linalg.cholesky(variance - step @ variance @ step.T))
    return np.array(steps), np.array(kicks)


def simulate(directory, seed: int):
    """Write 24 ps of it as a run of LAMMPS would be."""
    atoms, random = crystal(), np.random.default_rng(seed)
    omega, vectors = _modes()
    steps, kicks = _propagators()
    kt = _KT * _EV_IN_AMU_A2_PER_PS2
    state = np.sqrt(kt) * random.normal(size=(len(omega), 2)) / np.stack([omega, omega**0], axis=1)
    rows, frames = [], []
    volume, sites = atoms.get_volume(), atoms.get_scaled_positions()
    n_dof = len(omega)
    for row in range(N_ROWS + 1):
        potential = 0.5 * np.sum((omega * state[:, 0]) ** 2) / _EV_IN_AMU_A2_PER_PS2
        kinetic = 0.5 * np.sum(state[:, 1] ** 2) / _EV_IN_AMU_A2_PER_PS2
        pressure = (2.0 / 3.0 * kinetic + (2.0 * GRUENEISEN - 2.0 / 3.0) * potential) / volume
        temperature = 2.0 * kinetic / (n_dof * BOLTZMANN_EV_PER_K)
        step = 10 * row
        rows.append(
            (step, temperature, potential, kinetic, potential + kinetic)
            + (pressure * _BAR_PER_EV_PER_A3, volume)
        )
        if row % ROWS_PER_FRAME == 0:
            moved = sites + (vectors @ state[:, 0]).reshape(-1, 3) / atoms.cell.lengths()
            velocities = (vectors @ state[:, 1]).reshape(-1, 3)
            extra = dict(zip(("ix", "iy", "iz"), np.floor(moved).astype(int).T, strict=True))
            extra |= dict(zip(("vx", "vy", "vz"), velocities.T, strict=True))
            positions = (moved % 1.0) @ np.array(atoms.cell)
            symbols = atoms.get_chemical_symbols()
            frames.append(
                frame_text(step, positions, np.array(atoms.cell), elements=symbols, extra=extra)
            )
        kick = np.einsum("mij,mj->mi", kicks, random.normal(size=state.shape))
        state = np.einsum("mij,mj->mi", steps, state) + kick
    columns = ("Step", "Temp", "PotEng", "KinEng", "TotEng", "Press", "Volume")
    return write_run(
        directory,
        frames,
        log=log_text(columns, rows),
        ensemble="nvt",
        temperature_K=TEMPERATURE_K,
        timestep_fs=1e3 * STEP_PS / 10,
        steps=10 * N_ROWS,
        dump_every=10 * ROWS_PER_FRAME,
        n_atoms=len(atoms),
        elements=ELEMENTS,
        added_forces="fix langevin",
    )
