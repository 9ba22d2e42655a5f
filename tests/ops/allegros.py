# SPDX-License-Identifier: GPL-2.0-or-later
"""Allegro models, plain and fused, and graphs to compare them on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from egraff import ops
from egraff.fusion import fuse
from egraff.fusion.distance_tables import PairTables
from egraff.fusion.edge_energies import FusedEdgeEnergies
from egraff.fusion.edge_program import EdgeProgram
from egraff.fusion.radial_grid import Grid
from egraff.models import build
from tests.ops.random_graphs import random_graph

ops.load()

# two elements with a cutoff for each pair; odd numbers of channels, so that all rows are padded
OPTIONS = {
    "elements": ["C", "O"],
    "r_max": 4.0,
    "pair_cutoffs": {"C": 3.5, "O": {"C": 3.0}},
    "avg_num_neighbours": 7.0,
    "energy_shift": [0.3, -0.2],
    "energy_scale": [1.5, 0.7],
    "n_layers": 2,
    "l_max": 2,
    "n_scalar_features": 10,
    "n_tensor_features": 5,
    "n_bessel": 5,
    "embedding_hidden": [12],
    "latent_hidden": [7, 9],
    "readout_hidden": [6],
}
CUTOFFS = torch.tensor([[3.5, 3.5], [3.0, 4.0]], dtype=torch.float64)

CASES = [
    {},
    {"n_layers": 1},
    {"n_layers": 3},
    {"n_layers": 3, "parity": False, "path_channel_coupling": False},
    {"l_max": 0},
    {"l_max": 3, "n_tensor_features": 17, "individual_weights": False},
    {"latent_update": "residual", "n_layers": 3},
    {"latent_hidden": [], "readout_hidden": [], "n_layers": 3},
    {"latent_hidden": [], "individual_weights": False, "latent_update": "residual"},
    {"embedding_hidden": [], "latent_hidden": [40], "n_scalar_features": 34},
    {"latent_hidden": [64], "n_scalar_features": 8, "n_layers": 3},
    {"latent_nonlinearity": None, "readout_nonlinearity": "tanh"},
    {"latent_nonlinearity": "mish", "readout_nonlinearity": "gelu"},
    {"latent_nonlinearity": "ssp", "embedding_nonlinearity": "mish"},
    {"embedding_nonlinearity": "gelu", "bessel_trainable": True},
    {"radial_basis": "spline", "embedding_nonlinearity": "ssp"},
]
# relative to the largest number: float32 networks of several layers lose a digit, and tables are
# good to 1e-10 of their largest derivative, nearer to the centre than any edge here
RELATIVE = {torch.float32: 2e-5, torch.float64: 1e-9}


@dataclass
class Case:
    """A plain and a fused model, and a graph."""

    plain: nn.Module
    fused: nn.Module
    edge_vec: Tensor
    species: Tensor
    edge_index: Tensor
    n_local: int

    def run(self, model: nn.Module, edge_vec: Tensor) -> Tensor:
        """Return atomic energies."""
        outputs = model(self.species, self.edge_index, edge_vec, self.n_local)
        return outputs["atomic_energy"]

    def value_and_gradient(self, model: nn.Module) -> tuple[Tensor, Tensor]:
        """Return atomic energies, and the derivative of a fixed combination of them."""
        edge_vec = self.edge_vec.detach().requires_grad_(True)
        energy = self.run(model, edge_vec)
        weights = torch.linspace(-1.0, 2.0, energy.numel(), dtype=energy.dtype)
        (gradient,) = torch.autograd.grad([(energy * weights).sum()], [edge_vec])
        return energy.detach(), gradient


def make_case(
    *,
    dtype: torch.dtype = torch.float64,
    n_local: int = 6,
    n_ghost: int = 3,
    n_edges: int = 40,
    seed: int = 0,
    **options,
) -> Case:
    """Return a model with random weights and random edges, none at or beyond the cutoff."""
    name = str(dtype).removeprefix("torch.")
    plain = build("allegro", seed=3, dtype=name, **{**OPTIONS, **options})
    fused = fuse(plain).model
    generator = torch.Generator().manual_seed(seed)
    graph = random_graph(
        generator, n_local=n_local, n_ghost=n_ghost, n_edges=n_edges, inside=CUTOFFS
    )
    return Case(
        plain,
        fused,
        graph.edge_vec.to(dtype),
        graph.species,
        graph.edge_index,
        n_local,
    )


def function_of_the_distance(act: nn.Module, dtype: torch.dtype, size: float) -> FusedEdgeEnergies:
    """Return edge energies act(size * (2 x - 1)), x in units of a cutoff of 1 Angstrom."""
    lanes = 64 // dtype.itemsize
    program = EdgeProgram(lanes=lanes, n_functions=1, l_max=0, n_channels=1)
    program.buffer(program.activated(program.functions, act))
    # a straight line between two knots, at 0.02 and at 1
    low, slope = size * (2 * 0.02 - 1), 2 * size * 0.98
    knots = torch.zeros(2, 3, lanes, dtype=torch.float64)
    knots[0, 0, 0], knots[1, 0, 0] = low, low + slope
    knots[:, 1, 0] = slope
    one = torch.ones(1, 1, dtype=torch.float64)
    tables = PairTables(Grid(), [knots], torch.zeros(1, 1, dtype=torch.int64), one)
    return FusedEdgeEnergies(program, tables, dtype=dtype)


def assert_same(case: Case, dtype: torch.dtype) -> None:
    """Hold the fused model against the plain one in float64."""
    plain, fused = case.plain.double(), case.fused
    actual = case.value_and_gradient(fused)
    case.edge_vec = case.edge_vec.double()
    expected = case.value_and_gradient(plain)
    for name, a, b in zip(("energy", "gradient"), actual, expected, strict=True):
        assert a.shape == b.shape
        error = float((a - b).abs().max())
        assert error <= RELATIVE[dtype] * float(b.abs().max()), f"{name}: {error}"
