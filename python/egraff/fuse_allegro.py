# SPDX-License-Identifier: GPL-2.0-or-later
"""Allegro with everything from edge vectors to atomic energies in one operator."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from egraff.errors import EgraffError
from egraff.models.allegro import Allegro
from egraff.models.base import ForceField
from egraff.nn.edge_program import EdgeProgram, LinearForm, side_by_side
from egraff.nn.fused_allegro import FusedEdgeEnergies
from egraff.nn.radial_table import KNOT_NUMBERS, Taylor, knots_of, tabulate

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
) -> tuple[FusedAllegro, TableReport]:
    """Return a fused copy of a model, and a report of its table.

    Args:
        model: a plain model; it is not changed.
        tolerance: bounds on the errors of tables and of their derivatives, relative to the
            largest value of the same quantity (weights of one kind, inputs of one network).
        max_bytes: bound on the size of the tables.

    Raises:
        EgraffError: the networks of the distance cannot be tabulated, or not in ``max_bytes``.
    """
    exact = copy.deepcopy(model).to(torch.float64).requires_grad_(False)
    dtype = getattr(torch, model.dtype)
    pairs, pair_table = _distinct_pairs(exact)
    for compact in (False, True):
        program = allegro_program(exact, lanes=64 // dtype.itemsize, compact=compact)
        columns, sizes = _scaled_columns(exact, pairs, program)
        functions = [functools.partial(_taylor, exact, pair, columns) for pair in pairs]
        bytes_per_knot = len(pairs) * KNOT_NUMBERS * columns.shape[1] * dtype.itemsize
        resolution = _resolution(
            functions,
            tolerance=tolerance,
            multiple=_multiple(exact) if dtype == torch.float64 else 16,
            max_knots=max_bytes // bytes_per_knot,
        )
        if resolution is not None:
            break
    else:
        raise EgraffError(
            f"expected radial tables of at most {max_bytes >> 20} MiB, got more for {len(pairs)} "
            "pairs of elements\n"
            "  fix: export with --no-fuse or, from float64, with --dtype float32"
        )
    n_knots, error, derivative_error = resolution
    edges = FusedEdgeEnergies(
        program,
        [knots_of(function, n_knots - 1) * sizes for function in functions],
        pair_scale=model.cutoffs.pair_scale(),
        pair_table=pair_table,
        dtype=dtype,
    )
    report: TableReport = {
        "layer": "two_body",
        "n_tables": len(pairs),
        "n_knots": n_knots,
        "error": error,
        "derivative_error": derivative_error,
        "bytes": n_knots * bytes_per_knot,
    }
    return FusedAllegro(model, edges).eval(), report


def allegro_program(model: Allegro, *, lanes: int, compact: bool = False) -> EdgeProgram:
    """Return the steps from the two-body network's outputs to edge energies.

    Args:
        model: a plain model.
        lanes: numbers in 64 bytes of the type in which the program will run.
        compact: tabulate the two-body network's outputs alone, and multiply them for every edge,
            instead of all that is linear in them: tables are several times smaller, and their
            reading that much slower.
    """
    program = EdgeProgram(
        lanes=lanes,
        n_functions=model.n_scalars,
        l_max=model.config.l_max,
        n_channels=model.n_tensors,
    )
    n_groups, individual = model.environment.n_groups, model.config.individual_weights
    n_scalars = model.n_scalars
    two_body = program.stored(program.functions) if compact else program.functions
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
        readers = [later.network for later in model.layers[number + 1 :]] + [model.readout]
        n_read = sum(network.weights[0].shape[1] for network in readers)
        new = program.stored_if_cheaper(new.columns(0, n_scalars), n_read)
        latents = _updated(latents, new, layer.update_ratio)
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


def _scaled_columns(
    model: Allegro, pairs: list[int], program: EdgeProgram
) -> tuple[Tensor, Tensor]:
    """Scale the columns of the tables so that errors are relative to their own kind.

    Returns:
        Columns ``[n_scalars, n_columns]``, of which those of one kind are at most about 1 in the
        table, and ``[n_columns]``, by which they were divided.
    """
    two_body = _two_body(model, pairs, torch.linspace(0.02, 1.0, 101, dtype=torch.float64))
    sizes = []
    for part in program.table_columns:
        largest = float((two_body @ part).abs().max())
        sizes.append(torch.full((part.shape[1],), largest or 1.0, dtype=torch.float64))
    size = torch.cat(sizes)
    return torch.cat(program.table_columns, dim=1) / size, size


def _resolution(
    functions: Sequence[Callable[[Tensor], Taylor]],
    *,
    tolerance: tuple[float, float],
    multiple: int,
    max_knots: int,
) -> tuple[int, float, float] | None:
    """Find a number of knots that is enough for every function, one after the other.

    Returns:
        Their number, and bounds on the errors of values and of derivatives; None as soon as a
        function takes more than ``max_knots``.
    """
    n_knots, error, derivative_error = 17, 0.0, 0.0
    for function in functions:
        table = tabulate(
            function,
            tolerance=tolerance[0],
            derivative_tolerance=tolerance[1],
            n_intervals=n_knots - 1,
            multiple=multiple,
        )
        n_knots = table.n_knots
        error = max(error, table.error)
        derivative_error = max(derivative_error, table.derivative_error)
        if n_knots > max_knots:
            return None
    return n_knots, error, derivative_error


def _multiple(model: Allegro) -> int:
    """Return of what the number of intervals is a multiple if it is to be large.

    The functions of a spline have ends where their fourth derivative jumps, at multiples of
    1 / n_splines; the error falls with a lower power of the spacing unless these are knots.
    """
    if model.two_body.spline is None:
        return 16
    n_splines = model.two_body.spline.n_splines
    # 1 - GRID_START is 49/50
    return 49 * n_splines // math.gcd(n_splines, 50)


def _taylor(model: Allegro, pair: int, columns: Tensor, x: Tensor) -> Taylor:
    """Return all columns for a pair of elements, ``[n, n_columns]``, and two derivatives."""
    one = torch.ones_like(x)

    def slope(x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.func.jvp(functools.partial(_two_body, model, [pair]), (x,), (one,))

    (value, first), (_, second) = torch.func.jvp(slope, (x,), (one,))
    value, first, second = (part.detach()[:, 0] @ columns for part in (value, first, second))
    return value, first, second
