# SPDX-License-Identifier: GPL-2.0-or-later
"""NequIP models of the nequip package (0.19), as options and weights of egraff's NequIP.

The architectures are the same; what differs is the self-connection. nequip multiplies the features
with the element's learned embedding, summed over the embedding's channels; for each element that
is one linear map, which is what egraff stores.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from egraff.errors import InputError
from egraff.interop.weights import by_position, fold_product, unsupported, without_prefix
from egraff.models import build

# option of nequip's NequIPGNNModel -> option of egraff's NequIP
_OPTIONS = {
    "type_names": "elements",
    "model_dtype": "dtype",
    "r_max": "r_max",
    "per_edge_type_cutoff": "pair_cutoffs",
    "num_layers": "n_layers",
    "l_max": "l_max",
    "parity": "parity",
    "num_features": "n_features",
    "type_embed_num_features": "n_type_features",
    "convnet_resnet": "resnet",
    "num_bessels": "n_bessel",
    "bessel_trainable": "bessel_trainable",
    "polynomial_cutoff_p": "cutoff_p",
    "radial_mlp_depth": "radial_depth",
    "radial_mlp_width": "radial_width",
    "readout_mlp_hidden_layers_depth": "readout_depth",
    "readout_mlp_hidden_layers_width": "readout_width",
    "avg_num_neighbors": "avg_num_neighbours",
    "per_type_energy_scales": "energy_scale",
    "per_type_energy_shifts": "energy_shift",
    "per_type_energy_scales_trainable": "energy_scale_trainable",
    "per_type_energy_shifts_trainable": "energy_shift_trainable",
}
# options that do not change the numbers, or must have the value that egraff assumes
# a name that every state of the bare model has
_MARK = "type_embed.embed_module.weight"
_IGNORED = {"seed", "do_derivatives", "compile_mode"}
_ASSUMED: dict[str, tuple[Any, ...]] = {
    "readout_mlp_nonlinearity": ("silu",),
    "convnet_sc": (True,),
    "learnable_shift": (False,),
    "convnet_nonlinearity_type": ("gate",),
    "categorical_graph_field_embed": (None,),
    "pair_potential": (None,),
}


def convert_config(config: dict[str, Any]) -> dict[str, Any]:
    """Translate the options of nequip's ``NequIPGNNModel``.

    Raises:
        InputError: an option that egraff's NequIP does not have.
    """
    converted: dict[str, Any] = {}
    for name, value in config.items():
        if name in _OPTIONS:
            if value is not None:
                converted[_OPTIONS[name]] = value
        elif name in _ASSUMED:
            if value not in _ASSUMED[name]:
                raise unsupported("NequIP", name, value)
        elif name not in _IGNORED:
            raise unsupported("NequIP", name, value)
    return by_position(converted)


def convert_state(
    config: dict[str, Any], state: dict[str, Tensor]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Translate options and weights.

    Args:
        config: the options of ``NequIPGNNModel`` with which the original was built.
        state: its ``state_dict()``, with or without the prefix of its wrappers.

    Returns:
        Options for :func:`egraff.models.build`, and the state of the model it makes.

    Raises:
        InputError: an option that egraff lacks, or a weight that is missing.
    """
    options = convert_config(config)
    weights = without_prefix(state, _MARK, "a NequIP GNN model of nequip 0.19")
    model = build("nequip", **options)
    result = model.state_dict()

    embedding = weights["type_embed.embed_module.weight"]
    result["embedding.weight"] = embedding
    result["basis.roots"] = weights["bessel_encode.bessel_weights"].reshape(-1)
    for number, layer in enumerate(model.layers):
        theirs = f"layer{number}_convnet.conv"
        ours = f"layers.{number}"
        result[f"{ours}.linear_in.weight"] = weights[f"{theirs}.linear_1.weight"]
        result[f"{ours}.linear_out.weight"] = weights[f"{theirs}.linear_2.weight"]
        _copy_network(weights, f"{theirs}.edge_mlp.mlp", result, f"{ours}.radial.weights")
        if layer.self_connection is not None:
            product = weights[f"{theirs}.sc.weight"]
            folded = fold_product(layer.self_connection, product, embedding)
            for block, weight in folded.items():
                result[f"{ours}.self_connection.blocks.{block}.weight"] = weight
    _copy_network(weights, "per_atom_energy_readout.mlp_module.mlp", result, "readout.weights")
    for theirs, ours in (("scales", "scale"), ("shifts", "shift")):
        values = weights.get(f"per_type_energy_scale_shift.{theirs}")
        if values is not None and values.numel():  # one for all, or one for each element
            target = result[f"scale_shift.{ours}"]
            result[f"scale_shift.{ours}"] = values.reshape(-1).expand_as(target).clone()
    return options, {
        name: value.to(model.state_dict()[name].dtype) for name, value in result.items()
    }


def _copy_network(
    weights: dict[str, Tensor], theirs: str, result: dict[str, Tensor], ours: str
) -> None:
    """Copy the matrices of a perceptron; theirs counts the activations between them as layers."""
    n_layers = sum(name.startswith(f"{ours}.") for name in result)
    for layer in range(n_layers):
        name = f"{theirs}.{2 * layer}.weight"
        if name not in weights:
            raise InputError(
                f"expected a weight {name}, found none",
                field="state",
                fix="give the options with which this model was built",
            )
        result[f"{ours}.{layer}"] = weights[name]
