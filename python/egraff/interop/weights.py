# SPDX-License-Identifier: GPL-2.0-or-later
"""Translations of weights that several converters need."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from e3nn.math import normalize2mom
from torch import Tensor, nn

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

    def __init__(self, state: Mapping[str, Tensor], origin: str) -> None:
        super().__init__(state)
        self.origin = origin

    def __missing__(self, name: str) -> Tensor:
        raise self.missing(name)

    def missing(self, name: str) -> InputError:
        """Return the error for a weight that is not there."""
        return InputError(
            f"expected a weight {name}, found none among {len(self)}",
            field="state",
            fix=f"give the state_dict of {self.origin}, and the options it was built with",
        )


def without_prefix(state: Mapping[str, Tensor], mark: str, origin: str) -> NamedWeights:
    """Drop what wrappers and trainers put before the names of weights.

    Args:
        state: names and values.
        mark: a name that the bare model has.
        origin: what it should be the state of.

    Raises:
        InputError: no name ends with ``mark``.
    """
    found = next((name for name in state if name.endswith(mark)), None)
    if found is None:
        raise NamedWeights(state, origin).missing(f"...{mark}")
    prefix = found.removesuffix(mark)
    return NamedWeights({name.removeprefix(prefix): w for name, w in state.items()}, origin)


class Target(dict[str, Tensor]):
    """The state of the model that a converter fills, in the model's type.

    Args:
        model: a model with the translated options.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model.state_dict())
        # scales and shifts of the energy may come from the options
        self._open = {
            name
            for name, weight in model.named_parameters()
            if weight.numel() and not name.startswith("scale_shift.")
        }

    def __setitem__(self, name: str, value: Tensor) -> None:
        """Set a weight.

        Raises:
            InputError: the model's has another shape.
        """
        old = self[name]
        if value.shape != old.shape:
            raise InputError(
                f"expected {name} of shape {list(old.shape)}, got {list(value.shape)}",
                field="state",
                fix="give the options with which this model was built",
            )
        self._open.discard(name)
        super().__setitem__(name, value.to(old.dtype))

    def fill(self, name: str, value: Tensor) -> None:
        """Set a weight from as many numbers in another shape."""
        same = value.numel() == self[name].numel()
        self[name] = value.reshape(self[name].shape) if same else value

    def finished(self) -> dict[str, Tensor]:
        """Return the state.

        Raises:
            InputError: weights were left as they were drawn.
        """
        if self._open:
            raise InputError(
                f"expected weights for the whole model, found none for {min(self._open)}",
                field="state",
                fix="give the options with which this model was built",
            )
        return dict(self)


def fold_product(
    connection: SpeciesLinear, product: Tensor, embedding: Tensor
) -> dict[str, Tensor]:
    """Turn a product with an embedding of the element into one linear map for each element.

    Args:
        connection: egraff's map for each element.
        product: weights of e3nn's fully connected product, one block ``[mul_in, n_embedding,
            mul_out]`` for each pair of an input and an output block of the same irrep.
        embedding: ``[n_species, n_embedding]``; the identity where the product is with the
            one-hot element.

    Returns:
        ``[n_species, mul_in, mul_out]`` for each output block that the input reaches, under the
        name that it has in the map.
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
            weight = torch.einsum("uvw,sv->suw", weight, embedding) / math.sqrt(n_embedding)
            folded[f"blocks.{number}.weight"] = weight
    return folded
