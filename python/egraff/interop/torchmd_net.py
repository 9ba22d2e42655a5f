# SPDX-License-Identifier: GPL-2.0-or-later
"""Equivariant transformers of the torchmd-net package (tested against version 3.1.0).

A checkpoint of that package holds ``hyper_parameters`` (the arguments of its ``create_model``) and
``state_dict``. Only the model ``equivariant-transformer`` with the output ``Scalar`` is a force
field that egraff knows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
from ase.data import atomic_numbers
from torch import Tensor

from egraff.errors import InputError

PACKAGE = "torchmd-net model"

_LAYER = {
    "layernorm": "norm",
    "q_proj": "query",
    "k_proj": "key",
    "v_proj": "value",
    "o_proj": "output",
    "vec_proj": "vector",
    "dk_proj": "key_filter",
    "dv_proj": "value_filter",
}
_BASIS = {"means": "centres", "betas": "widths", "offset": "centres", "coeff": "coefficient"}


def convert_state(
    config: dict[str, Any],
    state: dict[str, Tensor],
    *,
    elements: Sequence[str],
    drop_mean: bool = False,
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Turn an equivariant transformer into egraff's.

    Args:
        config: the arguments of ``torchmdnet.models.model.create_model``.
        state: the model's weights; a leading ``model.`` of the trainer and the names of versions
            before 2.0 are understood.
        elements: chemical symbols that the converted model shall know; the original has weights
            for every element, trained or not.
        drop_mean: leave out the constant that the original adds once per structure, which no sum
            of atomic energies can represent. Forces do not change.

    Returns:
        Options for :func:`egraff.models.build` and the weights for ``load_state_dict``. Energies
        keep the original's unit, whatever that was.

    Raises:
        InputError: another architecture or output, an option that egraff lacks, or a mean.
    """
    _refuse("model", config["model"], "equivariant-transformer")
    _refuse("output_model", config.get("output_model", "Scalar"), "Scalar", "EquivariantScalar")
    _refuse("prior_model", config.get("prior_model") or None, None, "Atomref")
    _refuse("reduce_op", config.get("reduce_op", "add"), "add", "sum")
    state = {_current_name(name): value for name, value in state.items()}

    mean = float(state.get("mean", torch.zeros(())))
    if mean != 0.0 and not drop_mean:
        raise InputError(
            f"expected atomic energies only, got a constant of {mean:g} per structure",
            where=PACKAGE,
            field="mean",
            fix="convert with drop_mean=True: energies lose the constant, forces stay",
        )
    numbers = [atomic_numbers[symbol] for symbol in elements]
    max_z = state["representation_model.embedding.weight"].shape[0]
    if too_heavy := [s for s, z in zip(elements, numbers, strict=True) if z >= max_z]:
        raise InputError(
            f"expected atomic numbers below {max_z}, got {', '.join(too_heavy)}",
            where=PACKAGE,
            field="max_z",
            fix="name only elements that the model has weights for",
        )
    shift = [0.0] * len(elements)
    if "prior_model.0.atomref.weight" in state:
        shift = state["prior_model.0.atomref.weight"][numbers, 0].to(torch.float64).tolist()
    options = {
        "elements": list(elements),
        "r_max": float(config["cutoff_upper"]),
        "dtype": {32: "float32", 64: "float64"}[config.get("precision", 32)],
        "energy_scale": [float(state.get("std", torch.ones(())))] * len(elements),
        "energy_shift": shift,
        "isolated_atom": "network",
        "hidden_channels": config["embedding_dimension"],
        "num_layers": config["num_layers"],
        "num_heads": config["num_heads"],
        "num_rbf": config["num_rbf"],
        "rbf_type": config["rbf_type"],
        "trainable_rbf": config["trainable_rbf"],
        "activation": config["activation"],
        "attn_activation": config["attn_activation"],
        "neighbour_embedding": config["neighbor_embedding"],
        "distance_influence": config["distance_influence"],
        "vector_cutoff": config.get("vector_cutoff", False),
        "cutoff_lower": float(config.get("cutoff_lower", 0.0)),
    }
    return options, _weights(state, numbers, options)


def _weights(
    state: dict[str, Tensor], numbers: list[int], options: dict[str, Any]
) -> dict[str, Tensor]:
    result = {
        "scale_shift.scale": torch.tensor(options["energy_scale"], dtype=torch.float64),
        "scale_shift.shift": torch.tensor(options["energy_shift"], dtype=torch.float64),
    }
    for name, value in state.items():
        new = _new_name(name)
        if new is None:
            continue
        if new.endswith("embedding.weight"):
            value = value[numbers]
        if new.startswith("readout.1.output."):
            value = value[:1]  # the second output gates vectors that the energy does not use
        result[new] = value
    return result


def _new_name(name: str) -> str | None:
    """Return egraff's name of a weight, or None for one that the energy does not depend on."""
    if not name.startswith("representation_model."):
        patterns = [
            (r"output_model\.output_network\.(\d)\.vec1_proj\.(.*)", r"readout.\1.length.\2"),
            (r"output_model\.output_network\.(0)\.vec2_proj\.(.*)", r"readout.\1.vector.\2"),
            (
                r"output_model\.output_network\.(\d)\.update_net\.layers\.0\.(.*)",
                r"readout.\1.hidden.\2",
            ),
            (
                r"output_model\.output_network\.(\d)\.update_net\.layers\.2\.(.*)",
                r"readout.\1.output.\2",
            ),
        ]
        for pattern, replacement in patterns:
            if re.fullmatch(pattern, name):
                return re.sub(pattern, replacement, name)
        return None
    part, *rest = name.removeprefix("representation_model.").split(".")
    if part == "embedding":
        return f"embedding.{rest[0]}"
    if part == "distance_expansion":
        return f"basis.{_BASIS[rest[0]]}"
    if part == "neighbor_embedding":
        inner = {"distance_proj": "filter"}.get(rest[0], rest[0])
        return f"neighbour_embedding.{inner}.{rest[1]}"
    if part == "out_norm":
        return f"norm.{rest[0]}"
    if part == "attention_layers":
        if rest[:2] == ["0", "vec_proj"]:
            return None  # acts on vectors that are still zero
        return f"layers.{rest[0]}.{_LAYER[rest[1]]}.{rest[2]}"
    return None


def _current_name(name: str) -> str:
    name = name.removeprefix("model.")
    return re.sub(
        r"^(output_model\.output_network\.\d+\.update_net)\.(\d+)\.", r"\1.layers.\2.", name
    )


def _refuse(field: str, got: object, *expected: object) -> None:
    if got not in expected:
        raise InputError(
            f"expected {' or '.join(repr(value) for value in expected)}, got {got!r}",
            where=PACKAGE,
            field=field,
            fix="egraff has no counterpart of this option; convert a model without it",
        )
