# SPDX-License-Identifier: GPL-2.0-or-later
"""MACE's polynomials of an atom's features, which one operator evaluates in the cache.

``egraff::symmetric_contraction`` has a first derivative only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from egraff.nn.symmetric_contraction import SymmetricContraction


class FusedSymmetricContraction(nn.Module):
    """Drop-in replacement for `SymmetricContraction`.

    Args:
        plain: the contraction to replace.
        dtype: floating-point type of the model.
        channels_last: features and result have each block as ``[component, channel]``.
    """

    def __init__(
        self, plain: SymmetricContraction, dtype: torch.dtype, *, channels_last: bool = False
    ) -> None:
        super().__init__()

        def columns(start: int, dim: int) -> list[list[int]]:
            """Return first column and step from channel to channel of each component."""
            if channels_last:
                return [[start + component * plain.channels, 1] for component in range(dim)]
            return [[start + component, dim] for component in range(dim)]

        # monomials of all degrees in one list, of which the variables are the first
        first = [0, plain.n_variables]
        products = []
        for step in plain.steps:
            products.append(torch.stack([step.left + first[-2], step.right], dim=1))
            first.append(first[-1] + step.left.shape[0])
        paths, terms, coefficients, weights = [], [], [], []
        outputs: list[list[int]] = []
        n_terms = 0
        for block in plain.blocks:
            start = plain.channels * len(outputs)
            for degree in block.degrees:
                rows = degree.rows.view(degree.dim, degree.n_paths, -1).to(torch.float64)
                for path in range(degree.n_paths):
                    component, monomial = (rows[:, path].abs() > 1e-12).nonzero(as_tuple=True)
                    coefficients.append(rows[component, path, monomial])
                    monomial = monomial + degree.start + first[degree.index]
                    terms.append(torch.stack([monomial, component], dim=1))
                    paths.append([n_terms, n_terms + len(component), len(outputs), block.dim])
                    n_terms += len(component)
                weights.append(degree.weight.detach().to(dtype))
            outputs += columns(start, block.dim)
        variables = [
            column
            for start, dim in zip(plain.starts, plain.dims, strict=True)
            for column in columns(start, dim)
        ]
        none = torch.zeros(0, 2, dtype=torch.int64)
        self.register_buffer("variables", torch.tensor(variables, dtype=torch.int64))
        self.register_buffer("products", torch.cat([none, *products]))
        self.register_buffer("paths", torch.tensor(paths, dtype=torch.int64))
        self.register_buffer("terms", torch.cat(terms))
        self.register_buffer("coefficients", torch.cat(coefficients))
        self.register_buffer("outputs", torch.tensor(outputs, dtype=torch.int64))
        self.register_buffer("weights", torch.cat(weights))

    def forward(self, x: Tensor, species: Tensor) -> Tensor:
        """Map features ``[n, irreps_in.dim]`` to ``[n, irreps_out.dim]``; species is ``[n]``."""
        return torch.ops.egraff.symmetric_contraction(
            x,
            species,
            self.weights,
            self.variables,
            self.products,
            self.paths,
            self.terms,
            self.coefficients,
            self.outputs,
        )
