# SPDX-License-Identifier: GPL-2.0-or-later
"""Reference numbers of the equivariant transformer from torchmd-net 3.1.0.

    python tests/parity/torchmd_net/generate.py [--venv DIR]

The package gives forces but no stress; the stress in the fixtures is the fourth-order finite
difference of its energy by the strain of its box, which holds about nine digits.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import generation

PINS = ["torch==2.13.0", "torchmd-net==3.1.0", "torch-geometric==2.8.1", "warp-lang==1.19.0"]

BASE: dict[str, Any] = {
    "model": "equivariant-transformer",
    "embedding_dimension": 8,
    "num_layers": 2,
    "num_rbf": 6,
    "rbf_type": "expnorm",
    "trainable_rbf": False,
    "activation": "silu",
    "attn_activation": "silu",
    "neighbor_embedding": True,
    "num_heads": 2,
    "distance_influence": "both",
    "cutoff_lower": 0.0,
    "cutoff_upper": 3.0,
    "max_z": 10,
    "max_num_neighbors": 64,
    "vector_cutoff": False,
    "output_model": "Scalar",
    "reduce_op": "add",
    "prior_model": None,
    "derivative": False,
    "atom_filter": -1,
}

CASES: dict[str, dict[str, Any]] = {
    "defaults": {"elements": [8]},
    "keys_gauss": {
        "elements": [1, 6],
        "distance_influence": "keys",
        "rbf_type": "gauss",
        "trainable_rbf": True,
        "activation": "ssp",
        "attn_activation": "tanh",
        "vector_cutoff": True,
    },
    "values_own_element": {
        "elements": [1, 6, 8],
        "distance_influence": "values",
        "neighbor_embedding": False,
        "activation": "tanh",
        "attn_activation": "sigmoid",
    },
    "none_atomref": {
        "elements": [1, 6, 7, 8],
        "distance_influence": "none",
        "activation": "mish",
        "attn_activation": "ssp",
        "vector_cutoff": True,
        "num_layers": 1,
        "prior_model": "Atomref",
        "std": 1.7,
    },
    "both_cutoff": {
        "elements": [1, 6, 8],
        "activation": "sigmoid",
        "attn_activation": "swish",
        "vector_cutoff": True,
        "num_layers": 3,
        "num_heads": 4,
        "trainable_rbf": True,
    },
    # above the shortest distances of the structures, so that some pairs are blind to each other,
    # and far enough from all for the differences that give the stress
    "lower_cutoff": {"elements": [1, 6, 8], "cutoff_lower": 1.54},
    "lower_cutoff_gauss": {
        "elements": [1, 8],
        "cutoff_lower": 1.54,
        "rbf_type": "gauss",
        "vector_cutoff": True,
    },
}


def generate(fixtures: Path, options: argparse.Namespace) -> None:
    """Write every case in both float types."""
    import torch

    for (name, case), dtype in itertools.product(CASES.items(), ("float64", "float32")):
        # some constants take the default dtype, not that of the model
        torch.set_default_dtype(getattr(torch, dtype))
        args = {**BASE, **case, "precision": 64 if dtype == "float64" else 32}
        elements = args.pop("elements")
        std = args.pop("std", None)
        model = random_model(args, std)
        results = [
            {**structure, **evaluate(model, structure, dtype)}
            for structure in generation.structures(elements, seed=len(elements))
        ]
        generation.write(
            fixtures / f"{name}_{dtype}.npz",
            {"config": args, "elements": elements, "pins": PINS},
            {key: value.numpy() for key, value in model.state_dict().items()},
            results,
        )


def random_model(args: dict[str, Any], std: float | None):
    """Build the original, with biases and fixed radial parameters moved off their round values."""
    import torch
    from torchmdnet.models.model import create_model
    from torchmdnet.priors import Atomref

    torch.manual_seed(5)
    prior = Atomref(max_z=args["max_z"]) if args["prior_model"] else None
    model = create_model(
        dict(args), prior_model=prior, std=None if std is None else torch.tensor(std)
    ).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias") or "norm" in name or "atomref" in name:
                parameter += 0.3 * torch.randn_like(parameter)
    return model


def evaluate(model, structure: dict[str, Any], dtype: str) -> dict[str, np.ndarray]:
    """Return atomic energies, forces and, for a periodic structure, the stress."""
    import torch

    numbers = torch.from_numpy(structure["numbers"])
    positions = torch.tensor(structure["positions"]).requires_grad_(True)
    positions_ = positions.to(getattr(torch, dtype))
    cell = structure["cell"]
    box = None if cell is None else torch.tensor(cell, dtype=positions_.dtype)

    def atomic(r, b):
        batch = torch.zeros_like(numbers)
        x, v, z, r, batch = model.representation_model(numbers, r, batch, box=b)
        energy = model.output_model.pre_reduce(x, v, z, r, batch) * model.std
        for prior in model.prior_model or []:
            energy = prior.pre_reduce(energy, z, r, batch)
        return energy[:, 0]

    energies = atomic(positions_, box)
    (gradient,) = torch.autograd.grad(energies.sum(), positions)
    result = {"energies": energies.detach().numpy(), "forces": -gradient.numpy()}
    if box is not None and dtype == "float64":
        result["stress"] = stress(lambda r, b: atomic(r, b).sum().item(), positions.detach(), box)
    return result


def stress(energy, positions, box) -> np.ndarray:
    """Return dE/dstrain / V by finite differences; the box must stay lower triangular."""
    import torch

    # narrow bumps of the radial bases: wider steps leave 2e-5 in the cases with a lower cutoff
    step = 1e-4
    result = np.zeros((3, 3))
    for a, b in [(0, 0), (1, 1), (2, 2), (1, 0), (2, 0), (2, 1)]:
        values = {}
        for k in (-2, -1, 1, 2):
            strain = torch.eye(3, dtype=box.dtype)
            strain[a, b] += k * step
            values[k] = energy(positions @ strain, box @ strain)
        slope = (8 * (values[1] - values[-1]) - (values[2] - values[-2])) / (12 * step)
        result[a, b] = result[b, a] = slope / float(torch.linalg.det(box))
    return result


if __name__ == "__main__":
    generation.main(__file__, PINS, generate)
