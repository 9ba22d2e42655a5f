# SPDX-License-Identifier: GPL-2.0-or-later
"""Bonds of a starting structure, and how their lengths move along a trajectory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from MDAnalysis.analysis.results import ResultsGroup
from MDAnalysis.core.groups import AtomGroup

from egraff.analysis.metric import Metric
from egraff.analysis.parallel import ParallelAnalysis
from egraff.analysis.series import mean_metric
from egraff.analysis.trajectory.fields import frame_geometry
from egraff.errors import InputError
from egraff.neighbours import find_edges

#: Two atoms are bonded when they are nearer than this times the sum of their covalent radii. At
#: 1.2, a common choice, H2 is not bonded once it vibrates.
BOND_FACTOR = 1.3


def radii_of(elements: np.ndarray) -> np.ndarray:
    """Covalent radius of each atom (Cordero et al. 2008), `[n_atoms]`, Angstrom."""
    return np.array([covalent_radii[atomic_numbers[symbol]] for symbol in elements])


def find_bonds(
    positions: np.ndarray,
    cell: np.ndarray,
    pbc: tuple[bool, bool, bool],
    elements: np.ndarray,
    *,
    factor: float = BOND_FACTOR,
) -> np.ndarray:
    """Pairs of atoms nearer than ``factor`` times the sum of their covalent radii.

    Returns:
        `[n_bonds, 2]`, each pair once; bonds to several images of one atom count once.
    """
    radii = radii_of(elements)
    edges = find_edges(positions, cell, pbc, r_max=2.0 * factor * float(radii.max()))
    first, second = edges.index
    near = np.linalg.norm(edges.vector, axis=1) < factor * (radii[first] + radii[second])
    chosen = near & (first < second)
    return np.unique(np.stack([first[chosen], second[chosen]], axis=1), axis=0)


def bond_lengths(positions: np.ndarray, cell: np.ndarray, pbc, bonds: np.ndarray) -> np.ndarray:
    """Length of each bond by the nearest image, `[n_bonds]`, Angstrom.

    The nearest image is found by rounding fractional coordinates and looking at the cells around,
    so it is right for tilted cells too.
    """
    vectors = positions[bonds[:, 1]] - positions[bonds[:, 0]]
    if not any(pbc):
        return np.linalg.norm(vectors, axis=1)
    periodic = np.asarray(pbc, dtype=bool)
    full = np.where(periodic[:, None], cell, np.eye(3) * 1e6)
    fractional = vectors @ np.linalg.inv(full)
    vectors = vectors - np.where(periodic, np.round(fractional), 0.0) @ full
    span = [(-1, 0, 1) if flag else (0,) for flag in periodic]
    shifts = np.array(np.meshgrid(*span)).reshape(3, -1).T @ full
    return np.linalg.norm(vectors[:, None, :] + shifts[None], axis=2).min(axis=1)


class BondLengths(ParallelAnalysis):
    """Lengths of given bonds in every frame.

    Args:
        atoms: atoms with elements.
        bonds: `[n_bonds, 2]` indices into ``atoms``; those of the current frame when None.

    After `run`, in ``results``: ``lengths`` `[n_frames, n_bonds]` in Angstrom; ``times_ps``.

    Raises:
        InputError: there is no bond.
    """

    def __init__(
        self, atoms: AtomGroup, *, bonds: np.ndarray | None = None, verbose: bool = False
    ) -> None:
        super().__init__(atoms.universe.trajectory, verbose=verbose)
        self.atoms = atoms
        self.bonds = find_bonds(*frame_geometry(atoms), atoms.elements) if bonds is None else bonds
        if not len(self.bonds):
            raise InputError(
                "expected at least one bond, got none",
                where="bonds",
                fix="give the bonds, or atoms that have some",
            )

    def _prepare(self) -> None:
        self.results.lengths = []
        self.results.times_ps = []

    def _single_frame(self) -> None:
        self.results.lengths.append(bond_lengths(*frame_geometry(self.atoms), self.bonds))
        self.results.times_ps.append(self._ts.time)

    def _get_aggregator(self) -> ResultsGroup:
        flatten = ResultsGroup.flatten_sequence
        return ResultsGroup(lookup={"lengths": flatten, "times_ps": flatten})

    def _conclude(self) -> None:
        self.results.lengths = np.array(self.results.lengths)
        self.results.times_ps = np.array(self.results.times_ps)


def bond_length_deviation(
    lengths: np.ndarray, reference: np.ndarray, *, provenance: str
) -> list[Metric]:
    """How far mean bond lengths are from the reference's, and how far any bond ever went.

    Args:
        lengths: of the simulation, `[n_frames, n_bonds]`, Angstrom.
        reference: of the same bonds in the reference, `[n_frames_ref, n_bonds]`, Angstrom.
        provenance: for the metrics.

    Returns:
        ``bond_length_deviation``, the mean over bonds of |mean length - mean reference length|
        with the statistical errors of both means, and ``bond_length_worst``, the largest
        |length - mean reference length| in any frame.
    """
    mean_ref = reference.mean(axis=0)
    worst = Metric(
        name="bond_length_worst",
        value=float(np.abs(lengths - mean_ref).max()),
        unit="A",
        definition="largest |length - mean reference length| of any bond in any frame",
        provenance=provenance,
    )
    signs = np.sign(lengths.mean(axis=0) - mean_ref)
    # with the signs fixed the deviation is a mean over time, and has the error of one
    deviation = mean_metric(
        "bond_length_deviation",
        ((lengths - mean_ref) * signs).mean(axis=1),
        "A",
        "mean over bonds of |mean length - mean reference length|",
        provenance,
    )
    other = mean_metric("", ((reference - mean_ref) * signs).mean(axis=1), "A", "", "")
    if deviation.error is not None and other.error is not None:
        deviation = replace(deviation, error=float(np.hypot(deviation.error, other.error)))
    elif deviation.error is not None:
        note = "without the error of the reference, which has too few independent samples"
        deviation = replace(deviation, note=note)
    return [deviation, worst]
