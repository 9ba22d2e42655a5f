# SPDX-License-Identifier: GPL-2.0-or-later
"""Reference numbers of NequIP from nequip 0.19.1.

python tests/parity/nequip/generate.py [--venv DIR]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import generation

PINS = ["torch==2.13.0", "e3nn==0.6.0", "nequip==0.19.1"]

# options of nequip's NequIPGNNModel
BASE: dict[str, Any] = {
    "r_max": 4.0,
    "num_layers": 3,
    "num_bessels": 5,
    "radial_mlp_depth": 1,
    "radial_mlp_width": 6,
    "avg_num_neighbors": 11.0,
}

CASES: dict[str, dict[str, Any]] = {
    "defaults_l1": {"type_names": ["O"], "l_max": 1, "num_features": 4},
    "scalars_resnet": {
        "type_names": ["H", "O"],
        "l_max": 0,
        "num_features": 6,
        "convnet_resnet": True,
        "per_type_energy_shifts": -3.5,
    },
    "l2_deep_networks": {
        "type_names": ["C", "H"],
        "l_max": 2,
        "parity": False,
        "num_features": [5, 3, 2],
        "type_embed_num_features": 4,
        "radial_mlp_depth": 2,
        "readout_mlp_hidden_layers_depth": 2,
        "readout_mlp_hidden_layers_width": 7,
        "polynomial_cutoff_p": 5,
        "per_type_energy_scales": 1.7,
    },
    "l2_parity_pair_cutoffs": {
        "type_names": ["H", "C", "O"],
        "l_max": 2,
        "parity": True,
        "num_features": 2,
        "bessel_trainable": True,
        "per_edge_type_cutoff": {"H": 2.5, "O": {"H": 3.0, "C": 3.5}},
        "per_type_energy_scales": {"H": 0.8, "C": 1.1, "O": 0.9},
        "per_type_energy_shifts": {"H": -13.6, "C": -37.8, "O": -75.0},
        "per_type_energy_shifts_trainable": True,
    },
    "l3_parity": {
        "type_names": ["O", "N", "C", "H"],
        "l_max": 3,
        "parity": True,
        "num_layers": 2,
        "num_features": [3, 2, 2, 2],
        "radial_mlp_depth": 0,
    },
    "l3_resnet": {
        "type_names": ["H", "C", "N", "O"],
        "l_max": 3,
        "parity": False,
        "num_features": [3, 2, 2, 1],
        "convnet_resnet": True,
    },
    "l1_neighbours_of_each_element": {
        "type_names": ["H", "C", "O"],
        "l_max": 1,
        "num_features": 3,
        "avg_num_neighbors": {"H": 5.0, "C": 11.0, "O": 8.0},
    },
}


def generate(fixtures: Path, options: argparse.Namespace) -> None:
    """Write one fixture for each case and dtype."""
    import torch
    from ase.data import atomic_numbers
    from nequip.model import NequIPGNNModel
    from nequip.utils.global_state import set_global_state

    set_global_state()
    for seed, (name, case) in enumerate(CASES.items()):
        config = {**BASE, **case}
        numbers = [atomic_numbers[symbol] for symbol in config["type_names"]]
        structures = generation.structures(numbers, seed=seed)
        for dtype in ("float64", "float32"):
            model = NequIPGNNModel(seed=seed, model_dtype=dtype, **config)
            state = {key: value.detach().clone() for key, value in model.state_dict().items()}
            if dtype == "float64":
                # the trained basis is not the initial one
                for key, value in state.items():
                    if key.endswith("bessel_weights") and config.get("bessel_trainable"):
                        value += 0.1 * torch.arange(value.shape[1]).sin()
                reference = state
            else:
                state = {key: reference[key].to(value.dtype) for key, value in state.items()}
            model.load_state_dict(state)
            results = [evaluate(model, structure, config) for structure in structures]
            weights = {key: value.numpy() for key, value in state.items() if value.numel()}
            description = {"config": config, "dtype": dtype, "pins": PINS}
            generation.write(fixtures / f"{name}_{dtype}.npz", description, weights, results)


def evaluate(
    model: Any, structure: dict[str, Any], config: dict[str, Any]
) -> dict[str, np.ndarray | None]:
    """Return the original's energies, forces and (periodic) stress."""
    from ase import Atoms
    from nequip.data import compute_neighborlist_, from_ase
    from nequip.data.transforms import ChemicalSpeciesToAtomTypeMapper

    cell = structure["cell"]
    atoms = Atoms(structure["numbers"], structure["positions"], cell=cell, pbc=cell is not None)
    data = compute_neighborlist_(from_ase(atoms), r_max=config["r_max"])
    mapper = ChemicalSpeciesToAtomTypeMapper(model_type_names=config["type_names"])
    out = model(mapper(data))
    result = {
        **structure,
        "energies": out["atomic_energy"].detach().numpy().reshape(-1),
        "forces": out["forces"].detach().numpy(),
        "stress": None if cell is None else out["stress"].detach().numpy().reshape(3, 3),
    }
    return {
        key: value if value is None or key == "numbers" else np.asarray(value, dtype=np.float64)
        for key, value in result.items()
    }


if __name__ == "__main__":
    generation.main(__file__, PINS, generate)
