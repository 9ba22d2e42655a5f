# SPDX-License-Identifier: GPL-2.0-or-later
"""A fused edge convolution, the plain one it replaces, and random graphs to compare them on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from e3nn import o3
from torch import Tensor

from egraff import ops
from egraff.fusion.convolution import FusedEdgeConvolution
from egraff.fusion.distance_tables import PairTables
from egraff.fusion.radial_table import RadialTable, evaluate, tabulate
from egraff.nn.convolution import EdgeConvolution
from egraff.nn.edges import bare_edges
from tests.ops.random_graphs import random_graph

ops.load()

CUTOFFS = torch.tensor([[4.0, 3.0], [3.5, 4.0]], dtype=torch.float64)
RELATIVE = {torch.float32: 2e-5, torch.float64: 1e-11}


def smooth_weights(n_weights: int):
    """Return functions of x with a double zero at 1, with their derivatives: known by heart."""
    k = torch.arange(1, n_weights + 1, dtype=torch.float64) % 7 + 1

    def taylor(x: Tensor):
        x = x[:, None]
        u, du, ddu = (1 - x) ** 3, -3 * (1 - x) ** 2, 6 * (1 - x)
        s, ds, dds = torch.sin(k * x + k), k * torch.cos(k * x + k), -k * k * torch.sin(k * x + k)
        return u * s, du * s + u * ds, ddu * s + 2 * du * ds + u * dds

    return taylor


@dataclass
class Case:
    """Both forms of one convolution, and a graph.

    The plain form takes its weights from the same table, so that what is compared is the operator
    and not the quality of the table.
    """

    plain: EdgeConvolution
    fused: FusedEdgeConvolution
    table: RadialTable
    x: Tensor
    edge_vec: Tensor
    species: Tensor
    edge_index: Tensor
    n_local: int

    def run_fused(self, x: Tensor, edge_vec: Tensor) -> Tensor:
        """Evaluate the operator."""
        edges = bare_edges(self.species, self.edge_index, edge_vec, self.n_local)
        return self.fused(x, edges, edges.radial)

    def run_plain(self, x: Tensor, edge_vec: Tensor) -> Tensor:
        """Evaluate the plain form in float64."""
        x, edge_vec = x.to(torch.float64), edge_vec.to(torch.float64)
        l_max = round(self.plain.products[0].coupling.shape[0] ** 0.5) - 1
        harmonics = o3.spherical_harmonics(list(range(l_max + 1)), edge_vec, True, "component")
        centre, neighbour = self.species[self.edge_index]
        scaled = torch.linalg.vector_norm(edge_vec, dim=1) / CUTOFFS[centre, neighbour]
        value, _ = evaluate(self.table.knots, scaled.clamp(max=1.0))
        weights = value * (scaled < 1.0)[:, None]
        edges = bare_edges(self.species, self.edge_index, edge_vec, self.n_local)
        return self.plain(x, edges._replace(harmonics=harmonics), weights)


def make_case(
    irreps_in: str = "5x0e + 3x1o",
    l_max: int = 2,
    irreps_keep: str = "0e + 1o + 1e + 2e",
    *,
    dtype: torch.dtype = torch.float64,
    n_local: int = 6,
    n_ghost: int = 3,
    n_edges: int = 40,
    seed: int = 0,
    tolerance: float = 1e-9,
) -> Case:
    """Return random features on a random graph of two elements with a cutoff for each pair.

    The smaller the tolerance of the table, the more knots it has.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        irreps = o3.Irreps(irreps_in)
        plain = EdgeConvolution(
            irreps, o3.Irreps.spherical_harmonics(l_max), o3.Irreps(irreps_keep)
        )
    finally:
        torch.set_default_dtype(before)
    table = tabulate(
        smooth_weights(plain.n_weights), tolerance=tolerance, derivative_tolerance=100.0 * tolerance
    )
    fused = FusedEdgeConvolution(plain, tables_of(table), dtype=dtype)
    generator = torch.Generator().manual_seed(seed)
    graph = random_graph(generator, n_local=n_local, n_ghost=n_ghost, n_edges=n_edges)
    x = torch.randn(n_local + n_ghost, irreps.dim, dtype=torch.float64, generator=generator)
    return Case(
        plain,
        fused,
        table,
        x.to(dtype),
        graph.edge_vec.to(dtype),
        graph.species,
        graph.edge_index,
        n_local,
    )


def tables_of(table: RadialTable, cutoffs: Tensor = CUTOFFS) -> PairTables:
    """Return one table for all pairs of elements."""
    of_pair = torch.zeros_like(cutoffs, dtype=torch.int64)
    return PairTables(table.grid, [table.knots], of_pair, 1.0 / cutoffs)


def value_and_gradients(run, case: Case) -> tuple[Tensor, Tensor, Tensor]:
    """Return the output, and the derivatives of a fixed random combination of it."""
    x = case.x.detach().requires_grad_(True)
    edge_vec = case.edge_vec.detach().requires_grad_(True)
    out = run(x, edge_vec)
    generator = torch.Generator().manual_seed(7)
    direction = torch.randn(out.shape, dtype=torch.float64, generator=generator).to(out.dtype)
    gradients = torch.autograd.grad([(out * direction).sum()], [x, edge_vec])
    return out.detach(), *gradients


def assert_close(actual: Tensor, expected: Tensor, what: str) -> None:
    """Compare relative to the largest number."""
    assert actual.shape == expected.shape
    if expected.numel() == 0:
        return
    error = (actual.to(torch.float64) - expected.to(torch.float64)).abs().max()
    scale = expected.abs().max()
    assert error <= RELATIVE[actual.dtype] * scale, f"{what}: error {error} of {scale}"
