# SPDX-License-Identifier: GPL-2.0-or-later
"""torchmd-net 3.1.0's equivariant transformer, eager; it finds its neighbours itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import arguments
from timing import R_MAX

MODEL = {
    "model": "equivariant-transformer",
    "precision": 32,
    "embedding_dimension": 128,
    "num_layers": 6,
    "num_rbf": 64,
    "rbf_type": "expnorm",
    "trainable_rbf": False,
    "activation": "silu",
    "attn_activation": "silu",
    "neighbor_embedding": True,
    "num_heads": 8,
    "distance_influence": "both",
    "cutoff_lower": 0.0,
    "cutoff_upper": R_MAX,
    "max_z": 100,
    "max_num_neighbors": 64,
    "prior_model": None,
    "output_model": "Scalar",
    "output_mlp_num_layers": 0,
    "reduce_op": "add",
    "aggr": "add",
    "derivative": True,
    "check_errors": True,
    "static_shapes": False,
    "vector_cutoff": False,
    "atom_filter": -1,
    "equivariance_invariance_group": "O(3)",
    "box_vecs": None,
    "remove_ref_energy": False,
}


def prepare(folder: Path) -> None:
    make_step(arguments.timing.silicon(64), 1, folder)()  # compiles its neighbour search, seconds


def make_step(atoms, threads: int, _folder: Path) -> Callable[[], object]:
    import torch
    from torchmdnet.models.model import create_model

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = create_model(MODEL).eval().requires_grad_(False)
    numbers = torch.full((len(atoms),), 14)
    batch = torch.zeros(len(atoms), dtype=torch.long)
    positions = torch.tensor(atoms.positions, dtype=torch.float32)
    box = torch.tensor(atoms.cell.array, dtype=torch.float32)

    def step() -> object:
        return model(numbers, positions.clone().requires_grad_(True), batch=batch, box=box)

    return step


arguments.main(prepare, make_step)
