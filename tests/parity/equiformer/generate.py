# SPDX-License-Identifier: GPL-2.0-or-later
"""Reference numbers of Equiformer from the authors' repository.

python tests/parity/equiformer/generate.py --source CHECKOUT [--venv DIR]

CHECKOUT is the repository atomicarchitects/equiformer on GitHub at commit
64cb7866f48b9aa156e74a9d6a2ef2663b367437. Its code is imported from there as it is, with three
stand-ins: for the two compiled packages that it takes one function each from (neighbour search and
scatter), and for the package of the Bessel basis, which is not compared. It runs under e3nn 0.6 in
place of 0.4.4 and has no periodic boundaries, so that only molecules are compared; it computes in
float64 after one cast to float32 in its element embedding is replaced.
"""

from __future__ import annotations

import argparse
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import generation

PINS = ["torch==2.13.0", "e3nn==0.6.0", "torch-geometric==2.8.1"]
COMMIT = "64cb7866f48b9aa156e74a9d6a2ef2663b367437"

# options of GraphAttentionTransformerMD17 and DotProductAttentionTransformerMD17
BASE: dict[str, Any] = {
    "irreps_node_embedding": "6x0e+3x1e+2x2e",
    "irreps_sh": "1x0e+1x1e+1x2e",
    "irreps_head": "3x0e+2x1e+1x2e",
    "irreps_mlp_mid": "6x0e+4x1e+2x2e",
    "irreps_feature": "8x0e",
    "irreps_pre_attn": None,
    "num_layers": 2,
    "num_heads": 2,
    "max_radius": 4.0,
    "number_of_basis": 5,
    "basis_type": "exp",
    "fc_neurons": [6, 5],
    "nonlinear_message": True,
    "alpha_drop": 0.0,
}

CASES: dict[str, dict[str, Any]] = {
    "nonlinear_exp_l2": {"elements": [8]},
    "linear_gaussian_l1": {
        "elements": [1, 8],
        "irreps_node_embedding": "6x0e+3x1e",
        "irreps_sh": "1x0e+1x1e",
        "irreps_head": "3x0e+2x1e",
        "irreps_mlp_mid": "6x0e+4x1e",
        "nonlinear_message": False,
        "basis_type": "gaussian",
        "num_layers": 3,
    },
    "nonlinear_gaussian_l2_parity": {
        "elements": [1, 6, 8],
        "irreps_node_embedding": "6x0e+2x0o+2x1e+3x1o+1x2e+1x2o",
        "irreps_sh": "1x0e+1x1o+1x2e",
        "irreps_head": "3x0e+1x0o+1x1e+2x1o+1x2e+1x2o",
        "irreps_mlp_mid": "6x0e+2x0o+2x1e+2x1o+1x2e+1x2o",
        "basis_type": "gaussian",
        "fc_neurons": [6],
    },
    "nonlinear_exp_l3": {
        "elements": [1, 6, 7, 8],
        "irreps_node_embedding": "5x0e+2x1e+2x2e+1x3e",
        "irreps_sh": "1x0e+1x1e+1x2e+1x3e",
        "irreps_pre_attn": "4x0e+2x1e+1x2e+1x3e",
        "irreps_head": "2x0e+1x1e+1x2e+1x3e",
        "irreps_mlp_mid": "5x0e+2x1e+2x2e+1x3e",
        "fc_neurons": [6],
    },
    "dot_product_exp_l2": {"elements": [1, 6, 8], "attention": "dot_product"},
}


