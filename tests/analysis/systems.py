# SPDX-License-Identifier: GPL-2.0-or-later
"""Trajectories, series and models whose properties are known."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.calculators.lj import LennardJones


def ideal_gas(n_frames, n_atoms, length, seed=0, elements=None):
    random = np.random.default_rng(seed)
    elements = elements or ["Ar"] * n_atoms
    return [
        Atoms(
            elements, positions=random.uniform(0, length, (n_atoms, 3)), cell=[length] * 3, pbc=True
        )
        for _ in range(n_frames)
    ]


def autoregressive(n, phi, seed, n_series=1):
    """x(t) = phi x(t-1) + noise, stationary; its exact inefficiency is (1 + phi) / (1 - phi)."""
    random = np.random.default_rng(seed)
    noise = random.standard_normal((n, n_series))
    x = np.empty_like(noise)
    x[0] = noise[0] / np.sqrt(1 - phi**2)
    for t in range(1, n):
        x[t] = phi * x[t - 1] + noise[t]
    return x


def with_data(universe, velocities=None, forces=None):
    """The same trajectory with velocities and forces if given."""

    def add(ts):
        if velocities is not None:
            ts.has_velocities = True
            ts.velocities = ts.data["velocities"] = velocities[ts.frame]
        if forces is not None:
            ts.has_forces = True
            ts.forces = ts.data["forces"] = forces[ts.frame]
        return ts

    universe.trajectory.add_transformations(add)
    return universe


class Broken(Calculator):
    """Lennard-Jones whose forces are off by a factor, and pushed along x."""

    implemented_properties = ("energy", "forces")

    def __init__(self, factor=1.0, push=0.0, offset=0.0):
        super().__init__()
        self.inner = LennardJones(sigma=3.0, epsilon=0.01, rc=9.0)
        self.factor, self.push, self.offset = factor, push, offset

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        energy = self.inner.get_potential_energy(atoms)
        forces = self.factor * self.inner.get_forces(atoms)
        forces[:, 0] += self.push
        self.results = {"energy": energy + self.offset, "forces": forces}
