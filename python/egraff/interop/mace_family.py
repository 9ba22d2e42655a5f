# SPDX-License-Identifier: GPL-2.0-or-later
"""What MACE and BOTNet have in common in their authors' code: interactions, bases and readouts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from egraff.interop.options import OptionTable, same
from egraff.interop.weights import SILU_SCALE, NamedWeights, Target, fold_product
from egraff.nn.interaction import Interaction

# argument there -> option of egraff, where the value is the same
OPTIONS = {
    "num_bessel": "n_radial",
    "num_polynomial_cutoff": "cutoff_p",
    "max_ell": "l_max",
    "num_interactions": "n_layers",
    "avg_num_neighbors": "avg_num_neighbours",
    **same("r_max hidden_irreps"),
}
# read by the converters
ELSEWHERE = frozenset(
    [
        "class",
        "elements",
        "num_elements",
        "atomic_energies",
        "atomic_inter_scale",
        "atomic_inter_shift",
        "gate",
        "MLP_irreps",
        "interaction_cls",
        "interaction_cls_first",
    ]
)


def interaction_kinds(
    table: OptionTable, config: dict[str, Any], kinds: dict[str, str]
) -> dict[str, str]:
    """Return egraff's names of the interaction blocks.

    Raises:
        InputError: a block that egraff lacks.
    """
    names = {"interaction_cls": "interaction", "interaction_cls_first": "interaction_first"}
    return {ours: table.choice(name, config[name], kinds) for name, ours in names.items()}


def copy_embedding(weights: NamedWeights, target: Target) -> None:
    """Copy the embedding, a linear map of the one-hot element."""
    name = "embedding.weight"
    n_species = target[name].shape[0]
    target.fill(name, weights["node_embedding.linear.weight"] / math.sqrt(n_species))


def copy_bessel(weights: NamedWeights, target: Target, r_max: float) -> float:
    """Copy the roots of the Bessel functions; return what theirs are times ours."""
    roots = weights["radial_embedding.bessel_fn.bessel_weights"]
    target["basis.roots"] = roots * (r_max / math.pi)
    return math.sqrt(r_max / 2.0)


def copy_interaction(
    weights: NamedWeights,
    target: Target,
    number: int,
    interaction: Interaction,
    *,
    basis_scale: float,
    columns: Sequence[int] | None = None,
) -> None:
    """Copy what surrounds the convolution of a layer, and its radial functions.

    Args:
        weights: the original's.
        target: what is filled.
        number: of the layer.
        interaction: egraff's block.
        basis_scale: what their radial basis is times ours.
        columns: for each of our edge weights, which of theirs it is; None for the same order.
    """
    theirs, ours = f"interactions.{number}", f"layers.{number}.interaction"
    for name in ("linear_up", "linear"):
        target[f"{ours}.{name}.weight"] = weights[f"{theirs}.{name}.weight"]
    if interaction.radial is None:
        weight = weights[f"{theirs}.conv_tp_weights.weights"]
        target[f"{ours}.element_radial.weight"] = weight * basis_scale
    else:
        last = len(interaction.radial.weights) - 1
        for layer in range(last + 1):
            weight = weights[f"{theirs}.conv_tp_weights.layer{layer}.weight"]
            weight = weight * (basis_scale if layer == 0 else SILU_SCALE)
            if layer == last and columns is not None:
                weight = weight[:, columns]
            target[f"{ours}.radial.weights.{layer}"] = weight
    product = weights[f"{theirs}.skip_tp.weight"]
    one_hot = torch.eye(interaction.skip.n_species, dtype=product.dtype)
    for name, weight in fold_product(interaction.skip, product, one_hot).items():
        target[f"{ours}.skip.{name}"] = weight


def copy_readouts(weights: NamedWeights, target: Target) -> None:
    """Copy the readouts, which the original counts by themselves."""
    names = [name.rpartition(".readout.")[0] for name in target if ".readout.weight" in name]
    for number, layer in enumerate(dict.fromkeys(names)):
        for theirs, ours in (("linear", ""), ("linear_1", "_1"), ("linear_2", "_2")):
            name = f"{layer}.readout.weight{ours}"
            if name in target:
                target.fill(name, weights[f"readouts.{number}.{theirs}.weight"])