def generate(fixtures: Path, options: argparse.Namespace) -> None:
    """Write every case in both float types; float32 has the weights of float64, rounded."""
    import torch

    models = original(options.source)
    for seed, (name, case) in enumerate(CASES.items()):
        config = {**BASE, **case}
        elements = config.pop("elements")
        kind = config.pop("attention", "mlp")
        molecules = [
            {**structure, "cell": None} for structure in generation.structures(elements, seed=seed)
        ]
        for dtype in ("float64", "float32"):
            torch.set_default_dtype(getattr(torch, dtype))
            torch.manual_seed(seed)
            model = models[kind](**config).eval()
            if dtype == "float64":
                with torch.no_grad():
                    for key, parameter in model.named_parameters():
                        # biases and norms start at zero and one
                        if "bias" in key or "norm" in key or ".1." in key or ".4." in key:
                            parameter += 0.3 * torch.randn_like(parameter)
                reference = {key: value.clone() for key, value in model.state_dict().items()}
            else:
                model.load_state_dict({k: v.float() for k, v in reference.items()})
            # buffers of ones and of empty tensors are constants of e3nn
            weights = {
                key: value.numpy()
                for key, value in model.state_dict().items()
                if value.numel() and not key.endswith("output_mask")
            }
            generation.write(
                fixtures / f"{name}_{dtype}.npz",
                {
                    "config": {**config, "attention": kind},
                    "elements": elements,
                    "pins": PINS,
                    "commit": COMMIT,
                },
                weights,
                [{**one, **evaluate(model, one, dtype)} for one in molecules],
            )


def evaluate(model, structure: dict[str, Any], dtype: str) -> dict[str, np.ndarray]:
    """Return atomic energies and forces."""
    import torch

    numbers = torch.from_numpy(structure["numbers"])
    positions = torch.tensor(structure["positions"], dtype=getattr(torch, dtype))
    seen: list[Any] = []
    hook = model.head.register_forward_hook(lambda module, given, out: seen.append(out))
    _, forces = model(numbers, positions, torch.zeros_like(numbers))
    hook.remove()
    atomic = seen[0][:, 0] / model.scale_scatter.avg_aggregate_num**0.5
    return {
        "energies": atomic.detach().numpy().astype(np.float64),
        "forces": forces.detach().numpy().astype(np.float64),
    }


def original(source: Path) -> dict[str, Any]:
    """Import the original's two MD17 models."""
    import torch
    import torch_geometric.nn  # noqa: F401 - before the stand-ins, whose origin it would ask for

    def radius_graph(positions, r, batch, max_num_neighbors):
        distance = torch.cdist(positions, positions)
        target, origin = ((distance < r) & ~torch.eye(len(positions), dtype=bool)).nonzero().T
        return origin, target

    def scatter(values, index, dim, dim_size=None):
        size = int(index.max()) + 1 if dim_size is None else dim_size
        return values.new_zeros(size, *values.shape[1:]).index_add(dim, index, values)

    stand_in("torch_cluster", radius_graph=radius_graph)
    stand_in("torch_scatter", scatter=scatter)
    bessel = "ocpmodels.models.gemnet.layers.radial_basis"
    for depth in range(1, 6):
        stand_in(".".join(bessel.split(".")[:depth]), RadialBasis=None)
    # the package itself imports models for other tasks, with further dependencies
    package = stand_in("nets")
    package.__path__ = [str(source / "nets")]

    from nets import dp_attention_transformer_md17 as dot_product
    from nets import graph_attention_transformer as blocks
    from nets import graph_attention_transformer_md17 as mlp

    def embed(self, node_atom):
        one_hot = torch.nn.functional.one_hot(node_atom, self.max_atom_type)
        one_hot = one_hot.to(torch.get_default_dtype())
        return self.atom_type_lin(one_hot), one_hot, one_hot

    blocks.NodeEmbeddingNetwork.forward = embed
    return {
        "mlp": mlp.GraphAttentionTransformerMD17,
        "dot_product": dot_product.DotProductAttentionTransformerMD17,
    }


def stand_in(name: str, **content: Any) -> types.ModuleType:
    """Register a module with the given content."""
    module = types.ModuleType(name)
    vars(module).update(content)
    sys.modules[name] = module
    return module


def source_option(parser: argparse.ArgumentParser) -> None:
    """Add the option for the original's checkout."""
    parser.add_argument(
        "--source", type=lambda text: Path(text).resolve(), required=True, help="checkout"
    )


if __name__ == "__main__":
    generation.main(__file__, PINS, generate, extra=source_option)
