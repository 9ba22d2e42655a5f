# SPDX-License-Identifier: GPL-2.0-or-later
"""Swap the hot blocks of a trained model for fused operators, before it is exported.

An architecture can be fused when it has a method ``embed_edges``, which returns everything that
its layers read of the edges: the harmonics, the radial basis, and possibly an envelope; and when
its layers hold a ``radial`` network and an edge ``convolution``, called as
``convolution(x, harmonics, radial(basis), edge_index, n_local)``. The fused model is a subclass
whose ``embed_edges`` hands edge vectors and species through to the fused convolutions instead.

Linear maps are swapped everywhere, MACE's symmetric contraction, named ``product``, and NequIP's
``gate``. Constant factors go into the weights (``fold_scales``). Allegro, whose states live on
edges, is replaced as a whole (:mod:`egraff.fuse_allegro`); the equivariant transformer and
Equiformer have layers of their own (:mod:`egraff.fuse_attention`, :mod:`egraff.fuse_equiformer`).
"""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass

import torch
from e3nn import o3
from e3nn.nn import Gate
from torch import Tensor, nn

from egraff.errors import EgraffError
from egraff.fuse_allegro import fuse_allegro
from egraff.fuse_attention import fuse_attention
from egraff.fuse_equiformer import can_fuse_equiformer, fuse_equiformer
from egraff.models.allegro import Allegro
from egraff.models.base import ForceField
from egraff.models.equiformer import Equiformer
from egraff.models.torchmd_net import TorchMDNet
from egraff.nn.convolution import EdgeConvolution
from egraff.nn.fused import (
    MAX_L,
    FusedEdgeConvolution,
    FusedSymmetricContraction,
    PassThrough,
    has_full_lines,
    highest_order,
)
from egraff.nn.fused_gate import FusedGate
from egraff.nn.fused_linear import FusedLinear, FusedSpeciesLinear, can_fuse_linear, fused_linear
from egraff.nn.radial_table import KNOT_NUMBERS, Taylor, tabulate
from egraff.nn.symmetric_contraction import SymmetricContraction

# Bounds on the errors of tables, relative to the largest weight of the layer and its derivative.
# float32 cannot resolve more; float64 leaves the network's own rounding far behind.
TOLERANCE = {"float32": (1e-7, 1e-6), "float64": (1e-12, 1e-10)}
# Tables for more pairs of elements than memory is good for are refused.
MAX_TABLE_BYTES = 2**30


@dataclass(frozen=True)
class Fused:
    """A fused model and what is known of its tables.

    Attributes:
        model: computes what the plain model computes, without second derivatives.
        blocks_inside: its operator goes through the edges in blocks, so that memory does not grow
            when the model sees all edges at once.
        tables: for each tabulated network: its layer's name, knots, errors (as in
            :class:`egraff.nn.radial_table.RadialTable`), bytes.
    """

    model: ForceField
    blocks_inside: bool
    tables: list[dict[str, int | float | str]]


def can_fuse(model: ForceField) -> bool:
    """Tell whether there are fused operators for this model."""
    if isinstance(model, Allegro):
        return model.norm.same  # not for a mean number of neighbours of each element
    if isinstance(model, TorchMDNet):
        return model.lower == 0.0
    if isinstance(model, Equiformer):
        return can_fuse_equiformer(model)
    layers = _layers(model).values()
    return (
        hasattr(model, "embed_edges")
        and len(layers) > 0
        and len(layers) == sum(isinstance(part, EdgeConvolution) for part in model.modules())
        and all(highest_order(layer.convolution) <= MAX_L for layer in layers)
    )


