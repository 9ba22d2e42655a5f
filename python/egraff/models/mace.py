# SPDX-License-Identifier: GPL-2.0-or-later
"""MACE: higher-order equivariant message passing.

I. Batatia, D. P. Kovacs, G. N. C. Simm, C. Ortner, G. Csanyi, NeurIPS 35, 11423 (2022),
arXiv:2206.07697; design space: arXiv:2205.06643; density normalisation, heads, transforms:
arXiv:2401.00096. The numbers follow mace-torch 0.3.16.

    A_i^t = 1/N sum_j R^t(r_ij) . (W_up h_j^t (x) Y(r_ij))              interaction (eq. 8)
    B_i^t = sum_nu sum_eta W[Z_i] C_eta . (A_i^t)^nu                    product (eqs. 10, 11)
    h_i^(t+1) = W B_i^t + W_sc[Z_i] h_i^t                               update (eq. 12)
    E_i = shift[Z_i] + scale[Z_i] sum_t readout_t(h_i^t)                readout (eq. 13)

====================  ==========================================================
paper                 here
====================  ==========================================================
r_cut                 ``r_max``
R                     ``Interaction.radial`` (basis of distances -> MLP)
Y                     ``MACE.harmonics``
A                     the message of ``Interaction``
C_eta, nu             ``SymmetricContraction``; ``correlation`` is the largest nu
W_sc (residual)       ``Interaction.skip``
readout_t             ``Layer.readout``: linear, and a perceptron in the last layer
E0                    ``energy_shift``
====================  ==========================================================

With a residual first interaction the network gives an isolated atom an energy of its own; see
``isolated_atom``. Otherwise it gives zero, and ``energy_shift`` is the isolated atom's energy.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from e3nn import o3
from torch import Tensor, nn

from egraff import ops
from egraff.models.mace_config import MACEConfig
from egraff.models.originals import MACE_RECIPE, Original
from egraff.models.readouts import ReadoutsForceField
from egraff.models.registry import register
from egraff.nn.edges import Distances, Edges
from egraff.nn.interaction import Interaction
from egraff.nn.pairs import AgnesiTransform, SoftTransform, ZBLRepulsion
from egraff.nn.radial import (
    BesselBasis,
    ChebyshevBasis,
    GaussianBasis,
    PolynomialCutoff,
    edge_lengths,
)
from egraff.nn.readout import LinearReadout, NonLinearReadout
from egraff.nn.symmetric_contraction import SymmetricContraction


@register
class MACE(ReadoutsForceField):
    """The MACE force field; see the module's text for the equations."""

    architecture = "mace"
    citations: ClassVar[list[str]] = [
        "MACE: I. Batatia et al., Adv. Neural Inf. Process. Syst. 35, 11423 (2022), "
        "arXiv:2206.07697",
        "Design space: I. Batatia et al., Nat. Mach. Intell. 7, 56 (2025), arXiv:2205.06643",
    ]
    Config = MACEConfig
    original = Original("mace-torch", MACE_RECIPE)

    def __init__(self, config: MACEConfig) -> None:
        super().__init__(config)
        hidden = o3.Irreps(config.hidden_irreps)
        channels = hidden[0].mul
        irreps_sh = o3.Irreps.spherical_harmonics(config.l_max)

        self.embedding = nn.Embedding(self.n_species, channels)
        self.harmonics = o3.SphericalHarmonics(irreps_sh, True, "component")
        self.envelope = PolynomialCutoff(config.cutoff_p)
        self.apply_cutoff = config.apply_cutoff
        self.scaled_distance = config.radial_basis == "bessel"
        self.basis = _basis(config)
        self.transform = {
            "none": lambda _: None,
            "agnesi": AgnesiTransform,
            "soft": SoftTransform,
        }[config.distance_transform](self.elements)
        self.r_unit = 1.0 / config.r_max
        self.zbl = ZBLRepulsion(self.elements, config.cutoff_p) if config.zbl else None
        self.zbl_scale = config.zbl_scale

        irreps = o3.Irreps([(channels, (0, 1))])
        layers = []
        for number in range(config.n_layers):
            layer = Layer(number, irreps, hidden, irreps_sh, config)
            if number > 0:
                self.exchange_widths.append(layer.irreps_edge.dim)
            layers.append(layer)
            irreps = layer.irreps_out
        self.layers = nn.ModuleList(layers)

    def forward(
        self, species: Tensor, edge_index: Tensor, edge_vec: Tensor, n_local: int
    ) -> dict[str, Tensor]:
        """Evaluate the model; see :mod:`egraff.models.base` for the contract."""
        energy = self.network_energy(species, edge_index, edge_vec, n_local)
        if self.zbl is not None:
            zbl = self.zbl(edge_lengths(edge_vec), species, edge_index, n_local)
            energy = energy + (self.zbl_scale * zbl).to(energy.dtype)
        return {"atomic_energy": energy}

    def radial_functions(self, distances: Distances) -> tuple[Tensor, Tensor | None]:
        """Return basis and late envelope (``apply_cutoff``); see :class:`ForceField`."""
        r, x, centre, neighbour = distances
        envelope = self.envelope(x)
        if self.transform is not None:
            r = self.transform(r, centre, neighbour)
            x = r * self.r_unit
        radial = self.basis(x if self.scaled_distance else r)
        if self.apply_cutoff:
            return radial * envelope[:, None], None
        return radial, envelope


