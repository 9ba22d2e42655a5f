# SPDX-License-Identifier: GPL-2.0-or-later
"""Architectures whose network gives an atom without neighbours an energy of its own.

Networks with biases (the transformers) map an isolated atom of each element to some learned
number. A force field whose dissociation limit is the reference energies E0 needs that number
removed:

    E_i = E0[Z_i] + scale[Z_i] ( f_i(structure) - f(isolated atom of element Z_i) )

The second term is the same network on one atom of each element without edges, evaluated inside
every forward pass: exact during training as well, and a few rows of work. It changes no force.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from egraff.models.base import ForceField, ModelConfig


class IsolatedAtomConfig(ModelConfig):
    """Options of the architectures in this family.

    Attributes:
        isolated_atom: ``reference`` makes an isolated atom's energy exactly ``energy_shift``;
            ``network`` adds whatever the network gives it, as the original implementations do.
    """

    isolated_atom: Literal["reference", "network"] = "reference"


class IsolatedAtomForceField(ForceField):
    """Base of architectures whose network has biases; subclasses implement :meth:`network`."""

    def __init__(self, config: IsolatedAtomConfig) -> None:
        super().__init__(config)
        self.subtract_isolated = config.isolated_atom == "reference"
        self.scale_shift = config.scale_shift()
        # what isolated_atoms returns, in a fused model, whose weights do not change any more
        self.register_buffer("alone", None)

    def network(
        self, species: Tensor, edge_index: Tensor, edge_vec: Tensor, n_local: int, exchange: bool
    ) -> Tensor:
        """Return the network's output per local atom, before scale and shift.

        Args:
            species: ``[n_nodes]``.
            edge_index: ``[2, n_edges]``.
            edge_vec: ``[n_edges, 3]`` in Angstrom.
            n_local: number of local atoms.
            exchange: whether rows may be exchanged with other ranks; false for the isolated
                atoms, which belong to no rank.

        Returns:
            ``[n_local]``.
        """
        # not an abstract method: TorchScript has none
        raise NotImplementedError(f"{type(self).__name__} must implement network")

    def forward(
        self, species: Tensor, edge_index: Tensor, edge_vec: Tensor, n_local: int
    ) -> dict[str, Tensor]:
        """Evaluate the model; see :mod:`egraff.models.base` for the contract."""
        return {"atomic_energy": self.network_energy(species, edge_index, edge_vec, n_local)}

    def network_energy(
        self, species: Tensor, edge_index: Tensor, edge_vec: Tensor, n_local: int
    ) -> Tensor:
        """Return the atomic energies ``[n_local]`` in eV, float64."""
        energy = self.network(species, edge_index, edge_vec, n_local, True)
        if self.subtract_isolated:
            alone = self.alone
            if alone is None:
                alone = self.isolated_atoms(edge_index, edge_vec)
            energy = energy - alone.index_select(0, species[:n_local])
        return self.scale_shift(energy, species[:n_local])

    def isolated_atoms(self, edge_index: Tensor, edge_vec: Tensor) -> Tensor:
        """Return the network's output for an atom of each element alone, ``[n_species]``.

        The arguments tell types and device.
        """
        every = torch.arange(self.n_species, device=edge_index.device)
        no_index = torch.zeros(2, 0, dtype=edge_index.dtype, device=edge_index.device)
        no_vec = torch.zeros(0, 3, dtype=edge_vec.dtype, device=edge_vec.device)
        return self.network(every, no_index, no_vec, self.n_species, False)