def fuse(model: ForceField) -> Fused:
    """Return a fused copy of a model.

    Args:
        model: a plain model; it is not changed.

    Raises:
        EgraffError: there are no fused operators for this architecture, or its radial networks
            cannot be tabulated.
    """
    if not can_fuse(model):
        raise EgraffError(
            f"expected a model with fused operators (features and harmonics up to l = {MAX_L}), "
            f"got {model.architecture} without\n"
            "  fix: export with --no-fuse"
        )
    if isinstance(model, Allegro):
        edges, report = fuse_allegro(
            model, tolerance=TOLERANCE[model.dtype], max_bytes=MAX_TABLE_BYTES
        )
        return Fused(edges, True, [report])
    fused = copy.deepcopy(model)
    if isinstance(model, TorchMDNet):
        return Fused(fused, False, fuse_attention(model, fused, TOLERANCE[model.dtype]))
    if isinstance(model, Equiformer):
        return Fused(fused, False, fuse_equiformer(model, fused, TOLERANCE[model.dtype]))
    reports = _fuse_convolutions(model, fused)
    dtype = getattr(torch, model.dtype)
    for module in list(fused.modules()):
        if hasattr(module, "fold_scales"):
            module.fold_scales()
        if isinstance(getattr(module, "product", None), SymmetricContraction):
            _fuse_product(module, dtype)
        for name, child in module.named_children():
            if can_fuse_linear(child):
                setattr(module, name, fused_linear(child, dtype))
    return Fused(fused, False, reports)


def _fuse_convolutions(model: ForceField, fused: ForceField) -> list[dict[str, int | float | str]]:
    """Swap the edge convolutions of ``fused``, a copy of ``model``; return what of the tables."""
    exact = copy.deepcopy(model).to(torch.float64)
    _check_harmonics(exact)
    pair_scale = model.cutoffs.pair_scale()
    cutoffs = 1.0 / pair_scale
    pairs, pair_table = _distinct_pairs(exact, cutoffs)
    layers = _layers(fused)
    reports: list[dict[str, int | float | str]] = []
    for name, exact_layer in _layers(exact).items():
        table = tabulate(
            functools.partial(_weights, exact, exact_layer.radial, pairs, cutoffs),
            tolerance=TOLERANCE[model.dtype][0],
            derivative_tolerance=TOLERANCE[model.dtype][1],
        )
        size = table.knots[:, 0].numel() * KNOT_NUMBERS * getattr(torch, model.dtype).itemsize
        if size > MAX_TABLE_BYTES:
            raise EgraffError(
                f"expected radial tables of at most {MAX_TABLE_BYTES >> 20} MiB, got "
                f"{size >> 20} MiB for {len(pairs)} pairs of elements in {name}\n"
                "  fix: export with --no-fuse"
            )
        layer = layers[name]
        parent = fused.get_submodule(name.rpartition(".")[0])
        gated = isinstance(getattr(layer, "gate", None), Gate)
        product = isinstance(getattr(parent, "product", None), SymmetricContraction)
        after = _surround(
            layer, getattr(torch, model.dtype), last_in=gated, last_out=gated or product
        )
        if gated:
            _fuse_gate(layer, getattr(torch, model.dtype))
        layer.convolution = FusedEdgeConvolution(
            exact_layer.convolution,
            table.knots.unflatten(2, (len(pairs), -1)).movedim(2, 0),
            pair_scale=pair_scale,
            pair_table=pair_table,
            dtype=getattr(torch, model.dtype),
            channels_last=after is not None,
            after=after,
        )
        layer.radial = PassThrough()
        reports.append(
            {
                "layer": name,
                "n_tables": len(pairs),
                "n_knots": table.n_knots,
                "error": table.error,
                "derivative_error": table.derivative_error,
                "bytes": layer.convolution.tables.nbytes,
            }
        )
    plain = type(model)
    mixin = _FusedEdges if _n_embeddings(exact) == 2 else _FusedEdgesNoEnvelope
    fused.__class__ = type(f"Fused{plain.__name__}", (mixin, plain), {})
    return reports


