# SPDX-License-Identifier: GPL-2.0-or-later
"""Allegro with everything from edge vectors to atomic energies in one operator."""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import ClassVar

import torch
from torch import Tensor

from egraff.fusion.distance_tables import Functions, TableSizeError
from egraff.fusion.edge_energies import FusedEdgeEnergies
from egraff.fusion.edge_program import EdgeProgram, LinearForm, side_by_side
from egraff.fusion.layout import lanes_of
from egraff.fusion.radial_grid import EVEN, GRID_START
from egraff.fusion.registry import Fusion, fused_form
from egraff.models.allegro import Allegro
from egraff.models.base import ForceField
from egraff.nn.edges import Distances


class FusedAllegro(ForceField):
    """Computes what the plain model computes, without second derivatives.

    Args:
        plain: the model to replace.
        edges: its edges.
    """

    architecture = Allegro.architecture
    citations: ClassVar[list[str]] = Allegro.citations
    Config = Allegro.Config
    blocks_inside = True

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


# not for a mean number of neighbours of each element
@fused_form(Allegro, accepts=lambda model: model.norm.same)
def fuse_allegro(model: Allegro, fusion: Fusion, _: str) -> FusedAllegro:
    """Replace a model as a whole."""
    try:
        edges = edge_energies(fusion)
    except TableSizeError:
        edges = edge_energies(fusion, compact=True)
    return FusedAllegro(model, edges).eval()


def edge_energies(fusion: Fusion, *, compact: bool = False) -> FusedEdgeEnergies:
    """Return what makes the energies of a model's edges; see :func:`allegro_program`."""
    model = fusion.model64
    program = allegro_program(model, lanes=lanes_of(fusion.dtype), compact=compact)

    def two_body(distances: Distances) -> Tensor:
        return model.embedding_network(model.two_body(distances))

    columns, sizes = _scaled_columns(fusion, two_body, program)
    tables = fusion.tables.add(
        "two_body",
        lambda distances: two_body(distances) @ columns,
        zero_at_cutoff=True,
        grids=EVEN,
        multiple=_multiple(model) if fusion.dtype == torch.float64 else 16,
    )
    knots = [table * sizes for table in tables.knots]
    return FusedEdgeEnergies(program, dataclasses.replace(tables, knots=knots), dtype=fusion.dtype)


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


def _scaled_columns(
    fusion: Fusion, two_body: Functions, program: EdgeProgram
) -> tuple[Tensor, Tensor]:
    """Scale the columns of the tables so that errors are relative to their own kind.

    Returns:
        Columns ``[n_scalars, n_columns]``, of which those of one kind are at most about 1 in the
        table, and ``[n_columns]``, by which they were divided.
    """
    x = torch.linspace(GRID_START, 1.0, 101, dtype=torch.float64)
    every = torch.stack(
        [two_body(fusion.tables.at(pair, x)) for pair in range(fusion.model64.n_species**2)]
    )
    sizes = []
    for part in program.table_columns:
        largest = float((every @ part).abs().max())
        sizes.append(torch.full((part.shape[1],), largest or 1.0, dtype=torch.float64))
    size = torch.cat(sizes)
    return torch.cat(program.table_columns, dim=1) / size, size


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
