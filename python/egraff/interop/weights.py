# SPDX-License-Identifier: GPL-2.0-or-later
"""Translations of weights that several converters need."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from egraff.nn.species import SpeciesLinear


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
