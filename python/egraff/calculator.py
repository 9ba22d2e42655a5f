# SPDX-License-Identifier: GPL-2.0-or-later
"""ASE calculator over the C++ core: what LAMMPS runs is what Python evaluates here."""

from __future__ import annotations

import json
from os import PathLike
from typing import ClassVar

import numpy as np
import torch  # the C++ module needs torch's libraries in the process
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from egraff import _core
from egraff.errors import InputError
from egraff.graph import graph_of_atoms


class EgraffCalculator(Calculator):
    """Energies in eV, forces in eV/A, stress in eV/A^3 from an exported model.

    ``stresses`` are per-atom virials divided by the volume of the cell, half of each edge's share
    given to either end; they sum to ``stress``. Stress needs periodicity in all directions.

    Attributes:
        metadata: what the file says of itself (:mod:`egraff.export`).
        virial: ``[3, 3]`` in eV of the last structure, LAMMPS's sign, periodic or not.

    Args:
        path: an exported model, ``NAME.egraff.pt`` or ``.pt2``.
        device: ``"cpu"`` or ``"cuda"``.
        verify: evaluate the frame stored in the file and compare, at loading.

    Raises:
        ModelFileError: the file is missing, truncated, not an egraff model, or does not reproduce
            its stored frame.
    """

    implemented_properties: ClassVar[list[str]] = [
        "energy",
        "free_energy",
        "energies",
        "forces",
        "stress",
        "stresses",
    ]

    def __init__(
        self, path: str | PathLike[str], *, device: str = "cpu", verify: bool = True
    ) -> None:
        super().__init__()
        self.model = _core.Model(str(path), device=device, verify=verify)
        self.metadata = json.loads(self.model.metadata)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Evaluate the model; everything is computed at once.

        Raises:
            InputError: an element that the model does not know, or stress asked of a structure
                that is not periodic in all directions.
        """
        super().calculate(atoms, properties, system_changes)
        atoms = self.atoms
        graph = graph_of_atoms(
            atoms,
            elements=self.metadata["elements"],
            r_max=self.metadata["r_max"],
            pair_cutoffs=self.metadata["pair_cutoffs"],
        )
        out = self.model.evaluate(graph.species, graph.edge_index, graph.edge_vec, len(atoms))
        self.results = {
            "energy": out["energy"],
            "free_energy": out["energy"],
            "energies": out["atomic_energy"].numpy(),
            "forces": out["forces"].numpy(),
        }
        self.virial = out["virial"].numpy()
        if atoms.pbc.all():
            volume = atoms.get_volume()
            self.results["stress"] = full_3x3_to_voigt_6_stress(-out["virial"].numpy() / volume)
            self.results["stresses"] = _atomic_stress(graph, out["edge_gradient"]) / volume
        elif properties and {"stress", "stresses"} & set(properties):
            raise InputError(
                f"expected a structure periodic in all directions, got pbc {atoms.pbc.tolist()}",
                field="stress",
                fix="ask for energy and forces only, or put the structure in a periodic cell",
            )


def _atomic_stress(graph, gradient: torch.Tensor) -> np.ndarray:
    """Share r (x) g of each edge between its ends: ``[n_atoms, 6]`` in eV, Voigt order."""
    outer = graph.edge_vec[:, :, None] * gradient[:, None, :]
    share = torch.zeros(graph.n_atoms, 3, 3, dtype=torch.float64)
    for end in graph.edge_index:
        share.index_add_(0, end, 0.5 * outer)
    return full_3x3_to_voigt_6_stress(share.numpy())
