# SPDX-License-Identifier: GPL-2.0-or-later
"""What a model itself is like: smooth along lines, equal under symmetries."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from egraff.analysis.bonds import radii_of
from egraff.analysis.equivariance import equivariance_errors
from egraff.analysis.metric import not_enough_data
from egraff.analysis.section import Section
from egraff.analysis.smoothness import dimer_scan, line_scan, scan_metrics
from egraff.files import sha256

#: Dimers from 0.8 to 2.5 times the sum of covalent radii: from hard contact to beyond bonding.
_NEAREST, _FURTHEST, _N_DISTANCES = 0.8, 2.5, 121
_LINE_DISPLACEMENT = 0.1
_N_LINE = 41
_N_TRIALS = 3
#: Larger structures would make the checks cost as much as the run's own analysis.
_MOST_ATOMS = 1000


class ModelChecks:
    """Scans and symmetry of models, each model with one structure computed once.

    Args:
        load_calculator: from a model file to an ASE calculator.
    """

    def __init__(self, load_calculator: Callable[[Path], Calculator]) -> None:
        self._load = load_calculator
        self._known: dict[Any, Section] = {}

    def section(self, path: Path, atoms: Atoms, *, where: str) -> Section:
        """Checks of the model in a file on the first frame of the trajectory named ``where``."""
        geometry = atoms.positions.tobytes() + atoms.cell.array.tobytes() + atoms.pbc.tobytes()
        key = (sha256(path), tuple(atoms.symbols), hashlib.sha256(geometry).hexdigest())
        if key not in self._known:
            self._known[key] = self._compute(path, atoms, where)
        return self._known[key]

    def _compute(self, path: Path, atoms: Atoms, dump: str) -> Section:
        section = Section()
        calculator = self._load(path)
        names, distances, energies, forces = [], [], [], []
        for a, b in combinations_with_replacement(sorted(set(atoms.symbols)), 2):
            contact = float(radii_of(np.array([a, b])).sum())
            span = np.linspace(_NEAREST * contact, _FURTHEST * contact, _N_DISTANCES)
            scan = dimer_scan(calculator, a, b, span)
            where = f"{path.name}: dimer {a}-{b} from {span[0]:.2f} to {span[-1]:.2f} A"
            section.metrics += scan_metrics(scan, provenance=where)
            names.append(scan.name)
            distances.append(scan.x)
            energies.append(scan.energy)
            forces.append(scan.force)
        section.curves = {
            "dimer/pairs": np.array(names),
            "dimer/distance": np.array(distances),
            "dimer/energy": np.array(energies),
            "dimer/force": np.array(forces),
        }
        where = f"{path.name} on the first frame of {dump}"
        if len(atoms) > _MOST_ATOMS:
            section.metrics.append(
                not_enough_data(
                    "rotation_error",
                    "meV/A",
                    "largest component of |F(R x) - R F(x)| over random rotations",
                    where,
                    f"left out: {len(atoms)} atoms, at most {_MOST_ATOMS} are checked",
                )
            )
            return section
        direction = np.random.default_rng(0).normal(size=(len(atoms), 3))
        length = _LINE_DISPLACEMENT * float(np.sqrt(len(atoms)))
        line = line_scan(calculator, atoms, direction, length=length, n_points=_N_LINE)
        section.metrics += scan_metrics(
            line,
            provenance=f"{where}: all atoms along one random direction, "
            f"{_LINE_DISPLACEMENT:g} A each (rms) either way",
        )
        section.metrics += equivariance_errors(
            atoms, calculator, n_trials=_N_TRIALS, provenance=where
        )
        return section
