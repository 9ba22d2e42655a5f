# SPDX-License-Identifier: GPL-2.0-or-later
"""Reference numbers of BOTNet from its authors' code, github.com/gncs/botnet at 0929483.

    python tests/parity/botnet/generate.py --source CHECKOUT [--venv DIR]

The code cannot be installed from an index: give a checkout of that commit. It asks for e3nn 0.4.4
and runs unchanged with 0.6.0. It returns total energies and forces; atomic energies are read off
its readouts, and the stress comes from the derivative of its energy by its edge vectors.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import generation

COMMIT = "0929483"
PINS = [
    "torch==2.13.0",
    "e3nn==0.6.0",
    "ase==3.29.0",
    "torch-ema==0.3",
    "prettytable==3.18.0",
    "opt_einsum==3.4.0",
    "pandas==3.1.1",
    "h5py==3.16.0",
]

# arguments of the original's models; blocks by the names of their classes
BASE: dict[str, Any] = {
    "class": "ScaleShiftNonLinearBodyOrderedModel",
    "r_max": 4.0,
    "num_bessel": 5,
    "num_polynomial_cutoff": 6,
    "max_ell": 2,
    "interaction_cls": "AgnosticResidualNonlinearInteractionBlock",
    "interaction_cls_first": "AgnosticNonlinearInteractionBlock",
    "num_interactions": 3,
    "hidden_irreps": "3x0e + 2x1o + 2x2e",
    "MLP_irreps": "6x0e",
    "avg_num_neighbors": 11.0,
    "gate": "silu",
    "atomic_inter_scale": 0.7,
    "atomic_inter_shift": 0.05,
}

CASES: dict[str, dict[str, Any]] = {
    "agnostic": {"elements": [8], "num_interactions": 4, "hidden_irreps": "2x0e + 1x1o"},
    "both_parities_l3": {
        "elements": [1, 6, 8],
        "max_ell": 3,
        "num_interactions": 2,
        "hidden_irreps": "2x0o + 3x0e + 2x1o + 1x1e + 1x2o + 2x2e + 1x3o + 1x3e",
        "gate": "tanh",
    },
    "element_dependent": {
        "elements": [1, 6],
        "class": "NonLinearBodyOrderedModel",
        "interaction_cls": "ResidualElementDependentInteractionBlock",
        "gate": "abs",
    },
    "linear": {
        "elements": [1, 8],
        "class": "BodyOrderedModel",
        "interaction_cls": "ElementDependentInteractionBlock",
        "max_ell": 1,
    },
    "single_readout": {
        "elements": [1, 6, 7, 8],
        "class": "ScaleShiftSingleReadoutModel",
        "interaction_cls": "AgnosticResidualNonlinearInteractionBlock",
        "num_interactions": 2,
    },
}


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add the option for the checkout."""
    parser.add_argument("--source", type=Path, required=True, help=f"gncs/botnet at {COMMIT}")


def generate(fixtures: Path, options: argparse.Namespace) -> None:
    """Write one fixture for each case and dtype."""
    sys.path.insert(0, str(options.source))
    import torch

    for seed, (name, case) in enumerate(CASES.items()):
        config = {**BASE, **case}
        config["atomic_energies"] = [-10.0 * (k + 1) for k in range(len(config["elements"]))]
        structures = generation.structures(config["elements"], seed=200 + seed)
        for dtype in ("float64", "float32"):
            torch.set_default_dtype(getattr(torch, dtype))
            torch.manual_seed(seed)
            model = build(config)
            state = {key: value.detach().clone() for key, value in model.state_dict().items()}
            if dtype == "float64":
                # weights that single precision holds, too: they pack better
                for key, _ in model.named_parameters():
                    state[key] = state[key].float().to(torch.float64)
                reference = state
            else:
                state = {key: reference[key].to(value.dtype) for key, value in state.items()}
            model.load_state_dict(state)
            results = [evaluate(model, structure, config) for structure in structures]
            weights = {
                key: value.numpy()
                for key, value in state.items()
                if value.numel() and "output_mask" not in key and "_w3j" not in key
            }
            description = {"config": config, "dtype": dtype, "pins": [*PINS, f"botnet {COMMIT}"]}
            generation.write(fixtures / f"{name}_{dtype}.npz", description, weights, results)


