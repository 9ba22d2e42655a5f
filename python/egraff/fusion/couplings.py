# SPDX-License-Identifier: GPL-2.0-or-later
"""Clebsch-Gordan coefficients as operators read them: those that are not zero, path by path."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from egraff.nn.convolution import BlockProduct


@dataclass(frozen=True)
class Coupling:
    """The coefficients of one path.

    Attributes:
        l_in: order of the features.
        l_sh: order of the harmonics.
        l_out: order of the product.
        entries: components of the features, of the harmonics of all orders, of the product.
        values: the coefficient of each.
    """

    l_in: int
    l_sh: int
    l_out: int
    entries: list[tuple[int, int, int]]
    values: list[float]


def couplings_of(product: BlockProduct) -> list[Coupling]:
    """Return the coefficients of a product's paths, in the order of its weights."""
    matrix = product.coupling.view(-1, product.dim_in, product.dim_out).transpose(0, 1)
    couplings = []
    for path in matrix.to(torch.float64).split(product.dims_out, dim=2):
        # coefficients are sums of products of square roots: what is not zero is far from it
        used = (path.abs() > 1e-6).nonzero(as_tuple=True)
        entries = list(zip(*(part.tolist() for part in used), strict=True))
        l_in, l_out = ((path.shape[dim] - 1) // 2 for dim in (0, 2))
        l_sh = int(max(row for _, row, _ in entries) ** 0.5)
        couplings.append(Coupling(l_in, l_sh, l_out, entries, path[used].tolist()))
    return couplings
