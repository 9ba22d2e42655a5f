# SPDX-License-Identifier: GPL-2.0-or-later
"""What must be conserved or shared equally: momentum, net force, kinetic energy per species."""

from __future__ import annotations

import numpy as np
from MDAnalysis.analysis.results import ResultsGroup
from MDAnalysis.core.groups import AtomGroup

from egraff.analysis.metric import Metric
from egraff.analysis.parallel import ParallelAnalysis
from egraff.analysis.series import mean_metric
from egraff.analysis.trajectory.fields import (
    frame_forces,
    frame_geometry,
    frame_velocities,
    species_labels,
)
from egraff.errors import InputError
from egraff.units import AMU_ANG2_PER_FS2_IN_EV, BOLTZMANN_EV_PER_K

_AMU_ANG2_PER_PS2_IN_EV = AMU_ANG2_PER_FS2_IN_EV * 1e-6


def internal_motion(
    velocities: np.ndarray, masses: np.ndarray, positions: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Take out what all atoms do together: translation and, given positions, rotation.

    In coordinates weighted with the square roots of the masses these motions are a space of up to
    six dimensions. An atom loses as many degrees of freedom as lie in its three coordinates: of a
    translation m_i / M in each direction, so that heavy atoms lose more than light ones.

    Args:
        velocities: `[n_atoms, 3]`, Angstrom/ps.
        masses: `[n_atoms]`, amu.
        positions: `[n_atoms, 3]`, Angstrom.

    Returns:
        Twice the kinetic energy of each atom in what is left, `[n_atoms]`, amu Angstrom^2/ps^2,
        and its degrees of freedom, `[n_atoms]`.
    """
    weights = np.sqrt(masses)[:, None, None]
    motions = weights * np.eye(3)
    if positions is not None:
        about = positions - np.average(positions, axis=0, weights=masses)
        turns = np.cross(np.eye(3), about[:, None, :])  # [n_atoms, axis, 3]
        motions = np.concatenate([motions, weights * turns.transpose(0, 2, 1)], axis=2)
    basis, sizes, _ = np.linalg.svd(motions.reshape(3 * len(masses), -1), full_matrices=False)
    basis = basis[:, sizes > 1e-6 * sizes[0]]  # a linear molecule has an axis less to turn about
    weighted = (weights[:, 0] * velocities).reshape(-1)
    weighted = weighted - basis @ (basis.T @ weighted)
    lost = np.sum(basis.reshape(len(masses), -1) ** 2, axis=1)
    return np.sum(weighted.reshape(-1, 3) ** 2, axis=1), 3.0 - lost


def kinetic_temperature(twice_kinetic_energy: float, n_dof: float) -> float:
    """T = sum m v^2 / (n_dof k), K.

    Args:
        twice_kinetic_energy: sum m v^2, amu Angstrom^2/ps^2.
        n_dof: degrees of freedom.
    """
    return float(twice_kinetic_energy) * _AMU_ANG2_PER_PS2_IN_EV / (n_dof * BOLTZMANN_EV_PER_K)


class Conservation(ParallelAnalysis):
    """Velocity of the centre of mass, net force and the temperature of each species.

    A force field whose energy depends on distances alone exerts no net force; atoms of all species
    have one temperature in equilibrium (equipartition), so a difference shows a wrong mass, a
    wrong velocity unit, a thermostat at odds with the model, or a run too short to equilibrate.

    Args:
        atoms: all atoms of a trajectory with velocities; forces are used where there are any.
        forces: whether the trajectory's forces are the model's alone.

    After `run`, in ``results``: ``drift`` `[n_frames]` |v_com| in Angstrom/ps; ``net_force``
    `[n_frames]` |sum F| in eV/Angstrom (empty without forces); ``temperature``
    `[n_frames, n_species]` in K, without the velocity of the centre of mass and, of molecules in
    vacuum, without rotation as a whole; ``dof`` `[n_frames, n_species]`, the degrees of freedom
    that are left (:func:`internal_motion`).
    """

    def __init__(self, atoms: AtomGroup, *, forces: bool = True, verbose: bool = False) -> None:
        super().__init__(atoms.universe.trajectory, verbose=verbose)
        self.forces = forces
        if len(atoms) < 2:
            raise InputError(f"expected at least 2 atoms, got {len(atoms)}", where="atoms")
        self.atoms = atoms
        self._labels = species_labels(atoms)
        self.species = sorted(set(self._labels))
        self._names = ("drift", "net_force", "temperature", "dof")

    def _prepare(self) -> None:
        for name in self._names:
            self.results[name] = []

    def _single_frame(self) -> None:
        velocities, masses = frame_velocities(self.atoms), self.atoms.masses
        centre = np.average(velocities, axis=0, weights=masses)
        self.results.drift.append(float(np.linalg.norm(centre)))
        positions, _, pbc = frame_geometry(self.atoms)
        energies, dof = internal_motion(velocities, masses, None if any(pbc) else positions)
        of_species = [self._labels == name for name in self.species]
        self.results.dof.append([dof[which].sum() for which in of_species])
        self.results.temperature.append(
            [kinetic_temperature(energies[which].sum(), dof[which].sum()) for which in of_species]
        )
        if self.forces and self._ts.has_forces:
            net = frame_forces(self.atoms).sum(axis=0)
            self.results.net_force.append(float(np.linalg.norm(net)))

    def _get_aggregator(self) -> ResultsGroup:
        return ResultsGroup(lookup=dict.fromkeys(self._names, ResultsGroup.flatten_sequence))

    def _conclude(self) -> None:
        for name in self._names:
            self.results[name] = np.array(self.results[name], dtype=np.float64)

    def metrics(self, *, provenance: str) -> list[Metric]:
        """Largest drift and net force, and the temperature of each species, as metrics."""
        results = self.results
        found = [
            Metric(
                name="centre_of_mass_speed",
                value=float(results.drift.max()),
                unit="A/ps",
                definition="largest speed of the centre of mass in any frame",
                provenance=provenance,
            )
        ]
        if results.net_force.size:
            found.append(
                Metric(
                    name="net_force",
                    value=float(results.net_force.max()) * 1e3,
                    unit="meV/A",
                    definition="largest |sum of all forces| in any frame",
                    provenance=provenance,
                )
            )
        for index, name in enumerate(self.species):
            found.append(
                mean_metric(
                    f"temperature[{name}]",
                    results.temperature[:, index],
                    "K",
                    f"kinetic temperature of the {name} atoms (equipartition: equal for all)",
                    provenance,
                )
            )
        return found + self._equipartition(provenance)

    def _equipartition(self, provenance: str) -> list[Metric]:
        """How much hotter each species is than all atoms together."""
        if len(self.species) < 2:
            return []
        dof = self.results.dof
        together = np.sum(self.results.temperature * dof, axis=1) / np.sum(dof, axis=1)
        return [
            mean_metric(
                f"temperature_excess[{name}]",
                self.results.temperature[:, index] - together,
                "K",
                f"kinetic temperature of the {name} atoms minus that of all atoms (equipartition: "
                "0 within errors)",
                provenance,
            )
            for index, name in enumerate(self.species)
        ]
