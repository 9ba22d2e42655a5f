# SPDX-License-Identifier: GPL-2.0-or-later
"""Trajectories, series and models whose properties are known."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.calculators.lj import LennardJones
from ase.geometry import get_distances


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


class TwoSizes(Calculator):
    """Argon and neon as the corpus of runs has them: lj/smooth/linear of LAMMPS, cut at 6 A."""

    implemented_properties = ("energy", "forces")
    cutoff, epsilon = 6.0, 0.0104
    sigma: ClassVar[dict[frozenset[str], float]] = {
        frozenset(("Ar",)): 3.4,
        frozenset(("Ar", "Ne")): 3.15,
        frozenset(("Ne",)): 2.9,
    }

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        symbols = atoms.get_chemical_symbols()
        sigma = np.array([[self.sigma[frozenset((a, b))] for b in symbols] for a in symbols])
        vector, distance = get_distances(atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        np.fill_diagonal(distance, 2 * self.cutoff)
        near = distance < self.cutoff
        energy, force = self._of(sigma, distance)
        energy_cut, force_cut = self._of(sigma, self.cutoff)
        force = np.where(near, force - force_cut, 0.0)
        energy = np.where(near, energy - energy_cut + (distance - self.cutoff) * force_cut, 0.0)
        self.results["energy"] = 0.5 * float(energy.sum())
        self.results["forces"] = -np.einsum("ij,ijk->ik", force / distance, vector)

    def _of(self, sigma, distance):
        power = (sigma / distance) ** 6
        energy = 4 * self.epsilon * (power**2 - power)
        return energy, 24 * self.epsilon * (2 * power**2 - power) / distance