def build(config: dict[str, Any]) -> Any:
    """Build the original from the JSON-able description of its arguments."""
    import inspect

    import torch
    from botnet import modules
    from e3nn import o3

    model_class = getattr(modules, config["class"])
    known: set[str] = set()
    for parent in model_class.__mro__:
        known |= set(inspect.signature(parent.__init__).parameters)
    arguments = {key: value for key, value in config.items() if key in known}
    for key in ("hidden_irreps", "MLP_irreps"):
        if key in arguments:
            arguments[key] = o3.Irreps(arguments[key])
    for key in ("interaction_cls", "interaction_cls_first"):
        if key in arguments:
            arguments[key] = modules.interaction_classes[arguments[key]]
    if "gate" in arguments:
        gates = {"silu": torch.nn.functional.silu, "tanh": torch.tanh, "abs": torch.abs}
        arguments["gate"] = gates[arguments["gate"]]
    arguments["atomic_energies"] = np.array(arguments["atomic_energies"])
    return model_class(**arguments, num_elements=len(config["elements"]))


def evaluate(
    model: Any, structure: dict[str, Any], config: dict[str, Any]
) -> dict[str, np.ndarray | None]:
    """Return the original's energies, forces and (periodic) stress."""
    import torch
    from ase import Atoms
    from ase.neighborlist import neighbor_list
    from botnet.tools import torch_geometric

    cell = structure["cell"]
    atoms = Atoms(structure["numbers"], structure["positions"], cell=cell, pbc=cell is not None)
    sender, receiver, shifts = neighbor_list("ijS", atoms, config["r_max"])
    dtype = torch.get_default_dtype()
    species = [config["elements"].index(number) for number in structure["numbers"]]
    one_hot = torch.nn.functional.one_hot(torch.tensor(species), len(config["elements"]))
    data = torch_geometric.data.Data(
        positions=torch.tensor(atoms.positions, dtype=dtype),
        shifts=torch.tensor(shifts @ atoms.cell.array, dtype=dtype),
        edge_index=torch.tensor(np.array([sender, receiver])),
        node_attrs=one_hot.to(dtype),
        batch=torch.zeros(len(atoms), dtype=torch.int64),
        num_nodes=len(atoms),
    )
    data.num_graphs = 1
    seen: list[torch.Tensor] = []
    scaled = hasattr(model, "scale_shift")
    watched = [model.scale_shift] if scaled else model.readouts
    vectors: list[torch.Tensor] = []
    hooks = [part.register_forward_hook(lambda *call: seen.append(call[2])) for part in watched]
    hooks.append(
        model.spherical_harmonics.register_forward_pre_hook(
            lambda *call: vectors.append(call[1][0])
        )
    )
    out = model(data, training=True)
    for hook in hooks:
        hook.remove()
    atomic = sum(part.reshape(-1) for part in seen) + model.atomic_energies_fn(data.node_attrs)
    stress = None
    if cell is not None:
        (slope,) = torch.autograd.grad(out["energy"].sum(), vectors[0])
        stress = (vectors[0].detach().T @ slope).numpy() / atoms.get_volume()
    result = {
        **structure,
        "energies": atomic.detach().numpy(),
        "forces": out["forces"].detach().numpy(),
        "stress": stress,
    }
    return {
        key: value if value is None or key == "numbers" else np.asarray(value, dtype=np.float64)
        for key, value in result.items()
    }


if __name__ == "__main__":
    generation.main(__file__, PINS, generate, extra=add_source)
