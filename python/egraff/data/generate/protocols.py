# SPDX-License-Identifier: GPL-2.0-or-later
"""What is simulated for each embedded data set: system, method, runs, seeds. No code that runs it.

Every split comes from its own run with its own seed, so no frame of a validation or test file lies
on the trajectory that the training frames were taken from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ase import Atoms
from ase.build import bulk, molecule


@dataclass(frozen=True, kw_only=True)
class Run:
    """One Langevin trajectory, of which every ``steps_per_frame``-th step becomes a frame.

    Attributes:
        split: name of the file the frames go to.
        seed: seed of the starting displacements, the starting velocities and the thermostat.
        temperature_K: temperature of the thermostat.
        friction_per_fs: Langevin friction, 1/fs.
        equilibration_steps: steps that are thrown away first.
        steps_per_frame: steps between two frames.
        n_frames: frames kept.
        time_ordered: the frames are a trajectory: they carry ``time_fs`` and momenta.
    """

    split: str
    seed: int
    temperature_K: float
    friction_per_fs: float
    equilibration_steps: int
    steps_per_frame: int
    n_frames: int
    time_ordered: bool = False


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One embedded data set.

    Attributes:
        title: what it is, in words.
        method: Hamiltonian, as `tblite` names it.
        accuracy: `tblite` convergence setting; 1 is its default, smaller is tighter. The values
            used leave errors below 1e-9 eV in the energy and 1e-6 eV/A in the forces.
        timestep_fs: molecular-dynamics time step.
        build: makes the starting structure.
        multiplicities: 2S+1 of the ground state of each isolated atom.
        runs: the trajectories.
    """

    title: str
    method: str
    accuracy: float
    timestep_fs: float
    build: Callable[[], Atoms]
    multiplicities: dict[str, int]
    runs: tuple[Run, ...]


def _ethanol() -> Atoms:
    return molecule("CH3CH2OH")


def _rock_salt() -> Atoms:
    # About the lattice constant at which GFN1-xTB has no pressure at 600 K (experiment: 5.64 A at
    # 300 K): the manifest holds the mean static pressure of each run, -0.0013 eV/A^3 along the
    # trajectory, to which motion adds N k T / V = 0.0024 eV/A^3.
    return bulk("NaCl", "rocksalt", a=5.58, cubic=True).repeat((2, 2, 2))


# Ethanol: 0.5 fs resolves the O-H stretch (period 9 fs). 150 fs between frames at a friction of
# 1/(100 fs) leaves no correlation in the energy. The reference trajectory has half the friction,
# which broadens spectral lines less, and a frame each 2 fs: that far apart, trapezoids over the
# forces still give the energy changes to 1 %.
_MOLECULE_SAMPLING = {
    "friction_per_fs": 0.01,
    "equilibration_steps": 4000,
    "steps_per_frame": 300,
}

MOLECULE = Protocol(
    title="ethanol, C2H6O, 9 atoms, in vacuum",
    method="GFN2-xTB",
    accuracy=0.01,
    timestep_fs=0.5,
    build=_ethanol,
    multiplicities={"H": 2, "C": 3, "O": 3},
    runs=(
        Run(split="train", seed=11, temperature_K=300.0, n_frames=300, **_MOLECULE_SAMPLING),
        Run(split="val", seed=12, temperature_K=300.0, n_frames=50, **_MOLECULE_SAMPLING),
        Run(split="test", seed=13, temperature_K=300.0, n_frames=100, **_MOLECULE_SAMPLING),
        Run(split="test_600K", seed=14, temperature_K=600.0, n_frames=100, **_MOLECULE_SAMPLING),
        Run(
            split="trajectory",
            seed=15,
            temperature_K=300.0,
            friction_per_fs=0.005,
            equilibration_steps=8000,
            steps_per_frame=4,
            n_frames=2500,
            time_ordered=True,
        ),
    ),
)

# Rock salt: the stiffest phonon (8 THz) has a period of 126 fs, 25 steps of 5 fs. A step costs
# about two seconds on one core, which limits these runs to a picosecond or two: frames of one file
# are correlated (the manifest says how much), the files are independent of each other.
_CRYSTAL_SAMPLING = {
    "friction_per_fs": 0.01,
    "equilibration_steps": 50,
    "steps_per_frame": 3,
}

CRYSTAL = Protocol(
    title="rock salt, NaCl, 64 atoms, periodic cube of 11.16 A (Gamma point)",
    method="GFN1-xTB",
    accuracy=0.1,
    timestep_fs=5.0,
    build=_rock_salt,
    multiplicities={"Na": 2, "Cl": 2},
    runs=(
        Run(split="train", seed=21, temperature_K=600.0, n_frames=100, **_CRYSTAL_SAMPLING),
        Run(split="val", seed=22, temperature_K=600.0, n_frames=20, **_CRYSTAL_SAMPLING),
        Run(split="test", seed=23, temperature_K=600.0, n_frames=40, **_CRYSTAL_SAMPLING),
        Run(split="test_1000K", seed=24, temperature_K=1000.0, n_frames=40, **_CRYSTAL_SAMPLING),
        Run(
            split="trajectory",
            seed=25,
            temperature_K=600.0,
            friction_per_fs=0.01,
            equilibration_steps=50,
            steps_per_frame=2,
            n_frames=150,
            time_ordered=True,
        ),
    ),
)

PROTOCOLS: dict[str, Protocol] = {"molecule": MOLECULE, "crystal": CRYSTAL}
