# SPDX-License-Identifier: GPL-2.0-or-later
"""NequIP: E(3)-equivariant message passing.

S. Batzner, A. Musaelian, L. Sun, M. Geiger, J. P. Mailoa, M. Kornbluth, N. Molinari, T. E. Smidt,
B. Kozinsky, Nat. Commun. 13, 2453 (2022), arXiv:2101.03164. The details follow nequip 0.19: no
self-connection in the first layer and no biases, so that an isolated atom has exactly its
reference energy. SevenNet (Y. Park, J. Kim, S. Hwang, S. Han, J. Chem. Theory Comput. 20, 4857
(2024)) is the same network without parity, with a self-connection in every layer and another
envelope: see ``group``, ``self_connection``, ``first_self_connection``, ``xplor_onset``. With a
self-connection in the first layer an isolated atom has an energy beyond its reference.

    h_i^0     = embedding of the element of i
    L_i^t     = 1/sqrt(N) sum_j R^t(r_ij) . (W_1 h_j^(t-1) (x) Y(r_ij))     interaction
    h_i^t     = gate( W_2 L_i^t + W_sc[Z_i] h_i^(t-1) )                     update
    E_i       = shift[Z_i] + scale[Z_i] MLP(h_i^T)                          readout

====================  ==========================================================
paper                 here
====================  ==========================================================
r_c                   ``r_max``
R (radial network)    ``Interaction.radial``: Bessel basis x envelope -> MLP
Y                     ``NequIP.harmonics``
(x), C                ``Interaction.convolution`` (uvu product with Clebsch-Gordan)
W_1, W_2              ``Interaction.linear_in``, ``Interaction.linear_out``
self-interaction W_sc ``Interaction.self_connection`` (one map per element)
gate                  ``Interaction.gate`` (SiLU and tanh, e3nn's Gate)
sigma, mu             ``energy_scale``, ``energy_shift``
====================  ==========================================================
"""

from __future__ import annotations

from typing import ClassVar

import torch
from e3nn import o3
from e3nn.nn import Gate
from torch import Tensor, nn

from egraff import ops
from egraff.models.base import ForceField
from egraff.models.nequip_config import NequIPConfig
from egraff.models.originals import NEQUIP_RECIPE, Original
from egraff.models.registry import register
from egraff.nn.convolution import EdgeConvolution
from egraff.nn.edges import Distances, Edges
from egraff.nn.radial import BesselBasis, PolynomialCutoff, RadialNetwork, XplorCutoff
from egraff.nn.species import CommonLinear, NeighbourNorm, SpeciesLinear

SEVENNET = (
    "SevenNet: Y. Park et al., J. Chem. Theory Comput. 20, 4857 (2024), "
    "doi:10.1021/acs.jctc.4c00190"
)


@register
class NequIP(ForceField):
    """The NequIP force field; see the module's text for the equations."""

    architecture = "nequip"
    citations: ClassVar[list[str]] = [
        "NequIP: S. Batzner et al., Nat. Commun. 13, 2453 (2022), doi:10.1038/s41467-022-29939-5",
    ]
    Config = NequIPConfig
    original = Original("nequip", NEQUIP_RECIPE)

    def __init__(self, config: NequIPConfig) -> None:
        super().__init__(config)
        scalars = config.multiplicities()[0]
        vector = o3.Irrep(1, config.harmonic_parity())
        irreps_sh = o3.Irreps.spherical_harmonics(config.l_max, vector.p)

        self.harmonics = o3.SphericalHarmonics(irreps_sh, True, "component", o3.Irreps([vector]))
        self.basis = BesselBasis(config.n_bessel, config.r_max, trainable=config.bessel_trainable)
        self.envelope: nn.Module = PolynomialCutoff(config.cutoff_p)
        if config.xplor_onset is not None:
            self.envelope = XplorCutoff(config.xplor_onset)
        self.embedding = nn.Embedding(self.n_species, config.n_type_features or scalars)

        irreps = o3.Irreps([(self.embedding.embedding_dim, (0, 1))])
        layers = []
        for number in range(config.n_layers):
            last = number == config.n_layers - 1
            wanted = o3.Irreps([(scalars, (0, 1))]) if last else config.hidden_irreps()
            layer = Interaction(irreps, irreps_sh, wanted, config, first=number == 0)
            if number > 0:
                self.exchange_widths.append(irreps.dim)
            layers.append(layer)
            irreps = layer.irreps_out
        self.layers = nn.ModuleList(layers)

        hidden = [config.readout_width or scalars] * config.readout_depth
        self.readout = RadialNetwork([scalars, *hidden, 1])
        self.scale_shift = config.scale_shift()

    def forward(
        self, species: Tensor, edge_index: Tensor, edge_vec: Tensor, n_local: int
    ) -> dict[str, Tensor]:
        """Evaluate the model; see :mod:`egraff.models.base` for the contract."""
        edges = self.embed_edges(species, edge_index, edge_vec, n_local)
        features = self.embedding(species)
        for layer in self.layers:
            features = layer(features, edges)
        energy = self.readout(features)[:, 0]
        return {"atomic_energy": self.scale_shift(energy, species[:n_local])}

    def radial_functions(self, distances: Distances) -> tuple[Tensor, Tensor | None]:
        """Return the Bessel functions under the envelope; see :class:`ForceField`."""
        x = distances.scaled
        return self.basis(x) * self.envelope(x)[:, None], None

    def cited(self) -> list[str]:
        """Return the papers; networks without parity are SevenNet's, too."""
        return super().cited() + ([SEVENNET] if self.config.group == "so3" else [])

    def radial_kink(self) -> float | None:
        """Return the onset of X-PLOR's envelope; see :class:`ForceField`."""
        return self.config.xplor_onset


