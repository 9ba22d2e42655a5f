# SPDX-License-Identifier: GPL-2.0-or-later
"""What depends on a pair of elements: distance transforms and the screened nuclear repulsion."""

from __future__ import annotations

import torch
from ase.data import atomic_numbers, covalent_radii
from torch import Tensor, nn

from egraff.nn.edges import sum_at_centres
from egraff.nn.radial import PolynomialCutoff


def element_radii(elements: list[str]) -> Tensor:
    """Return covalent radii ``[n_species]`` in Angstrom (Cordero et al., Dalton Trans. 2832, 2008).

    They are kept in checkpoints, so that another table cannot change a trained model.
    """
    return torch.tensor([float(covalent_radii[atomic_numbers[e]]) for e in elements])


class AgnesiTransform(nn.Module):
    """Map distances to (0, 1), where short ones are spread out.

    y = 1 / (1 + a s^q / (1 + s^(q - p))), s = r / r0, r0 the mean of the two covalent radii
    (Witt et al., J. Chem. Phys. 159, 164101 (2023), section on radial transformations).

    Args:
        elements: chemical symbols.
    """

    def __init__(self, elements: list[str]) -> None:
        super().__init__()
        self.register_buffer("a", torch.tensor(1.0805))
        self.register_buffer("q", torch.tensor(0.9183))
        self.register_buffer("p", torch.tensor(4.5791))
        self.register_buffer("radii", element_radii(elements))

    def forward(self, r: Tensor, centre: Tensor, neighbour: Tensor) -> Tensor:
        """Map distances ``[n_edges]`` in Angstrom; the species of both ends are ``[n_edges]``."""
        radius = 0.5 * (self.radii[centre] + self.radii[neighbour])
        s = r / radius
        return 1.0 / (1.0 + self.a * s**self.q / (1.0 + s ** (self.q - self.p)))


class SoftTransform(nn.Module):
    """Hold short distances at 3/4 of the bond length, leave long ones as they are.

    y = p0 + (r - p0) [1 + tanh(alpha (r - m) / (p1 - p0))] / 2 with p0 = 3/4 d, p1 = 4/3 d,
    m = (p0 + p1)/2 and d the sum of the two covalent radii, as in mace-torch.

    Args:
        elements: chemical symbols.
    """

    def __init__(self, elements: list[str]) -> None:
        super().__init__()
        self.register_buffer("alpha", torch.tensor(4.0))
        self.register_buffer("radii", element_radii(elements))

    def forward(self, r: Tensor, centre: Tensor, neighbour: Tensor) -> Tensor:
        """Map distances ``[n_edges]`` in Angstrom; the species of both ends are ``[n_edges]``."""
        bond = self.radii[centre] + self.radii[neighbour]
        low, high = 0.75 * bond, (4.0 / 3.0) * bond
        step = 0.5 * (1.0 + torch.tanh(self.alpha / (high - low) * (r - 0.5 * (low + high))))
        return low + (r - low) * step


class ZBLRepulsion(nn.Module):
    """Screened repulsion of the nuclei at short distances, half of it for each atom of a pair.

    V = 14.3996 eV A . Z_i Z_j / r . phi(r / a), a = 0.4543 . 0.529 A / (Z_i^0.3 + Z_j^0.3), phi
    the universal screening function (Ziegler, Biersack, Littmark, 1985), times a polynomial
    envelope that ends at the sum of the covalent radii. The numbers are those of mace-torch.

    Evaluated in float64 whatever the network's type: the repulsion of close atoms dwarfs everything
    else.

    Args:
        elements: chemical symbols.
        p: exponent of the envelope.
    """

    def __init__(self, elements: list[str], p: float) -> None:
        super().__init__()
        charges = [float(atomic_numbers[element]) for element in elements]
        self.register_buffer("charges", torch.tensor(charges), False)
        self.register_buffer("radii", element_radii(elements))
        self.register_buffer("a_exponent", torch.tensor(0.300))
        self.register_buffer("a_prefactor", torch.tensor(0.4543))
        self.envelope = PolynomialCutoff(p)
        self.weights: list[float] = [0.1818, 0.5099, 0.2802, 0.02817]
        self.decays: list[float] = [3.2, 0.9423, 0.4028, 0.2016]

    def forward(self, r: Tensor, species: Tensor, edge_index: Tensor, n_local: int) -> Tensor:
        """Return the energy of each local atom, ``[n_local]`` float64 in eV.

        Args:
            r: ``[n_edges]`` float64 in Angstrom.
            species: ``[n_nodes]``.
            edge_index: ``[2, n_edges]``.
            n_local: number of local atoms.
        """
        centre, neighbour = species[edge_index[0]], species[edge_index[1]]
        charges, radii = self.charges.double(), self.radii.double()
        z_i, z_j = charges[centre], charges[neighbour]
        exponent = self.a_exponent.double()
        length = self.a_prefactor.double() * 0.529 / (z_i**exponent + z_j**exponent)
        phi = torch.zeros_like(r)
        for weight, decay in zip(self.weights, self.decays):  # noqa: B905 - TorchScript
            phi = phi + weight * torch.exp(-decay * r / length)
        x = r / (radii[centre] + radii[neighbour])
        energy = 0.5 * 14.3996 * z_i * z_j / r * phi * self.envelope(x)
        return sum_at_centres(energy, edge_index[0], n_local)
