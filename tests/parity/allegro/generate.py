# SPDX-License-Identifier: GPL-2.0-or-later
"""Reference numbers of Allegro from nequip-allegro 0.8.3.

python tests/parity/allegro/generate.py [--venv DIR]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import generation

PINS = ["torch==2.13.0", "e3nn==0.6.0", "nequip==0.19.1", "nequip-allegro==0.8.3"]

BESSEL = {"_target_": "allegro.nn.TwoBodyBesselScalarEmbed", "num_bessels": 4}
SPLINE = {"_target_": "allegro.nn.TwoBodySplineScalarEmbed", "num_splines": 7, "spline_span": 4}

# options of nequip-allegro's AllegroModel
BASE: dict[str, Any] = {
    "r_max": 4.0,
    "num_layers": 2,
    "num_scalar_features": 6,
    "num_tensor_features": 3,
    "radial_chemical_embed": BESSEL,
    "scalar_embed_mlp_hidden_layers_width": 6,
    "allegro_mlp_hidden_layers_width": 6,
    "readout_mlp_hidden_layers_width": 5,
    "avg_num_neighbors": 11.0,
}

CASES: dict[str, dict[str, Any]] = {
    "defaults_l1": {"type_names": ["O"], "l_max": 1},
    "l2_three_layers_parity": {
        "type_names": ["H", "O"],
        "l_max": 2,
        "num_layers": 3,
        "num_tensor_features": 2,
        "parity": True,
        "per_type_energy_scales": 1.7,
        "per_type_energy_shifts": -3.5,
    },
    "l2_three_layers_one_parity": {
        "type_names": ["C", "H"],
        "l_max": 2,
        "num_layers": 3,
        "parity": False,
        "tp_path_channel_coupling": False,
        "forward_normalize": False,
    },
    "l1_pair_cutoffs": {
        "type_names": ["H", "C", "O"],
        "l_max": 1,
        "radial_chemical_embed": {**BESSEL, "bessel_trainable": True, "polynomial_cutoff_p": 5},
        "radial_chemical_embed_dim": 4,
        "per_edge_type_cutoff": {"H": 2.5, "O": {"H": 3.0, "C": 3.5}},
        "per_type_energy_scales": {"H": 0.8, "C": 1.1, "O": 0.9},
        "per_type_energy_shifts": {"H": -13.6, "C": -37.8, "O": -75.0},
        "scalar_embed_mlp_hidden_layers_depth": 2,
        "scalar_embed_mlp_nonlinearity": None,
        "allegro_mlp_nonlinearity": "mish",
        "allegro_mlp_hidden_layers_depth": 2,
        "readout_mlp_nonlinearity": "gelu",
        "readout_mlp_hidden_layers_depth": 0,
    },
    "l3_spline": {
        "type_names": ["O", "N", "C", "H"],
        "l_max": 3,
        "radial_chemical_embed": SPLINE,
        "num_tensor_features": 2,
    },
    "l3_one_layer_shared_weights": {
        "type_names": ["O", "N", "H"],
        "l_max": 3,
        "num_layers": 1,
        "weight_individual_irreps": False,
        "radial_chemical_embed": {**SPLINE, "spline_span": 2},
    },
    "l0": {"type_names": ["O", "H"], "l_max": 0},
    "l1_neighbours_of_each_element": {
        "type_names": ["H", "C", "O"],
        "l_max": 1,
        "avg_num_neighbors": {"H": 5.0, "C": 11.0, "O": 8.0},
    },
}


def generate(fixtures: Path, options: argparse.Namespace) -> None:
    """Write one fixture for each case and dtype."""
    import torch
    from allegro.model import AllegroModel
    from ase.data import atomic_numbers
    from nequip.utils.global_state import set_global_state

    set_global_state()
    for seed, (name, case) in enumerate(CASES.items()):
        config = {**BASE, **case}
        numbers = [atomic_numbers[symbol] for symbol in config["type_names"]]
        structures = generation.structures(numbers, seed=seed)
        for dtype in ("float64", "float32"):
            model = AllegroModel(seed=seed, model_dtype=dtype, **config)
            state = {key: value.detach().clone() for key, value in model.state_dict().items()}
            if dtype == "float64":
                # the trained basis is not the initial one
                for key, value in state.items():
                    if key.endswith("bessel_weights") and "bessel_trainable" in str(config):
                        value += 0.1 * torch.arange(value.shape[1]).sin()
                reference = state
            else:
                state = {key: reference[key].to(value.dtype) for key, value in state.items()}
            model.load_state_dict(state)
            results = [evaluate(model, structure, config) for structure in structures]
            weights = {
                key: value.numpy()
                for key, value in state.items()
                if value.numel() and not key.endswith("w3j")
            }
            description = {"config": {**config, "model_dtype": dtype}, "pins": PINS}
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
    return {
        **structure,
        "energies": out["atomic_energy"].detach().numpy().astype(np.float64).reshape(-1),
        "forces": out["forces"].detach().numpy().astype(np.float64),
        "stress": None if cell is None else out["stress"].detach().numpy()[0].astype(np.float64),
    }


if __name__ == "__main__":
    generation.main(__file__, PINS, generate)
