# SPDX-License-Identifier: GPL-2.0-or-later
"""Reference numbers of MACE from mace-torch 0.3.16.

    python tests/parity/mace/generate.py [--venv DIR]

mace-torch asks for e3nn 0.4.4, which does not run with this torch; it works with e3nn 0.6.0. So
both are installed without their requirements, which follow by name.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import generation

PINS = [
    "torch==2.13.0",
    "ase==3.29.0",
    "h5py==3.16.0",
    "lmdb==3.0.0",
    "matscipy==1.3.1",
    "opt_einsum==3.4.0",
    "opt_einsum_fx==0.1.4",
    "orjson==3.13.0",
    "prettytable==3.18.0",
    "scipy==1.17.1",
    "torch-ema==0.3",
    "torchmetrics==1.9.0",
    "gitpython==3.2.1",
    "configargparse==1.9.0",
    "matplotlib==3.11.2",
    "pandas==3.1.1",
    "pyyaml==6.0.3",
    "tqdm==4.70.1",
    "python-hostlist==2.3.0",
]
WITHOUT_REQUIREMENTS = ["e3nn==0.6.0", "mace-torch==0.3.16"]

# arguments of mace.modules.MACE and ScaleShiftMACE; blocks by the names of their classes
BASE: dict[str, Any] = {
    "class": "ScaleShiftMACE",
    "r_max": 4.0,
    "num_bessel": 5,
    "num_polynomial_cutoff": 5,
    "max_ell": 2,
    "interaction_cls": "RealAgnosticResidualInteractionBlock",
    "interaction_cls_first": "RealAgnosticInteractionBlock",
    "num_interactions": 2,
    "hidden_irreps": "4x0e + 4x1o",
    "MLP_irreps": "6x0e",
    "avg_num_neighbors": 11.0,
    "correlation": 3,
    "gate": "silu",
    "radial_MLP": [8, 8],
    "atomic_inter_scale": 0.7,
    "atomic_inter_shift": 0.05,
}
DENSITY = {
    "interaction_cls": "RealAgnosticDensityResidualInteractionBlock",
    "interaction_cls_first": "RealAgnosticDensityInteractionBlock",
}

CASES: dict[str, dict[str, Any]] = {
    "plain": {
        "elements": [8],
        "class": "MACE",
        "hidden_irreps": "4x0e + 4x1o + 4x2e",
        "max_ell": 3,
        "radial_MLP": [8, 8, 8],
    },
    "scale_shift_residual_first": {
        "elements": [1, 8],
        "interaction_cls_first": "RealAgnosticResidualInteractionBlock",
        "correlation": 2,
        "num_interactions": 3,
        "gate": "tanh",
    },
    "density_agnesi_zbl": {
        "elements": [1, 6, 8],
        **DENSITY,
        "distance_transform": "Agnesi",
        "pair_repulsion": True,
    },
    "unscaled_zbl_soft_gaussian": {
        "elements": [1, 6],
        "class": "MACE",
        "distance_transform": "Soft",
        "radial_type": "gaussian",
        "pair_repulsion": True,
        "num_polynomial_cutoff": 6,
    },
    "pseudotensors": {
        "elements": [1, 6],
        "hidden_irreps": "3x0e + 3x0o + 3x1o + 3x1e",
        "max_ell": 1,
        "interaction_cls": "RealAgnosticInteractionBlock",
        "correlation": [3, 2],
    },
    "four_elements_two_heads": {
        "elements": [1, 6, 7, 8],
        "hidden_irreps": "4x0e + 4x1o",
        "interaction_cls_first": "RealAgnosticDensityResidualInteractionBlock",
        "heads": ["dft", "ccsd"],
        "head": "ccsd",
        "atomic_inter_scale": [0.7, 1.3],
        "atomic_inter_shift": [0.05, -0.02],
        "num_interactions": 3,
        "correlation": 2,
    },
    "late_envelope_scalars_one_layer": {
        "elements": [6, 8],
        "hidden_irreps": "4x0e",
        "apply_cutoff": False,
        "num_interactions": 1,
    },
    "late_envelope_density_common_product": {
        "elements": [6, 8],
        **DENSITY,
        "apply_cutoff": False,
        "use_agnostic_product": True,
        "use_last_readout_only": True,
        "gate": "abs",
    },
    "edge_irreps": {
        "elements": [1, 8],
        "edge_irreps": "3x0e + 3x1o",
        "use_edge_irreps_first": True,
        "gate": "none",
    },
    # energies only: torch has no derivative of its Chebyshev polynomials
    "chebyshev_agnesi": {
        "elements": [1, 6],
        "radial_type": "chebyshev",
        "distance_transform": "Agnesi",
        "correlation": 2,
    },
    # the benchmark's BOTNet
    "c1_n5": {
        "elements": [1, 6, 8],
        "interaction_cls_first": "RealAgnosticResidualInteractionBlock",
        "correlation": 1,
        "num_interactions": 5,
        "max_ell": 3,
        "hidden_irreps": "3x0e + 3x1o + 3x2e",
    },
}


def generate(fixtures: Path, options: argparse.Namespace) -> None:
    """Write one fixture for each case and dtype."""
    import torch

    for seed, (name, case) in enumerate(CASES.items()):
        config = {**BASE, **case}
        n_heads = len(config.get("heads", ["Default"]))
        reference = [
            [-10.0 * (k + 1) - h for k in range(len(config["elements"]))] for h in range(n_heads)
        ]
        config["atomic_energies"] = reference if n_heads > 1 else reference[0]
        structures = generation.structures(config["elements"], seed=100 + seed)
        for dtype in ("float64", "float32"):
            torch.set_default_dtype(getattr(torch, dtype))
            torch.manual_seed(seed)
            model = build(config)
            state = {key: value.detach().clone() for key, value in model.state_dict().items()}
            if dtype == "float64":
                reference_state = state
            else:
                state = {key: reference_state[key].to(value.dtype) for key, value in state.items()}
            model.load_state_dict(state)
            results = [evaluate(model, structure, config) for structure in structures]
            weights = {
                key: value.numpy() for key, value in state.items() if value.numel() and wanted(key)
            }
            pins = [*PINS, *WITHOUT_REQUIREMENTS]
            description = {"config": config, "dtype": dtype, "pins": pins}
            generation.write(fixtures / f"{name}_{dtype}.npz", description, weights, results)


def wanted(key: str) -> bool:
    """Leave out what is large and follows from the irreps alone."""
    return not any(part in key for part in ("output_mask", "_w3j", "graph_opt"))


def build(config: dict[str, Any]) -> Any:
    """Build the original from the JSON-able description of its arguments."""
    import torch
    from e3nn import o3
    from mace import modules

    arguments = {key: value for key, value in config.items() if key not in NOT_ARGUMENTS}
    for key in ("hidden_irreps", "MLP_irreps", "edge_irreps"):
        if key in arguments:
            arguments[key] = o3.Irreps(arguments[key])
    for key in ("interaction_cls", "interaction_cls_first"):
        arguments[key] = modules.interaction_classes[arguments[key]]
    gates = {"silu": torch.nn.functional.silu, "tanh": torch.tanh, "abs": torch.abs, "none": None}
    arguments["gate"] = gates[arguments["gate"]]
    arguments["atomic_energies"] = np.array(arguments["atomic_energies"])
    if config["class"] == "MACE":
        del arguments["atomic_inter_scale"], arguments["atomic_inter_shift"]
    elements = config["elements"]
    return getattr(modules, config["class"])(
        **arguments, num_elements=len(elements), atomic_numbers=elements
    )


NOT_ARGUMENTS = {"class", "elements", "head"}


def evaluate(
    model: Any, structure: dict[str, Any], config: dict[str, Any]
) -> dict[str, np.ndarray | None]:
    """Return the original's energies, forces and (periodic) stress."""
    from ase import Atoms
    from mace import data
    from mace.tools import AtomicNumberTable, torch_geometric

    cell = structure["cell"]
    atoms = Atoms(structure["numbers"], structure["positions"], cell=cell, pbc=cell is not None)
    heads = config.get("heads", ["Default"])
    key_specification = data.KeySpecification(info_keys={"head": "head"}, arrays_keys={})
    atoms.info["head"] = config.get("head", heads[0])
    frame = data.AtomicData.from_config(
        data.config_from_atoms(
            atoms, key_specification=key_specification, head_name=atoms.info["head"]
        ),
        z_table=AtomicNumberTable(config["elements"]),
        cutoff=config["r_max"],
        heads=heads,
    )
    batch = torch_geometric.Batch.from_data_list([frame]).to_dict()
    derivatives = config.get("radial_type") != "chebyshev"
    stress = derivatives and cell is not None
    out = model(batch, compute_force=derivatives, compute_stress=stress)
    result = {
        **structure,
        "energies": out["node_energy"].detach().numpy(),
        "forces": out["forces"].detach().numpy() if derivatives else None,
        "stress": out["stress"].detach().numpy().reshape(3, 3) if stress else None,
    }
    return {
        key: value if value is None or key == "numbers" else np.asarray(value, dtype=np.float64)
        for key, value in result.items()
    }


if __name__ == "__main__":
    generation.main(__file__, PINS, generate, without_requirements=WITHOUT_REQUIREMENTS)