def _surround(
    layer: nn.Module, dtype: torch.dtype, *, last_in: bool, last_out: bool
) -> FusedLinear | None:
    """Fuse the linear maps before and after a convolution so that they speak its own layout.

    The one before is swapped; the one after becomes part of the convolution.

    Args:
        layer: holds the convolution and the maps.
        dtype: floating-point type of the model.
        last_in: the features that come in have the channels of each block last.
        last_out: those that go out are to have them, for MACE's product or NequIP's gate.

    Returns:
        The map after, or None: the layer is left as it was.
    """
    before, after = (getattr(layer, name) for name in layer.around_convolution)
    plain = layer.convolution
    if not (has_full_lines(plain, dtype) and can_fuse_linear(before) and can_fuse_linear(after)):
        return None
    layer.fold_scales()
    names = layer.around_convolution
    irreps_in = before.irreps_in if last_in else None
    sent = FusedLinear(before, dtype, last_in=irreps_in, last_out=True, sent=True)
    setattr(layer, names[0], sent)
    setattr(layer, names[1], PassThrough())
    return FusedLinear(after, dtype, last_in=plain.irreps_out, last_out=last_out)


def _fuse_gate(layer: nn.Module, dtype: torch.dtype) -> None:
    """Fuse NequIP's gate: from now on, what goes from layer to layer has the channels last."""
    layer.gate = FusedGate.of_e3nn(layer.gate)
    if layer.self_connection is not None:
        layer.self_connection = FusedSpeciesLinear(layer.self_connection, dtype, last=True)
    if isinstance(layer.linear_out, o3.Linear):  # the convolution keeps e3nn's layout
        layer.fold_scales()
        irreps_in = layer.linear_in.irreps_in
        layer.linear_in = FusedLinear(layer.linear_in, dtype, last_in=irreps_in, sent=True)
        layer.linear_out = FusedLinear(layer.linear_out, dtype, last_out=True)


def _fuse_product(layer: nn.Module, dtype: torch.dtype) -> None:
    """Fuse MACE's product, in the layout of the messages that `_surround` has chosen."""
    interaction, product = layer.interaction, layer.product
    channels_last = isinstance(interaction.linear, PassThrough)
    if channels_last:
        if not interaction.residual:
            interaction.skip = FusedSpeciesLinear(interaction.skip, dtype, last=True)
        layer.linear = FusedLinear(layer.linear, dtype, last_in=product.irreps_out)
    layer.product = FusedSymmetricContraction(product, dtype, channels_last=channels_last)


