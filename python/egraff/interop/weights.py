# SPDX-License-Identifier: GPL-2.0-or-later
"""Translations of weights that several converters need."""

from __future__ import annotations

import math
from typing import Any

import torch
from e3nn.math import normalize2mom
from torch import Tensor

from egraff.errors import InputError
from egraff.nn.species import SpeciesLinear

# e3nn's networks scale SiLU to unit second moment, egraff's radial networks multiply by sqrt(2)
SILU_SCALE = float(normalize2mom(torch.nn.functional.silu).cst) / math.sqrt(2.0)


class NamedWeights(dict[str, Tensor]):
    """An original's state, with a message for what is missing.

    Args:
        state: names and values.
        origin: what it should be the state of.
    """

    def __init__(self, state: dict[str, Tensor], origin: str) -> None:
        super().__init__(state)
        self.origin = origin

    def __missing__(self, name: str) -> Tensor:
        raise InputError(
            f"expected a weight {name}, found none among {len(self)}",
            field="state",
            fix=f"give the state_dict of {self.origin}, and the arguments it was built with",
        )


def without_prefix(state: dict[str, Tensor], mark: str, origin: str) -> dict[str, Tensor]:
    """Drop what wrappers and trainers put before the names of weights.

    Args:
        state: names and values.
        mark: a name that the bare model has.
        origin: what it should be the state of.

    Raises:
        InputError: no name ends with ``mark``.
    """
    found = [name for name in state if name.endswith(mark)]
    if not found:
        raise InputError(
            f"expected a weight ...{mark}, found none among {len(state)}",
            field="state",
            fix=f"give the state_dict of {origin}",
        )
    prefix = found[0].removesuffix(mark)
    return {name.removeprefix(prefix): value for name, value in state.items()}


def unsupported(architecture: str, name: str, value: Any) -> InputError:
    """Return the error that refuses an option of the original."""
    return InputError(
        f"egraff's {architecture} has no {name} = {value!r}",
        field=name,
        fix="this model cannot be converted",
    )


def by_position(converted: dict[str, Any]) -> dict[str, Any]:
    """Turn options that the nequip packages key by element into lists.

    Args:
        converted: options with egraff's names, changed in place and returned.
    """
    for name in ("energy_scale", "energy_shift", "avg_num_neighbours"):
        if isinstance(converted.get(name), dict):
            converted[name] = [converted[name][element] for element in converted["elements"]]
    return converted


def fold_product(
    connection: SpeciesLinear, product: Tensor, embedding: Tensor
) -> dict[int, Tensor]:
    """Turn a product with an embedding of the element into one linear map for each element.

    Args:
        connection: egraff's map for each element.
        product: weights of e3nn's fully connected product, one block ``[mul_in, n_embedding,
            mul_out]`` for each pair of an input and an output block of the same irrep.
        embedding: ``[n_species, n_embedding]``; the identity where the product is with the
            one-hot element.

    Returns:
        ``[n_species, mul_in, mul_out]`` for each output block that the input reaches.
    """
    n_embedding = embedding.shape[1]
    folded = {}
    start = 0
    for block_in in connection.irreps_in:
        for number, block_out in enumerate(connection.irreps_out):
            if block_in.ir != block_out.ir:
                continue
            shape = (block_in.mul, n_embedding, block_out.mul)
            weight = product[start : start + math.prod(shape)].reshape(shape)
            start += math.prod(shape)
            # both divide by sqrt(mul_in); e3nn also by the number of channels that it sums
            folded[number] = torch.einsum("uvw,sv->suw", weight, embedding) / math.sqrt(n_embedding)
    return folded
