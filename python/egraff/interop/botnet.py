# SPDX-License-Identifier: GPL-2.0-or-later
"""BOTNet models of the authors' code (github.com/gncs/botnet), as options and weights of egraff's.

What differs is as for MACE (:mod:`egraff.interop.mace`): the one-hot element, the scale of SiLU,
and the constant of the Bessel functions. The edges' weights have the same order.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from ase.data import chemical_symbols
from e3nn import o3
from torch import Tensor

from egraff.errors import InputError
from egraff.interop.weights import SILU_SCALE, NamedWeights, fold_product
from egraff.models import build

_INTERACTIONS = {
    "AgnosticNonlinearInteractionBlock": "agnostic",
    "AgnosticResidualNonlinearInteractionBlock": "agnostic_residual",
    "ElementDependentInteractionBlock": "element_dependent",
    "ResidualElementDependentInteractionBlock": "element_dependent_residual",
}
# class of the original -> perceptron in the last readout, last readout only, scale and shift
_CLASSES = {
    "BodyOrderedModel": (False, False, False),
    "NonLinearBodyOrderedModel": (True, False, False),
    "SingleReadoutModel": (False, True, False),
    "ScaleShiftBodyOrderedModel": (False, False, True),
    "ScaleShiftNonLinearBodyOrderedModel": (True, False, True),
    "ScaleShiftSingleReadoutModel": (False, True, True),
    "ScaleShiftNonLinearSingleReadoutModel": (True, True, True),
}


def convert_config(config: dict[str, Any], dtype: str) -> dict[str, Any]:
    """Translate the arguments of the original's models.

    Args:
        config: ``class`` (its name), ``elements`` (atomic numbers) and the arguments, with irreps,
            classes and the gate by name.
        dtype: ``float32`` or ``float64``.

    Raises:
        InputError: a class or block that egraff's BOTNet does not have.
    """
    if config["class"] not in _CLASSES:
        raise _unsupported("class", config["class"])
    perceptron, last_only, scaled = _CLASSES[config["class"]]
    kinds = {}
    for name, ours in (
        ("interaction_cls", "interaction"),
        ("interaction_cls_first", "interaction_first"),
    ):
        # all classes but these have one kind for all layers
        own_first = config["class"].endswith("NonLinearBodyOrderedModel")
        value = config[name] if own_first else config["interaction_cls"]
        if value not in _INTERACTIONS:
            raise _unsupported(name, value)
        kinds[ours] = _INTERACTIONS[value]
    n_elements = len(config["elements"])
    shift = config["atomic_inter_shift"] if scaled else 0.0
    options = {
        "elements": [chemical_symbols[number] for number in config["elements"]],
        "dtype": dtype,
        "r_max": config["r_max"],
        "n_radial": config["num_bessel"],
        "cutoff_p": config["num_polynomial_cutoff"],
        "l_max": config["max_ell"],
        "n_layers": config["num_interactions"],
        "hidden_irreps": config["hidden_irreps"],
        "avg_num_neighbours": config["avg_num_neighbors"],
        "energy_scale": [config["atomic_inter_scale"] if scaled else 1.0] * n_elements,
        "energy_shift": [energy + shift for energy in config["atomic_energies"]],
        "isolated_atom": "network",
        "readout": "mlp" if perceptron else "linear",
        "last_readout_only": last_only,
        **kinds,
    }
    if perceptron:
        width = o3.Irreps(config["MLP_irreps"])
        if len(width) != 1 or width[0].ir != o3.Irrep("0e"):
            raise _unsupported("MLP_irreps", config["MLP_irreps"])
        options |= {"readout_width": width[0].mul, "gate": config["gate"]}
    return options


def convert_state(
    config: dict[str, Any], state: dict[str, Tensor]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Translate options and weights.

    Args:
        config: see :func:`convert_config`.
        state: the original's ``state_dict()``.

    Returns:
        Options for :func:`egraff.models.build`, and the state of the model it makes.

    Raises:
        InputError: something that egraff's BOTNet does not have, or a weight that is missing.
    """
    weights = NamedWeights(state, "a BOTNet model of the authors' code")
    embedding = weights["node_embedding.linear.weight"]
    options = convert_config(config, str(embedding.dtype).removeprefix("torch."))
    model = build("botnet", **options)
    result = model.state_dict()
    n_species = len(options["elements"])
    identity = torch.eye(n_species, dtype=embedding.dtype)
    basis_scale = math.sqrt(model.r_max / 2.0)

    result["embedding.weight"] = embedding.reshape(n_species, -1) / math.sqrt(n_species)
    roots = weights["radial_embedding.bessel_fn.bessel_weights"]
    result["basis.roots"] = roots * (model.r_max / math.pi)
    for number, layer in enumerate(model.layers):
        theirs, ours = f"interactions.{number}", f"layers.{number}.interaction"
        for name in ("linear_up", "linear"):
            result[f"{ours}.{name}.weight"] = weights[f"{theirs}.{name}.weight"]
        if layer.interaction.radial is None:
            weight = weights[f"{theirs}.conv_tp_weights.weights"]
            result[f"{ours}.element_radial.weight"] = weight * basis_scale
        else:
            for depth in range(len(layer.interaction.radial.weights)):
                weight = weights[f"{theirs}.conv_tp_weights.layer{depth}.weight"]
                scale = basis_scale if depth == 0 else SILU_SCALE
                result[f"{ours}.radial.weights.{depth}"] = weight * scale
        folded = fold_product(layer.interaction.skip, weights[f"{theirs}.skip_tp.weight"], identity)
        for block, weight in folded.items():
            result[f"{ours}.skip.blocks.{block}.weight"] = weight
    _copy_readouts(weights, model, result)
    return options, {
        name: value.to(model.state_dict()[name].dtype) for name, value in result.items()
    }


def _copy_readouts(weights: NamedWeights, model: Any, result: dict[str, Tensor]) -> None:
    readouts = [number for number, layer in enumerate(model.layers) if layer.readout is not None]
    for theirs, number in enumerate(readouts):
        ours = f"layers.{number}.readout"
        for name, source in (
            ("weight", "linear"),
            ("weight_1", "linear_1"),
            ("weight_2", "linear_2"),
        ):
            if f"{ours}.{name}" in result:
                weight = weights[f"readouts.{theirs}.{source}.weight"]
                result[f"{ours}.{name}"] = weight.reshape(result[f"{ours}.{name}"].shape)


def _unsupported(name: str, value: Any) -> InputError:
    return InputError(
        f"egraff's BOTNet has no {name} = {value!r}",
        field=name,
        fix="this model cannot be converted",
    )