class Interaction(nn.Module):
    """One interaction layer: linear map, edge convolution, self-connection, gate.

    Args:
        irreps_in: irreps of the features that come in.
        irreps_sh: irreps of the harmonics.
        irreps_wanted: irreps of the features that go out, as far as a path leads to them.
        config: the model's options.
        first: whether this is the first layer, whose input is known for ghosts too.
    """

    #: linear maps of what the convolution reads and of what it gives (:mod:`egraff.fusion`)
    around_convolution = ("linear_in", "linear_out")

    def __init__(
        self,
        irreps_in: o3.Irreps,
        irreps_sh: o3.Irreps,
        irreps_wanted: o3.Irreps,
        config: NequIPConfig,
        *,
        first: bool,
    ) -> None:
        super().__init__()
        reachable = {out for _, a in irreps_in for _, b in irreps_sh for out in a * b}
        scalars = o3.Irreps([block for block in irreps_wanted if block.ir.l == 0])
        scalars = o3.Irreps([block for block in scalars if block.ir in reachable])
        tensors = o3.Irreps(
            [block for block in irreps_wanted if block.ir.l > 0 and block.ir in reachable]
        )
        # a product of polar tensors always reaches 0e; a pseudoscalar gate is the last resort
        gate_ir = o3.Irrep("0e") if o3.Irrep("0e") in reachable else o3.Irrep("0o")
        gates = o3.Irreps([(block.mul, gate_ir) for block in tensors])
        self.gate = Gate(
            scalars,
            [_activation(block.ir.p) for block in scalars],
            gates,
            [_activation(block.ir.p) for block in gates],
            tensors,
        )
        self.irreps_out = self.gate.irreps_out.simplify()

        self.irreps_sh = irreps_sh
        self.first = first
        self.resnet = config.resnet and not first and irreps_in == self.irreps_out
        self.norm = NeighbourNorm(config.neighbour_counts())
        before_gate = self.gate.irreps_in.simplify()
        self.linear_in = o3.Linear(irreps_in, irreps_in)
        self.convolution = EdgeConvolution(irreps_in, irreps_sh, before_gate)
        hidden = [config.radial_width] * config.radial_depth
        self.radial = RadialNetwork([config.n_bessel, *hidden, self.convolution.n_weights])
        self.linear_out = o3.Linear(self.convolution.irreps_out.simplify(), before_gate)
        self.self_connection: nn.Module | None = None
        if config.first_self_connection or not first:
            self.self_connection = (
                SpeciesLinear(irreps_in, before_gate, len(config.elements))
                if config.self_connection == "elements"
                else CommonLinear(irreps_in, before_gate)
            )

    def fold_scales(self) -> None:
        """Put the constant factor of the messages into the weights: no array is scaled any more."""
        if self.norm.same and self.norm.factor != 1.0:
            self.linear_in.weight.data.mul_(self.norm.factor)
            self.norm.factor = 1.0

    def forward(self, x: Tensor, edges: Edges) -> Tensor:
        """Update the features.

        Args:
            x: ``[n_nodes, irreps_in.dim]`` in the first layer, ``[n_local, irreps_in.dim]`` later.
            edges: those of the graph.

        Returns:
            ``[n_local, irreps_out.dim]``.
        """
        species = edges.species
        sent = self.norm(self.linear_in(x), species[: x.shape[0]])
        if not self.first:
            sent = torch.ops.egraff.ghost_exchange(sent, species.shape[0])
        update = self.linear_out(self.convolution(sent, edges, self.radial(edges.radial)))
        if self.self_connection is not None:
            n_local = edges.n_local
            update = update + self.self_connection(x[:n_local], species[:n_local])
        update = self.gate(update)
        if self.resnet:
            update = update + x
        return update


def _activation(parity: int):
    """Return SiLU for even scalars, tanh for odd ones, which must change sign with their input."""
    return nn.functional.silu if parity == 1 else torch.tanh


ops.load()
