# SPDX-License-Identifier: GPL-2.0-or-later
"""Reference numbers of SevenNet from sevenn 0.12.1, with random weights.

python tests/parity/sevennet/generate.py [--venv DIR]
"""

from __future__ import annotations

import argparse
import copy
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import generation

PINS = ["torch==2.13.0", "e3nn==0.6.0", "torch_geometric==2.8.1", "sevenn==0.12.1"]

# options that sevenn's checkpoints hold
BASE: dict[str, Any] = {
    "version": "0.12.1",
    "_model_type": "E3_equivariant_model",
    "interaction_type": "nequip",
    "act_gate": {"e": "silu", "o": "tanh"},
    "act_scalar": {"e": "silu", "o": "tanh"},
    "act_radial": "silu",
    "irreps_manual": False,
    "channel": 4,
    "lmax": 1,
    "lmax_edge": -1,
    "lmax_node": -1,
    "is_parity": False,
    "radial_basis": {"radial_basis_name": "bessel", "bessel_basis_num": 5},
    "cutoff_function": {"cutoff_function_name": "poly_cut", "poly_cut_p_value": 6},
    "cutoff": 4.0,
    "num_convolution_layer": 3,
    "weight_nn_hidden_neurons": [6, 6],
    "conv_denominator": 3.0,
    "train_denominator": False,
    "train_shift_scale": False,
    "use_bias_in_linear": False,
    "readout_as_fcn": False,
    "self_connection_type": "linear",
    "_normalize_sph": True,
    "shift": 0.0,
    "scale": 1.0,
}

CASES: dict[str, dict[str, Any]] = {
    # the shape of SevenNet-0
    "xplor_l2": {
        "species": ["O", "C", "H"],
        "lmax": 2,
        "irreps_manual": ["4x0e", "4x0e+3x1e+2x2e", "4x0e+3x1e+2x2e", "4x0e"],
        "cutoff_function": {"cutoff_function_name": "XPLOR", "cutoff_on": 3.6},
        "shift": [-5.0, -4.0, -3.0],
        "scale": [1.5, 1.2, 0.9],
    },
    # the shape of SevenNet-l3i5
    "polynomial_l3": {
        "species": ["C", "H"],
        "lmax": 3,
        "num_convolution_layer": 2,
        "irreps_manual": ["5x0e", "4x0e+3x1e+2x2e+2x3e", "4x0e"],
        "scale": 1.7,
    },
    "connection_of_each_element": {
        "species": ["H", "N", "O"],
        "self_connection_type": "nequip",
        "weight_nn_hidden_neurons": [6],
        "cutoff_function": {"cutoff_function_name": "poly_cut", "poly_cut_p_value": 5},
    },
    "unsorted_paths_l2": {
        "species": ["H", "O"],
        "version": "0.9.1",
        "lmax": 2,
        "num_convolution_layer": 2,
        "channel": 3,
    },
}


def generate(fixtures: Path, options: argparse.Namespace) -> None:
    """Write one fixture for each case and dtype."""
    import torch
    from ase.data import atomic_numbers
    from sevenn.model_build import build_E3_equivariant_model
    from sevenn.scripts.backward_compatibility import sort_old_convolution

    for seed, (name, case) in enumerate(CASES.items()):
        config = {**BASE, **case}
        numbers = [atomic_numbers[symbol] for symbol in config.pop("species")]
        config["_type_map"] = {number: index for index, number in enumerate(numbers)}
        config["_number_of_species"] = len(numbers)
        old = config["version"] == "0.9.1"
        structures = generation.structures(numbers, seed=seed)
        reference: dict[str, torch.Tensor] = {}
        for dtype in ("float64", "float32"):
            torch.set_default_dtype(getattr(torch, dtype))
            torch.manual_seed(seed)
            model = build_E3_equivariant_model({**config}).to(getattr(torch, dtype))
            state = {key: value.detach().clone() for key, value in model.state_dict().items()}
            if dtype == "float64":
                for key, value in state.items():  # what training would have changed
                    if key.endswith("basis_function.coeffs"):
                        value += 0.1 * torch.arange(len(value)).sin()
                    if key.endswith("denominator"):
                        value *= 1.0 + 0.1 * int(key[0])
                    # e3nn changed this sign once
                    if key.endswith("_w3j_1_1_1") and old:
                        value *= -1.0
                reference = state
            else:
                state = {key: reference[key].to(value.dtype) for key, value in state.items()}
            if old:  # sevenn sorts the weights of old files when it reads them
                model.load_state_dict(sort_old_convolution(model, copy.deepcopy(state)))
            else:
                model.load_state_dict(state)
            results = [evaluate(model, structure, config, dtype) for structure in structures]
            weights = {key: value.numpy() for key, value in state.items() if value.numel()}
            description = {"config": jsonable(config), "dtype": dtype, "pins": PINS}
            generation.write(fixtures / f"{name}_{dtype}.npz", description, weights, results)


def jsonable(config: dict[str, Any]) -> dict[str, Any]:
    """Return the options with the keys of the type map, which JSON turns into text, as pairs."""
    return {**config, "_type_map": list(config["_type_map"].items())}


def evaluate(
    model: Any, structure: dict[str, Any], config: dict[str, Any], dtype: str
) -> dict[str, np.ndarray | None]:
    """Return the original's energies, forces and (periodic) stress."""
    import torch
    from ase import Atoms
    from sevenn.nn.node_embedding import OnehotEmbedding
    from sevenn.train.dataload import unlabeled_atoms_to_graph

    cell = structure["cell"]
    atoms = Atoms(structure["numbers"], structure["positions"], cell=cell, pbc=cell is not None)
    graph = unlabeled_atoms_to_graph(atoms, config["cutoff"])
    model.set_is_batch_data(False)
    model.eval()

    def in_type(_: Any, __: Any, data: dict[str, Any]) -> None:
        # the one-hot elements are always float32
        for key in ("x", "node_attr"):
            if data[key].is_floating_point():
                data[key] = data[key].to(getattr(torch, dtype))

    hooks = [
        module.register_forward_hook(in_type)
        for module in model
        if isinstance(module, OnehotEmbedding)
    ]
    data = {key: torch.as_tensor(value) for key, value in graph.items() if key != "data_info"}
    for key, value in data.items():
        if value.is_floating_point():
            data[key] = value.to(getattr(torch, dtype))
    out = model(data)
    for hook in hooks:
        hook.remove()
    # written in the order xx, yy, zz, xy, yz, zx, with the sign of a pressure
    xx, yy, zz, xy, yz, zx = (-out["inferred_stress"].detach().numpy()).tolist()
    stress = np.array([[xx, xy, zx], [xy, yy, yz], [zx, yz, zz]])
    result = {
        **structure,
        "energies": out["atomic_energy"].detach().numpy().reshape(-1),
        "forces": out["inferred_force"].detach().numpy(),
        "stress": None if cell is None else stress,
    }
    return {
        key: value if value is None or key == "numbers" else np.asarray(value, dtype=np.float64)
        for key, value in result.items()
    }


if __name__ == "__main__":
    generation.main(__file__, PINS, generate)
