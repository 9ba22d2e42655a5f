# SPDX-License-Identifier: GPL-2.0-or-later
"""NequIP, BOTNet and MACE: layers with an edge convolution whose weights a radial network makes.

Linear maps around a convolution use its layout where its channels fill cache lines; so do NequIP's
gate and MACE's product. Constant factors go into the weights.
"""

from __future__ import annotations

import math

import torch
from e3nn import o3
from torch import Tensor, nn

from egraff.errors import EgraffError
from egraff.fusion.contraction import FusedSymmetricContraction
from egraff.fusion.convolution import (
    MAX_L,
    FusedEdgeConvolution,
    PassThrough,
    has_full_lines,
    highest_order,
)
from egraff.fusion.gate import FusedGate
from egraff.fusion.linear import FusedLinear, FusedSpeciesLinear, can_fuse_linear
from egraff.fusion.radial_grid import EVEN
from egraff.fusion.registry import Fusion, form_of, fuse_parts, fused, fused_form
from egraff.models import botnet, mace, nequip
from egraff.models.base import ForceField
from egraff.nn.convolution import EdgeConvolution
from egraff.nn.edges import Distances, Edges
from egraff.nn.interaction import Interaction, neighbour_share
from egraff.nn.species import SpeciesLinear


def every_convolution_has_a_form(model: ForceField) -> bool:
    """Tell whether every edge convolution of a model is in a layer with a fused form."""
    plain = [part for part in model.modules() if isinstance(part, EdgeConvolution)]
    fusable = [
        part.convolution
        for part in model.modules()
        if isinstance(getattr(part, "convolution", None), EdgeConvolution) and form_of(part)
    ]
    return 0 < len(plain) == len(fusable)


@fused_form(nequip.NequIP, botnet.BOTNet, mace.MACE, accepts=every_convolution_has_a_form)
def fuse_layers(model: ForceField, fusion: Fusion, name: str) -> ForceField:
    """Swap the parts of a model with harmonics and a radial basis."""
    check_harmonics(fusion.model64)
    return fuse_parts(model, fusion, name)


@fused_form(nequip.Interaction, accepts=lambda layer: highest_order(layer.convolution) <= MAX_L)
def fuse_nequip_interaction(
    layer: nequip.Interaction, fusion: Fusion, name: str
) -> nequip.Interaction:
    """Swap the parts of a layer; what goes from layer to layer has the channels last."""
    surrounded = fuse_convolution(layer, fusion, name, last_in=True, last_out=True)
    layer.fold_scales()
    layer.gate = FusedGate.of_e3nn(layer.gate)
    if layer.self_connection is not None:
        layer.self_connection = _fused_self_connection(layer.self_connection, fusion.dtype)
    if not surrounded:  # the convolution keeps e3nn's layout
        irreps_in = layer.linear_in.irreps_in
        layer.linear_in = FusedLinear(layer.linear_in, fusion.dtype, last_in=irreps_in, sent=True)
        layer.linear_out = FusedLinear(layer.linear_out, fusion.dtype, last_out=True)
    return layer


