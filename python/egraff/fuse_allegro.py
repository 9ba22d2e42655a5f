# SPDX-License-Identifier: GPL-2.0-or-later
"""Allegro with everything from edge vectors to atomic energies in one operator."""

from __future__ import annotations

import copy
import functools
import math
from typing import ClassVar

import torch
from torch import Tensor

from egraff.errors import EgraffError
from egraff.models.allegro import Allegro
from egraff.models.base import ForceField
from egraff.nn.edge_program import EdgeProgram, LinearForm, side_by_side
from egraff.nn.fused_allegro import FusedEdgeEnergies
from egraff.nn.radial_table import RadialTable, Taylor, tabulate

TableReport = dict[str, int | float | str]


class FusedAllegro(ForceField):
    """Computes what the plain model computes, without second derivatives.

    Args:
        plain: the model to replace.
        edges: its edges.
    """

    architecture = Allegro.architecture
    citations: ClassVar[list[str]] = Allegro.citations
    Config = Allegro.Config

    def __init__(self, plain: Allegro, edges: FusedEdgeEnergies) -> None:
        super().__init__(plain.config)
        self.edges = edges
        self.scale_shift = copy.deepcopy(plain.scale_shift)

    def forward(
        self, species: Tensor, edge_index: Tensor, edge_vec: Tensor, n_local: int
    ) -> dict[str, Tensor]:
        """Evaluate the model; see :mod:`egraff.models.base` for the contract."""
        energy = self.edges(edge_vec, species, edge_index, n_local)
        return {"atomic_energy": self.scale_shift(energy, species[:n_local])}


