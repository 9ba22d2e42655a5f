# SPDX-License-Identifier: GPL-2.0-or-later
"""Equiformer's attention, plain and fused, and edges to compare them on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from egraff import ops
from egraff.fusion import MAX_TABLE_BYTES, TOLERANCE
from egraff.fusion.registry import Fusion, fused
from egraff.models import build
from egraff.models.equiformer import Equiformer
from tests.ops.random_graphs import random_graph

ops.load()

# odd numbers of channels, so that rows are padded; both parities
OPTIONS = {
    "elements": ["C", "O"],
    "r_max": 4.0,
    "pair_cutoffs": {"C": 3.5, "O": {"C": 3.0}},
    "avg_num_neighbours": 7.0,
    "irreps_node_embedding": "10x0e+3x0o+5x1e+4x1o+3x2e",
    "irreps_sh": "1x0e+1x1o+1x2e",
    "irreps_head": "5x0e+2x1o+1x2e",
    "irreps_mlp_mid": "8x0e+4x1o+2x2e",
    "irreps_feature": "8x0e",
    "num_layers": 1,
    "num_heads": 3,
    "number_of_basis": 6,
    "fc_neurons": [9],
}
CUTOFFS = torch.tensor([[3.5, 3.5], [3.0, 4.0]], dtype=torch.float64)

L3 = {
    "irreps_node_embedding": "9x0e+3x1o+2x2e+2x3o",
    "irreps_sh": "1x0e+1x1o+1x2e+1x3o",
    "irreps_head": "5x0e+2x1o+1x2e+2x3o",
}
CASES = [
    {},
    L3,
    {"irreps_pre_attn": "17x0e+3x1o", "num_heads": 1},
    {"irreps_node_embedding": "16x0e", "irreps_sh": "1x0e", "irreps_head": "3x0e"},
    {"num_heads": 6, "irreps_head": "16x0e+1x1o"},
    {"basis_type": "gaussian"},
    {"basis_type": "bessel", "fc_neurons": [5, 7]},
    {"smooth_cutoff": False},
]
RELATIVE = {torch.float32: 2e-5, torch.float64: 1e-10}


@dataclass
class Case:
    """The attention of a plain model in float64 and of a fused one, atoms and edges."""

    plain: Equiformer
    fused: nn.Module
    x: Tensor
    edge_vec: Tensor
    species: Tensor
    edge_index: Tensor
    n_local: int

    def run_plain(self, x: Tensor, edge_vec: Tensor) -> Tensor:
        """Return the update of local atoms, from features of all nodes."""
        attention = self.plain.blocks[0].attention
        edges = self.plain.embed_edges(self.species, self.edge_index, edge_vec, self.n_local)
        sent = attention.merge_neighbour(x)
        message = sent[self.edge_index[1]]
        message = message + attention.merge_centre(x[: self.n_local])[self.edge_index[0]]
        attended = attention.mlp(message, edges)
        return attention.projection(attended)

    def run_fused(self, x: Tensor, edge_vec: Tensor) -> Tensor:
        """Return the same."""
        attention = self.fused
        attended = torch.ops.egraff.graph_attention(
            attention.merge_neighbour(x),
            attention.merge_centre(x[: self.n_local]),
            edge_vec,
            self.edge_index,
            self.species,
            attention.constants(),
            attention.n_functions,
            attention.n_heads,
            attention.width_out,
            attention.negative_slope,
            attention.grid_start,
            attention.grid_stretch,
        )
        return attention.projection(attended)

    def results(self, run, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """Return the values, and derivatives of a fixed combination by features and edges."""
        x = self.x.to(dtype).requires_grad_(True)
        edge_vec = self.edge_vec.to(dtype).requires_grad_(True)
        value = run(x, edge_vec)
        weights = torch.linspace(-1.0, 2.0, value.numel(), dtype=dtype).view_as(value)
        by_x, by_vec = torch.autograd.grad([(value * weights).sum()], [x, edge_vec])
        return value.detach(), by_x, by_vec


def make_case(
    *,
    dtype: torch.dtype = torch.float64,
    n_local: int = 6,
    n_ghost: int = 3,
    n_edges: int = 40,
    seed: int = 0,
    **options,
) -> Case:
    """Return attention with random weights and random edges, none at or beyond the cutoff."""
    name = str(dtype).removeprefix("torch.")
    model = build("equiformer", seed=3, dtype=name, **{**OPTIONS, **options}).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if key.endswith("bias"):
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter += 0.3 * noise
    fusion = Fusion(model, tolerance=TOLERANCE[name], max_bytes=MAX_TABLE_BYTES)
    attention = fused(model.blocks[0].attention, fusion, "blocks.0.attention")
    graph = random_graph(
        generator, n_local=n_local, n_ghost=n_ghost, n_edges=n_edges, inside=CUTOFFS
    )
    width = model.blocks[0].attention.merge_neighbour.irreps_in.dim
    return Case(
        fusion.model64,
        attention,
        torch.randn(n_local + n_ghost, width, dtype=torch.float64, generator=generator),
        graph.edge_vec,
        graph.species,
        graph.edge_index,
        n_local,
    )


def assert_same(case: Case, dtype: torch.dtype) -> None:
    """Hold the operator against the plain attention in float64."""
    actual = case.results(case.run_fused, dtype)
    expected = case.results(case.run_plain, torch.float64)
    for name, a, b in zip(("value", "by x", "by edge_vec"), actual, expected, strict=True):
        assert a.shape == b.shape
        error = float((a - b).abs().max())
        assert error <= RELATIVE[dtype] * float(b.abs().max()), f"{name}: {error}"