def _fused_self_connection(plain: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Return the form of a self-connection between rows with the channels last."""
    if isinstance(plain, SpeciesLinear):
        return FusedSpeciesLinear(plain, dtype, last=True)
    irreps_in = plain.linear.irreps_in
    plain.linear = FusedLinear(plain.linear, dtype, last_in=irreps_in, last_out=True)
    return plain


def can_fuse_interaction(layer: Interaction) -> bool:
    """Tell whether all that the layer reads of the edges is in its convolution.

    Radial functions that read the neighbour's element are not. A density of neighbours becomes a
    convolution of its own.
    """
    return layer.radial is not None and highest_order(layer.convolution) <= MAX_L


@fused_form(Interaction, accepts=can_fuse_interaction)
def fuse_interaction(layer: Interaction, fusion: Fusion, name: str) -> Interaction:
    """Swap the parts of an interaction."""
    fuse_convolution(layer, fusion, name, last_in=False, last_out=False)
    layer.fold_scales()
    return fuse_parts(layer, fusion, name)


@fused_form(mace.Layer, accepts=lambda layer: form_of(layer.interaction) is not None)
def fuse_mace_layer(layer: mace.Layer, fusion: Fusion, name: str) -> mace.Layer:
    """Swap the parts of a layer, with the product in the layout of the messages."""
    interaction, product = layer.interaction, layer.product
    channels_last = fuse_convolution(
        interaction, fusion, f"{name}.interaction", last_in=False, last_out=True
    )
    interaction.fold_scales()
    if channels_last:
        if not interaction.residual:
            interaction.skip = FusedSpeciesLinear(interaction.skip, fusion.dtype, last=True)
        layer.linear = FusedLinear(layer.linear, fusion.dtype, last_in=product.irreps_out)
    layer.product = FusedSymmetricContraction(product, fusion.dtype, channels_last=channels_last)
    fuse_parts(interaction, fusion, f"{name}.interaction")
    layer.linear = fused(layer.linear, fusion, f"{name}.linear")
    if layer.readout is not None:
        layer.readout = fused(layer.readout, fusion, f"{name}.readout")
    return layer


def fuse_convolution(
    layer: nn.Module, fusion: Fusion, name: str, *, last_in: bool, last_out: bool
) -> bool:
    """Swap a layer's convolution and, if it takes their layout, the linear maps around it.

    The map before is swapped; the one after becomes part of the convolution.

    Args:
        layer: holds ``convolution``, ``radial`` and the maps named in ``around_convolution``.
        fusion: of the model.
        name: of the layer.
        last_in: the features that come in have the channels of each block last.
        last_out: those that go out are to have them.

    Returns:
        Whether the maps have been swapped.
    """
    plain64 = fusion.model64.get_submodule(name)

    def weights(distances: Distances) -> Tensor:
        radial, envelope = fusion.model64.radial_functions(distances)
        made = plain64.radial(radial)
        return made if envelope is None else made * envelope[:, None]

    kink = fusion.model64.radial_kink()
    tables = fusion.tables.add(name, weights, zero_at_cutoff=kink is None, grids=EVEN, kink=kink)
    plain = layer.convolution
    maps = [getattr(layer, part) for part in layer.around_convolution]
    surround = has_full_lines(plain, fusion.dtype) and all(
        isinstance(part, o3.Linear) and can_fuse_linear(part) for part in maps
    )
    after = None
    if surround:
        layer.fold_scales()
        irreps_in = maps[0].irreps_in if last_in else None
        sent = FusedLinear(maps[0], fusion.dtype, last_in=irreps_in, last_out=True, sent=True)
        after = FusedLinear(maps[1], fusion.dtype, last_in=plain.irreps_out, last_out=last_out)
        setattr(layer, layer.around_convolution[0], sent)
        setattr(layer, layer.around_convolution[1], PassThrough())
    layer.convolution = FusedEdgeConvolution(
        plain64.convolution, tables, dtype=fusion.dtype, channels_last=surround, after=after
    )
    layer.radial = PassThrough()
    if getattr(layer, "density", None) is not None:
        layer.count = FusedNeighbourCount(fusion, name)
        layer.density = PassThrough()
    return surround


class FusedNeighbourCount(nn.Module):
    """Drop-in replacement for `NeighbourCount`: a convolution of ones, with the shares in a table.

    Args:
        fusion: of the model.
        name: of the layer with the density.
    """

    def __init__(self, fusion: Fusion, name: str) -> None:
        super().__init__()
        plain64 = fusion.model64.get_submodule(name)

        def share(distances: Distances) -> Tensor:
            radial, envelope = fusion.model64.radial_functions(distances)
            return neighbour_share(plain64.density(radial), envelope)[:, None]

        kink = fusion.model64.radial_kink()
        tables = fusion.tables.add(
            f"{name}.density", share, zero_at_cutoff=kink is None, grids=EVEN, kink=kink
        )
        scalar = o3.Irreps("1x0e")
        self.convolution = FusedEdgeConvolution(
            EdgeConvolution(scalar, scalar, scalar), tables, dtype=fusion.dtype
        )

    def forward(self, edges: Edges, density: Tensor) -> Tensor:
        """Sum over the edges of each centre.

        Args:
            edges: those of the graph.
            density: not read; it is in the table.

        Returns:
            ``[n_local]``.
        """
        vector = edges.vector
        ones = torch.ones(edges.species.shape[0], 1, dtype=vector.dtype, device=vector.device)
        return self.convolution(ones, edges, density)[:, 0]


def check_harmonics(model: ForceField) -> None:
    """Make sure that a model's harmonics are those that the operator computes.

    Raises:
        EgraffError: they are others.
    """
    vectors = torch.randn(8, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    harmonics = model.harmonics(vectors)
    orders = list(range(round(harmonics.shape[1] ** 0.5)))
    expected = o3.spherical_harmonics(orders, vectors, True, "component")
    same_shape = expected.shape == harmonics.shape
    difference = float((expected - harmonics).abs().max()) if same_shape else math.inf
    if not difference <= 1e-10:
        raise EgraffError(
            "expected all harmonics from l = 0 to l_max with e3nn's component normalisation, got "
            f"{harmonics.shape[1]} that differ by {difference:.1e} in {model.architecture}\n"
            "  fix: export with --no-fuse"
        )
