# SPDX-License-Identifier: GPL-2.0-or-later
"""NequIP models of the nequip package (0.19), as options and weights of egraff's NequIP.

The architectures are the same; what differs is the self-connection. nequip multiplies the features
with the element's learned embedding, summed over the embedding's channels; for each element that
is one linear map, which is what egraff stores.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from egraff.interop.nequip_package import BESSEL, IGNORED, OPTIONS, copy_scale_shift, translated
from egraff.interop.options import OptionTable
from egraff.interop.weights import NamedWeights, Target, fold_product, without_prefix
from egraff.models import build

TABLE = OptionTable(
    "NequIP",
    renamed={
        **OPTIONS,
        **BESSEL,
        "num_features": "n_features",
        "type_embed_num_features": "n_type_features",
        "convnet_resnet": "resnet",
        "radial_mlp_depth": "radial_depth",
        "radial_mlp_width": "radial_width",
        "readout_mlp_hidden_layers_depth": "readout_depth",
        "readout_mlp_hidden_layers_width": "readout_width",
    },
    assumed={
        "readout_mlp_nonlinearity": ["silu"],
        "convnet_sc": [True],
        "learnable_shift": [False],
        "convnet_nonlinearity_type": ["gate"],
        "categorical_graph_field_embed": [None],
        "pair_potential": [None],
    },
    elsewhere=IGNORED,
)
# a name that every state of the bare model has
_MARK = "type_embed.embed_module.weight"


def convert_config(config: dict[str, Any]) -> dict[str, Any]:
    """Translate the options of nequip's ``NequIPGNNModel``.

    Raises:
        InputError: an option that egraff's NequIP does not have.
    """
    return translated(TABLE, config)


def convert_state(
    config: dict[str, Any], state: dict[str, Tensor]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Translate options and weights; see :mod:`egraff.interop`.

    Args:
        config: the options of ``NequIPGNNModel`` with which the original was built.
        state: its ``state_dict()``, with or without the prefix of its wrappers.
    """
    options = convert_config(config)
    weights = without_prefix(state, _MARK, "a NequIP GNN model of nequip 0.19")
    model = build("nequip", **options)
    target = Target(model)

    embedding = weights[_MARK]
    target["embedding.weight"] = embedding
    target["basis.roots"] = weights["bessel_encode.bessel_weights"].reshape(-1)
    for number, layer in enumerate(model.layers):
        theirs, ours = f"layer{number}_convnet.conv", f"layers.{number}"
        target[f"{ours}.linear_in.weight"] = weights[f"{theirs}.linear_1.weight"]
        target[f"{ours}.linear_out.weight"] = weights[f"{theirs}.linear_2.weight"]
        _copy_network(weights, f"{theirs}.edge_mlp.mlp", target, f"{ours}.radial.weights")
        if layer.self_connection is not None:
            product = weights[f"{theirs}.sc.weight"]
            for name, weight in fold_product(layer.self_connection, product, embedding).items():
                target[f"{ours}.self_connection.{name}"] = weight
    _copy_network(weights, "per_atom_energy_readout.mlp_module.mlp", target, "readout.weights")
    copy_scale_shift(weights, target)
    return options, target.finished()


def _copy_network(weights: NamedWeights, theirs: str, target: Target, ours: str) -> None:
    """Copy the matrices of a perceptron; theirs counts the activations between them as layers."""
    for layer in range(sum(name.startswith(f"{ours}.") for name in target)):
        target[f"{ours}.{layer}"] = weights[f"{theirs}.{2 * layer}.weight"]
