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
from torch import Tensor

from egraff.errors import InputError
from egraff.interop.options import OptionTable, embedded_numbers, same
from egraff.interop.weights import NamedWeights

PACKAGE = "torchmd-net model"

# `create_model` is given all settings of a training; those that are not here change no number
TABLE = OptionTable(
    "TorchMD-Net",
    renamed={
        "cutoff_upper": "r_max",
        "cutoff_lower": "cutoff_lower",
        "embedding_dimension": "hidden_channels",
        "neighbor_embedding": "neighbour_embedding",
        **same(
            "num_layers num_heads num_rbf rbf_type trainable_rbf activation attn_activation "
            "distance_influence vector_cutoff"
        ),
    },
    assumed={
        "model": ["equivariant-transformer"],
        "output_model": ["Scalar", "EquivariantScalar"],
        "prior_model": [None, "Atomref"],
        "reduce_op": ["add", "sum"],
    },
)
# of options that older checkpoints lack
_DEFAULTS = {"output_model": "Scalar", "reduce_op": "add", "precision": 32}
_DEFAULTS |= {"vector_cutoff": False, "cutoff_lower": 0.0}
# what a weight is called there -> here, as regular expressions
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
_NAMES = {
    r"embedding\.(.*)": r"embedding.\1",
    r"distance_expansion\.(means|offset)": r"basis.centres",
    r"distance_expansion\.betas": r"basis.widths",
    r"distance_expansion\.coeff": r"basis.coefficient",
    r"neighbor_embedding\.distance_proj\.(.*)": r"neighbour_embedding.filter.\1",
    r"neighbor_embedding\.((embedding|combine)\..*)": r"neighbour_embedding.\1",
    r"out_norm\.(.*)": r"norm.\1",
    **{rf"attention_layers\.(\d+)\.{a}\.(.*)": rf"layers.\1.{b}.\2" for a, b in _LAYER.items()},
    r"output_network\.(\d)\.vec1_proj\.(.*)": r"readout.\1.length.\2",
    r"output_network\.0\.vec2_proj\.(.*)": r"readout.0.vector.\1",
    r"output_network\.(\d)\.update_net\.layers\.0\.(.*)": r"readout.\1.hidden.\2",
    r"output_network\.(\d)\.update_net\.layers\.2\.(.*)": r"readout.\1.output.\2",
}
# what becomes an option, or does not act on the energy: statistics of the training set, the search
# for neighbours, vectors that are still zero, vectors that are not read
_UNUSED = re.compile(
    r"mean|std|prior_model\..*|distance\..*"
    r"|attention_layers\.0\.vec_proj\..*|output_network\.1\.vec2_proj\..*"
)


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
        elements: chemical symbols that the converted model is to know; the original has weights
            for every element, trained or not.
        drop_mean: leave out the constant that the original adds once per structure, which no sum
            of atomic energies can represent. Forces do not change.

    Returns:
        Options for :func:`egraff.models.build` and the weights for ``load_state_dict``. Energies
        keep the original's unit, whatever that was.

    Raises:
        InputError: another architecture or output, an option that egraff lacks, or a mean.
    """
    given = {**_DEFAULTS, **config, "prior_model": config.get("prior_model") or None}
    renamed = TABLE.translate({name: given[name] for name in (*TABLE.renamed, *TABLE.assumed)})
    precision = TABLE.choice("precision", given["precision"], {32: "float32", 64: "float64"})
    weights = NamedWeights({_current_name(name): w for name, w in state.items()}, PACKAGE)

    mean = float(weights.get("mean", torch.zeros(())))
    if mean != 0.0 and not drop_mean:
        raise InputError(
            f"expected atomic energies only, got a constant of {mean:g} per structure",
            where=PACKAGE,
            field="mean",
            fix="convert with drop_mean=True: energies lose the constant, forces stay",
        )
    max_z = weights["representation_model.embedding.weight"].shape[0]
    numbers = embedded_numbers(elements, max_z, where=PACKAGE)
    shift = [0.0] * len(elements)
    if "prior_model.0.atomref.weight" in weights:
        shift = weights["prior_model.0.atomref.weight"][numbers, 0].to(torch.float64).tolist()
    options = {
        **renamed,
        "elements": list(elements),
        "dtype": precision,
        "energy_scale": [float(weights.get("std", torch.ones(())))] * len(elements),
        "energy_shift": shift,
        "isolated_atom": "network",
    }
    return options, _weights(weights, numbers, options)


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
    bare = re.sub(r"^(representation_model|output_model)\.", "", name)
    if _UNUSED.fullmatch(bare):
        return None
    for pattern, replacement in _NAMES.items():
        if match := re.fullmatch(pattern, bare):
            return match.expand(replacement)
    raise InputError(
        f"egraff's TorchMD-Net has no weight {name}",
        where=PACKAGE,
        field="state",
        fix="this model cannot be converted",
    )


def _current_name(name: str) -> str:
    name = name.removeprefix("model.")
    return re.sub(
        r"^(output_model\.output_network\.\d+\.update_net)\.(\d+)\.", r"\1.layers.\2.", name
    )