def _basis(config: MACEConfig) -> nn.Module:
    if config.radial_basis == "gaussian":
        return GaussianBasis(config.n_radial, config.r_max)
    if config.radial_basis == "chebyshev":
        return ChebyshevBasis(config.n_radial)
    return BesselBasis(config.n_radial, config.r_max)


class Layer(nn.Module):
    """Interaction, product, update, readout.

    Args:
        number: position among the layers, from 0.
        irreps_in: irreps of the incoming features.
        hidden: irreps of the features between layers.
        irreps_sh: irreps of the harmonics.
        config: the model's options.
    """

    def __init__(
        self,
        number: int,
        irreps_in: o3.Irreps,
        hidden: o3.Irreps,
        irreps_sh: o3.Irreps,
        config: MACEConfig,
    ) -> None:
        super().__init__()
        first, last = number == 0, number == config.n_layers - 1
        n_species = len(config.elements)
        # nothing follows the last layer but a readout of its scalars
        self.irreps_out = hidden[:1] if last else hidden
        self.irreps_edge = _edge_irreps(irreps_in, config, first=first)
        irreps_message = _message_irreps(irreps_sh, hidden, first=first)
        self.interaction = Interaction(
            config.interaction_first if first else config.interaction,
            irreps_in=irreps_in,
            irreps_edge=self.irreps_edge,
            irreps_sh=irreps_sh,
            irreps_message=irreps_message,
            irreps_connection=self.irreps_out,
            n_radial=config.n_radial,
            radial_widths=config.radial_widths,
            n_species=n_species,
            avg_num_neighbours=config.avg_num_neighbours,
            first=first,
        )
        self.species_product = config.species_product
        self.product = SymmetricContraction(
            irreps_message,
            self.irreps_out,
            config.correlations()[number],
            n_species if config.species_product else 1,
        )
        self.linear = o3.Linear(self.irreps_out, self.irreps_out)
        n_heads, head = len(config.heads), config.heads.index(config.active_head())
        self.readout = None
        if last and not first:
            self.readout = NonLinearReadout(
                self.irreps_out, config.readout_width, config.gate, n_heads, head
            )
        elif last or not config.last_readout_only:
            self.readout = LinearReadout(self.irreps_out, n_heads, head)

    def forward(self, x: Tensor, edges: Edges, exchange: bool) -> Tensor:
        """Update the features; arguments as :class:`egraff.nn.interaction.Interaction` has them.

        Returns:
            ``[n_local, irreps_out.dim]``.
        """
        message, connection = self.interaction(x, edges, exchange)
        local = edges.species[: edges.n_local]
        if not self.species_product:
            local = torch.zeros_like(local)
        update = self.linear(self.product(message, local))
        if connection is not None:
            update = update + connection
        return update


def _edge_irreps(irreps_in: o3.Irreps, config: MACEConfig, *, first: bool) -> o3.Irreps:
    if config.edge_irreps is None:
        return irreps_in
    irreps = o3.Irreps(config.edge_irreps)
    if not first:
        return irreps
    return o3.Irreps([(irreps.count("0e"), (0, 1))]) if config.edge_irreps_first else irreps_in


def _message_irreps(irreps_sh: o3.Irreps, hidden: o3.Irreps, *, first: bool) -> o3.Irreps:
    """Return the message's irreps: those of the harmonics, and pseudotensors where hidden has any.

    As in mace-torch, it is odd scalars among the hidden irreps that ask for pseudotensors.
    """
    irreps = [block.ir for block in irreps_sh]
    if not first and hidden.count("0o") > 0:
        irreps = [o3.Irrep(order, p) for order in range(irreps_sh.lmax + 1) for p in (1, -1)]
    return o3.Irreps([(hidden[0].mul, ir) for ir in sorted(irreps)])


ops.load()
