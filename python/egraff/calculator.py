# SPDX-License-Identifier: GPL-2.0-or-later
"""ASE calculator over the C++ core: what LAMMPS runs is what Python evaluates here."""

from __future__ import annotations

import copy
import json
import os
from os import PathLike
from typing import Any, ClassVar

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from egraff import ops
from egraff.errors import InputError, ModelFileError
from egraff.graph import graph_of_atoms

# OpenMP's threads do not survive a fork, and a child that waits for them hangs. A single thread
# waits for none.
os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


class EgraffCalculator(Calculator):
    """Energies in eV, forces in eV/A, stress in eV/A^3 from an exported model.

    ``stresses`` are per-atom virials divided by the volume of the cell, half of each edge's share
    given to either end; they sum to ``stress``. Stress needs periodicity in all directions.

    A calculator can be copied and pickled: the copy shares the loaded model, a pickle holds the
    file's path and digest. A forked process evaluates on one thread.

    Attributes:
        model: the loaded model, of the compiled module ``egraff._core``.
        metadata: what the file says of itself (:mod:`egraff.export`).
        virial: ``[3, 3]`` in eV of the last structure, LAMMPS's sign, periodic or not.

    Args:
        path: an exported model, ``NAME.egraff.pt`` or ``.pt2``.
        device: ``"cpu"`` or ``"cuda"``.
        verify: evaluate the frame stored in the file and compare, at loading.

    Raises:
        ModelFileError: the file is missing, damaged, changed since it was written, not an egraff
            model, from another torch, or does not reproduce its stored frame.
        EgraffError: egraff was compiled for another torch than the installed one.
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
        self._source = {"path": os.path.abspath(path), "device": device, "verify": verify}
        self._load()

    def _load(self) -> None:
        options = {**self._source, "path": os.fsencode(self._source["path"])}
        self.model = ops.core().Model(**options)
        self.metadata = json.loads(self.model.metadata)

    def __deepcopy__(self, memo: dict[int, Any]) -> EgraffCalculator:
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        memo[id(self.model)] = self.model  # nothing changes a loaded model
        twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return twin

    def __getstate__(self) -> dict[str, Any]:
        state = {name: value for name, value in self.__dict__.items() if name != "model"}
        return {**state, "digest": self.model.digest}

    def __setstate__(self, state: dict[str, Any]) -> None:
        digest = state.pop("digest")
        self.__dict__.update(state)
        self._load()
        if self.model.digest != digest:
            raise ModelFileError(
                f"expected the model that the calculator was made with, of SHA-256 {digest}, got "
                f"one of SHA-256 {self.model.digest}: the file was replaced since then",
                where=self._source["path"],
                fix="make the calculator again from the file that is meant",
            )

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Evaluate the model; everything is computed at once.

        Raises:
            InputError: an element that the model does not know, positions or a cell that are not
                finite, two atoms at one place, results that are not finite, or stress asked of a
                structure that is not periodic in all directions.
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
