# SPDX-License-Identifier: GPL-2.0-or-later
"""A fused attention layer, the plain formula with filters of the same table, and random graphs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from egraff import ops
from egraff.fusion.attention import FusedScalarVectorAttention, pad_heads
from egraff.fusion.radial_grid import Grid
from egraff.fusion.radial_table import RadialTable, evaluate, tabulate
from egraff.nn.activations import ActivationName
from egraff.nn.scalar_vector import ScalarVectorAttention
from tests.ops.convolutions import CUTOFFS, assert_close, smooth_weights, tables_of

ops.load()

N_BASIS = 3
NAMES = ("scalars", "vectors", "by query", "by source", "by edge vectors")


@dataclass
class Case:
    """Both forms of one attention layer's sums over edges, and a graph.

    The plain form takes its distance filters from the same table, so that what is compared is the
    operator and not the quality of the table.
    """

    plain: ScalarVectorAttention
    fused: FusedScalarVectorAttention
    filters: RadialTable
    own: Tensor
    query: Tensor
    source: Tensor
    edge_vec: Tensor
    species: Tensor
    edge_index: Tensor

    @property
    def inputs(self) -> list[Tensor]:
        """What the operator has derivatives by."""
        return [self.query, self.source, self.edge_vec]

    @property
    def n_rows(self) -> int:
        """Rows of a node that edges read: key, scalar, direction and perhaps three of vectors."""
        return 6 if self.fused.vectors_in else 3

    def packed(self, source: Tensor) -> Tensor:
        """Return ``[n, n_rows width]`` as the operator reads it, ``[chunk][row][lane]``."""
        lanes = 64 // self.query.element_size()
        rows = pad_heads(source.unflatten(1, (self.n_rows, -1)), self.plain.n_heads, lanes)
        return rows.unflatten(2, (-1, lanes)).transpose(1, 2).flatten(1)

    def run_fused(self, query: Tensor, source: Tensor, edge_vec: Tensor) -> tuple[Tensor, Tensor]:
        """Evaluate the operator."""
        return self.operator(query, self.packed(source), edge_vec)

    def operator(self, query: Tensor, packed: Tensor, edge_vec: Tensor) -> tuple[Tensor, Tensor]:
        """Evaluate the operator on what :meth:`packed` returns."""
        f = self.fused
        return torch.ops.egraff.scalar_vector_attention(
            query, packed, edge_vec, self.edge_index, self.species, f.table, f.pair_scale,
            f.n_heads, f.attention_act, f.grid_start, f.grid_stretch,
        )  # fmt: skip

    def run_plain(self, query: Tensor, source: Tensor, edge_vec: Tensor) -> tuple[Tensor, Tensor]:
        """Evaluate the formula in float64, edge by edge as it is written."""
        query, source, edge_vec = (x.to(torch.float64) for x in (query, source, edge_vec))
        centre, neighbour = self.edge_index
        length = torch.linalg.vector_norm(edge_vec, dim=1)
        scaled = length / CUTOFFS[self.species[centre], self.species[neighbour]]
        filters, _ = evaluate(self.filters.knots, self.filters.grid.position(scaled).clamp(max=1.0))
        filters = filters * (scaled < 1.0)[:, None]
        n_local, width = query.shape
        every = torch.arange(n_local)
        centre, neighbour = torch.cat([centre, every]), torch.cat([neighbour, every])
        filters = torch.cat([filters, self.own.expand(n_local, -1)])
        unit = torch.cat([edge_vec / length[:, None], edge_vec.new_zeros(n_local, 3)])

        by_key, by_scalar, by_vector, by_direction = filters.split(width, dim=1)
        key, scalar, along = source[:, : 3 * width].split(width, dim=1)
        vectors = source[:, 3 * width :].unflatten(1, (-1, width))
        n_heads = self.plain.n_heads
        score = (query[centre] * key[neighbour] * by_key).unflatten(1, (n_heads, -1)).sum(dim=2)
        weight = self.plain.attention_act(score).repeat_interleave(width // n_heads, dim=1)
        messages = weight * scalar[neighbour] * by_scalar
        moved = (along[neighbour] * by_direction)[:, None, :] * unit[:, :, None]
        if self.fused.vectors_in:
            moved = moved + by_vector[:, None, :] * vectors[neighbour]
        zero = torch.zeros(n_local, 3, width, dtype=torch.float64)
        return zero[:, 0].index_add(0, centre, messages), zero.index_add(0, centre, moved)


def make_case(
    width: int = 32,
    n_heads: int = 4,
    *,
    act: ActivationName = "silu",
    vectors: bool = True,
    stretch: float = 3.0,
    dtype: torch.dtype = torch.float64,
    n_local: int = 6,
    n_ghost: int = 3,
    n_edges: int = 40,
    seed: int = 0,
) -> Case:
    """Return random features on a random graph of two elements with a cutoff for each pair."""
    plain = ScalarVectorAttention(
        width, N_BASIS, n_heads, distance_keys=True, distance_values=True, act="silu",
        attention_act=act, vector_cutoff=True, vectors_in=vectors,
    )  # fmt: skip
    table = tabulate(
        smooth_weights(4 * width), grid=Grid(stretch), tolerance=1e-9, derivative_tolerance=1e-7
    )
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator).to(dtype)

    own = random(4 * width).to(torch.float64)
    fused = FusedScalarVectorAttention(
        plain, tables_of(table, CUTOFFS), own, attention_act=act, dtype=dtype
    )
    n_nodes = n_local + n_ghost
    centre = torch.randint(0, max(n_local, 1), (n_edges,), generator=generator).sort().values
    neighbour = torch.randint(0, max(n_nodes, 1), (n_edges,), generator=generator)
    direction = random(n_edges, 3).to(torch.float64)
    direction = direction / torch.linalg.vector_norm(direction, dim=1, keepdim=True)
    length = 0.5 + 3.4 * torch.rand(n_edges, 1, dtype=torch.float64, generator=generator)
    return Case(
        plain, fused, table, own, random(n_local, width),
        random(n_nodes, (6 if vectors else 3) * width), (direction * length).to(dtype),
        torch.randint(0, 2, (n_nodes,), generator=generator), torch.stack([centre, neighbour]),
    )  # fmt: skip


def values_and_gradients(run, case: Case) -> list[Tensor]:
    """Return both outputs, and the derivatives of a fixed random combination of them."""
    inputs = [x.detach().requires_grad_(True) for x in case.inputs]
    outputs = run(*inputs)
    generator = torch.Generator().manual_seed(7)
    total = torch.zeros((), dtype=torch.float64)
    for out in outputs:
        direction = torch.randn(out.shape, dtype=torch.float64, generator=generator)
        total = total + (out * direction).sum()
    gradients = torch.autograd.grad([total], inputs, materialize_grads=True)
    return [*(out.detach() for out in outputs), *gradients]


def assert_same(case: Case) -> None:
    """Hold the operator against its formula."""
    fused = values_and_gradients(case.run_fused, case)
    plain = values_and_gradients(case.run_plain, case)
    for name, actual, expected in zip(NAMES, fused, plain, strict=True):
        assert_close(actual, expected, name)