def fuse_allegro(
    model: Allegro, *, tolerance: tuple[float, float], max_bytes: int
) -> tuple[FusedAllegro, list[TableReport]]:
    """Return a fused copy of a model, and a report of its tables.

    Args:
        model: a plain model; it is not changed.
        tolerance: bounds on the errors of tables and of their derivatives, relative to the
            largest value of the same quantity (weights of one kind, inputs of one network).
        max_bytes: bound on the size of the tables.

    Raises:
        EgraffError: the networks of the distance cannot be tabulated, or not in ``max_bytes``.
    """
    exact = copy.deepcopy(model).to(torch.float64)
    dtype = getattr(torch, model.dtype)
    program = allegro_program(exact, lanes=64 // dtype.itemsize)
    n_species = model.n_species
    cutoffs = torch.tensor(
        model.pair_cutoffs or [[model.r_max] * n_species] * n_species, dtype=torch.float64
    )
    pairs, pair_table = _distinct_pairs(exact)
    table = _table(exact, pairs, program, tolerance)
    size = table.knots.numel() * dtype.itemsize
    if size > max_bytes:
        raise EgraffError(
            f"expected radial tables of at most {max_bytes >> 20} MiB, got {size >> 20} MiB for "
            f"{len(pairs)} pairs of elements\n  fix: export with --no-fuse"
        )
    edges = FusedEdgeEnergies(
        program,
        table.knots.unflatten(2, (len(pairs), -1)).movedim(2, 0),
        pair_scale=1.0 / cutoffs,
        pair_table=pair_table,
        dtype=dtype,
    )
    report: TableReport = {
        "layer": "two_body",
        "n_tables": len(pairs),
        "n_knots": table.n_knots,
        "error": table.error,
        "derivative_error": table.derivative_error,
        "bytes": size,
    }
    return FusedAllegro(model, edges).eval(), [report]


def allegro_program(model: Allegro, *, lanes: int) -> EdgeProgram:
    """Return the steps from the two-body network's outputs to edge energies.

    Args:
        model: a plain model.
        lanes: numbers in 64 bytes of the type in which the program will run.
    """
    program = EdgeProgram(
        lanes=lanes,
        n_functions=model.n_scalars,
        l_max=model.config.l_max,
        n_channels=model.n_tensors,
    )
    n_groups, individual = model.environment.n_groups, model.config.individual_weights
    n_scalars = model.n_scalars
    two_body = program.functions
    tensors = program.weights(
        program.network(two_body, model.tensor_weights), model.first_tensors.n_groups
    )
    new = program.network(two_body, model.first_projection)
    latents, weights = new.columns(0, n_scalars), new.columns(n_scalars, new.width)
    for number, layer in enumerate(model.layers):
        tensors = program.product(
            tensors,
            program.weights(weights, n_groups),
            layer.product,
            individual=individual,
            scale=model.norm.factor,
            first=number == 0,
        )
        scalars = program.first_components(tensors)
        new = program.network(side_by_side(latents, scalars), layer.network)
        weights = new.columns(n_scalars, new.width)
        latents = _updated(latents, new.columns(0, n_scalars), layer.update_ratio)
    energy = program.network(latents, model.readout)
    # each pair is counted from both ends: two independent terms for one unit of variance
    factor = torch.full((1, 1), model.norm.factor / math.sqrt(2.0), dtype=torch.float64)
    program.buffer(energy.times(factor))
    return program


def _updated(latents: LinearForm, new: LinearForm, update_ratio: Tensor | None) -> LinearForm:
    if update_ratio is None:
        return side_by_side(latents, new)
    ratio = torch.sigmoid(update_ratio.detach().double())
    scale = torch.rsqrt(1.0 + ratio * ratio)
    eye = torch.eye(latents.width, dtype=torch.float64)
    return latents.times(scale * eye) + new.times(scale * ratio * eye)


def _two_body(model: Allegro, pairs: list[int], x: Tensor) -> Tensor:
    """Return what the two-body network makes of ``x`` ``[n]``: ``[n, n_pairs, n_scalars]``."""
    pair = torch.tensor(pairs).expand(x.shape[0], -1).flatten()
    embedding = model.two_body(
        x[:, None].expand(-1, len(pairs)).flatten(),
        pair // model.n_species,
        pair % model.n_species,
        pair,
    )
    return model.embedding_network(embedding).view(x.shape[0], len(pairs), -1)


def _distinct_pairs(model: Allegro) -> tuple[list[int], Tensor]:
    """Find pairs of elements with the same functions of the length in units of their cutoff.

    Returns:
        One pair (as centre * n_species + neighbour) for each distinct set of functions, and the
        position in that list for every pair, ``[n_species, n_species]``.
    """
    n_pairs = model.n_species**2
    probes = torch.linspace(0.05, 0.95, 11, dtype=torch.float64)
    with torch.no_grad():
        functions = _two_body(model, list(range(n_pairs)), probes).transpose(0, 1).flatten(1)
    pairs: list[int] = []
    table = torch.zeros(n_pairs, dtype=torch.int64)
    for pair in range(n_pairs):
        same = [
            k for k, other in enumerate(pairs) if torch.equal(functions[pair], functions[other])
        ]
        if not same:
            same = [len(pairs)]
            pairs.append(pair)
        table[pair] = same[0]
    return pairs, table.view(model.n_species, model.n_species)


def _table(
    model: Allegro, pairs: list[int], program: EdgeProgram, tolerance: tuple[float, float]
) -> RadialTable:
    """Tabulate the program's columns for all pairs, ``[n_knots, 3, n_pairs * n_columns]``."""
    columns = torch.cat(program.table_columns, dim=1)
    # every kind of column is held to the tolerance by itself
    probes = torch.linspace(0.02, 1.0, 101, dtype=torch.float64)
    with torch.no_grad():
        two_body = _two_body(model, pairs, probes)
        sizes = [float((two_body @ part).abs().max()) for part in program.table_columns]
    widths = [part.shape[1] for part in program.table_columns]
    size = torch.cat(
        [
            torch.full((width,), value or 1.0, dtype=torch.float64)
            for width, value in zip(widths, sizes, strict=True)
        ]
    )
    table = tabulate(
        functools.partial(_taylor, model, pairs, columns / size),
        tolerance=tolerance[0],
        derivative_tolerance=tolerance[1],
    )
    return RadialTable(table.knots * size.repeat(len(pairs)), table.error, table.derivative_error)


def _taylor(model: Allegro, pairs: list[int], columns: Tensor, x: Tensor) -> Taylor:
    """Return all columns for all pairs, ``[n, n_pairs * n_columns]``, and two derivatives."""
    one = torch.ones_like(x)

    def slope(x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.func.jvp(functools.partial(_two_body, model, pairs), (x,), (one,))

    (value, first), (_, second) = torch.func.jvp(slope, (x,), (one,))
    value, first, second = ((part.detach() @ columns).flatten(1) for part in (value, first, second))
    return value, first, second
