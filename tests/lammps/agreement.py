# SPDX-License-Identifier: GPL-2.0-or-later
"""LAMMPS against Python, quantity by quantity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms

from egraff.forces import predict
from egraff.lammps.single_point import single_point
from egraff.models import ForceField
from tests.models.structures import graph_of


def agrees(model: ForceField, path: Path, atoms: Atoms, *, ranks: int, tolerance: float) -> None:
    """Check that `lmp` with a file gives what the eager model gives in Python.

    The tolerance is relative to the largest number of each quantity.
    """
    expected = predict(model, graph_of(model, atoms))
    result = single_point(path, atoms, ranks=ranks)
    found = {
        "energy": (result.energy, float(expected.energy)),
        "atomic energies": (result.atomic_energy, expected.atomic_energy.numpy()),
        "forces": (result.forces, expected.forces.numpy()),
        "virial": (result.virial, expected.virial[0].numpy()),
    }
    for quantity, (lammps, python) in found.items():
        error = np.abs(lammps - python).max() / np.abs(python).max()
        assert error < tolerance, f"{quantity}: {error:.1e} relative"