class _FusedEdges:
    """What a fused model does in place of its architecture."""

    def embed_edges(
        self, species: Tensor, edge_index: Tensor, edge_vec: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Hand through what fused convolutions read."""
        return edge_vec, species


class _FusedEdgesNoEnvelope:
    """The same for an architecture whose edges may have an envelope besides."""

    def embed_edges(
        self, species: Tensor, edge_index: Tensor, edge_vec: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Hand through what fused convolutions read; the envelope is in the tables."""
        return edge_vec, species, None


def _n_embeddings(model: ForceField) -> int:
    """Return how many tensors ``embed_edges`` returns."""
    no_vec = torch.zeros(0, 3, dtype=torch.float64)
    no_index = torch.zeros(2, 0, dtype=torch.int64)
    return len(model.embed_edges(torch.zeros(0, dtype=torch.int64), no_index, no_vec))


def _layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return the modules whose edge convolution can be fused, by name.

    Those that need the edges for something else too, a density of neighbours or radial functions
    that read the elements, are left out.
    """
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(getattr(module, "convolution", None), EdgeConvolution)
        and isinstance(getattr(module, "radial", None), nn.Module)
        and getattr(module, "density", None) is None
    }


def _check_harmonics(model: ForceField) -> None:
    """Make sure that the model's harmonics are those that the operator computes."""
    vectors = torch.randn(8, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    edge_index = torch.stack([torch.arange(8), torch.arange(8)])
    harmonics = model.embed_edges(torch.zeros(8, dtype=torch.int64), edge_index, vectors)[0]
    orders = list(range(round(harmonics.shape[1] ** 0.5)))
    expected = o3.spherical_harmonics(orders, vectors, True, "component")
    if expected.shape != harmonics.shape or (expected - harmonics).abs().max() > 1e-10:
        raise EgraffError(
            "expected all harmonics from l = 0 to l_max with e3nn's component normalisation, got "
            f"others in {model.architecture}\n  fix: export with --no-fuse"
        )


def _edge_functions(model: ForceField, pairs: list[int], cutoffs: Tensor, x: Tensor) -> Tensor:
    """Return what the model makes of edges of these pairs.

    Args:
        model: a plain model in float64.
        pairs: centre * n_species + neighbour.
        cutoffs: ``[n_species, n_species]``.
        x: ``[n_pairs, n]`` lengths in units of the cutoffs.

    Returns:
        ``[n_pairs, n, n_functions]``: the radial basis, and last the envelope, which is 1 where
        it is part of the basis.
    """
    n_species, n = cutoffs.shape[0], x.shape[1]
    chosen = torch.tensor(pairs)
    species = torch.stack([chosen // n_species, chosen % n_species], dim=1)
    species = species.repeat_interleave(n, dim=0).flatten()
    nodes = torch.arange(species.shape[0]).view(-1, 2).T
    lengths = (cutoffs.flatten()[chosen][:, None] * x).flatten()
    vectors = lengths[:, None] * torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    _, radial, *rest = model.embed_edges(species, nodes, vectors)
    envelope = rest[0] if rest and rest[0] is not None else torch.ones_like(radial[:, 0])
    # a term of zero, so that a constant envelope has a derivative, too
    envelope = envelope + 0.0 * lengths
    return torch.cat([radial, envelope[:, None]], dim=1).view(len(pairs), n, -1)


def _distinct_pairs(model: ForceField, cutoffs: Tensor) -> tuple[list[int], Tensor]:
    """Find pairs of elements with the same functions of the length in units of their cutoff.

    Returns:
        One pair (as centre * n_species + neighbour) for each distinct set of functions, and the
        position in that list for every pair, ``[n_species, n_species]``.
    """
    probes = torch.linspace(0.05, 0.95, 11, dtype=torch.float64)
    n_pairs = cutoffs.numel()
    with torch.no_grad():
        functions = _edge_functions(
            model, list(range(n_pairs)), cutoffs, probes.expand(n_pairs, -1)
        ).flatten(1)
    # float32 models have rounded cutoffs
    tolerance = (1e-12 if model.dtype == "float64" else 1e-6) * float(functions.abs().max())
    pairs: list[int] = []
    table = torch.zeros(n_pairs, dtype=torch.int64)
    for pair in range(n_pairs):
        differences = [float((functions[pair] - functions[k]).abs().max()) for k in pairs]
        same = [k for k, difference in enumerate(differences) if difference <= tolerance]
        if not same:
            same = [len(pairs)]
            pairs.append(pair)
        table[pair] = same[0]
    return pairs, table.view_as(cutoffs)


def _weights(
    model: ForceField, radial: nn.Module, pairs: list[int], cutoffs: Tensor, x: Tensor
) -> Taylor:
    """Return the radial weights of all pairs, ``[n, n_pairs * n_weights]``, and two derivatives."""
    lengths = x.detach().expand(len(pairs), -1).clone().requires_grad_(True)
    basis = _edge_functions(model, pairs, cutoffs, lengths)
    first, second = torch.empty_like(basis), torch.empty_like(basis)
    for k in range(basis.shape[2]):
        (slope,) = torch.autograd.grad(basis[:, :, k].sum(), lengths, create_graph=True)
        (curvature,) = torch.autograd.grad(
            slope.sum(), lengths, retain_graph=True, materialize_grads=True
        )
        first[:, :, k], second[:, :, k] = slope.detach(), curvature
    basis, first, second = (part.detach().flatten(0, 1) for part in (basis, first, second))

    # the network along the parabola that touches the basis: its derivatives are the chain rule
    def along(step: Tensor) -> Tensor:
        moved = basis + step * first + 0.5 * step**2 * second
        return radial(moved[:, :-1]) * moved[:, -1:]

    def slope_along(step: Tensor) -> tuple[Tensor, Tensor]:
        return torch.func.jvp(along, (step,), (one,))

    zero, one = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
    (value, slope), (_, curvature) = torch.func.jvp(slope_along, (zero,), (one,))
    shape = (len(pairs), x.shape[0], value.shape[1])
    value, slope, curvature = (
        part.detach().view(shape).transpose(0, 1).flatten(1) for part in (value, slope, curvature)
    )
    return value, slope, curvature
