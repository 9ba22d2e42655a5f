# SPDX-License-Identifier: GPL-2.0-or-later
"""Products of tensor features on edges, through an operator that keeps them in the cache."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from egraff.nn.edge_tensors import ChannelProduct


class FusedChannelProduct(nn.Module):
    """Stands where a product of tensor features stood, and is called as it was.

    A product of two factors is a polynomial of second degree in both of them together, so the
    operator of MACE's symmetric contraction evaluates it: for a cache line of channels at a time,
    only the terms with a coefficient that is not zero.

    Args:
        plain: the product to replace.
        dtype: floating-point type of the model.
    """

    def __init__(self, plain: ChannelProduct, dtype: torch.dtype) -> None:
        super().__init__()
        self.n_channels: int = plain.n_channels
        self.dim_out: int = plain.dim_out
        n_variables = plain.dim_a + plain.dim_b
        coupling = plain.coupling.view(plain.n_paths, plain.n_pairs, plain.dim_out).double()
        terms, coefficients, paths = [], [], []
        n_terms = 0
        for path in coupling.transpose(1, 2):
            # coefficients are Wigner symbols: what is not zero is far from it
            component, pair = (path.abs() > 1e-6).nonzero(as_tuple=True)
            terms.append(torch.stack([n_variables + pair, component], dim=1))
            coefficients.append(path[component, pair])
            paths.append([n_terms, n_terms + len(component), 0, plain.dim_out])
            n_terms += len(component)
        start_b = plain.n_channels * plain.dim_a
        variables = [[k, plain.dim_a] for k in range(plain.dim_a)]
        variables += [[start_b + k, plain.dim_b] for k in range(plain.dim_b)]
        outputs = [[k, plain.dim_out] for k in range(plain.dim_out)]
        weights = plain.weight.detach().to(dtype).expand(plain.n_channels, -1)
        self.register_buffer("variables", torch.tensor(variables, dtype=torch.int64))
        self.register_buffer(
            "products", torch.stack([plain.pair_a, plain.dim_a + plain.pair_b], dim=1)
        )
        self.register_buffer("paths", torch.tensor(paths, dtype=torch.int64))
        self.register_buffer("terms", torch.cat(terms))
        self.register_buffer("coefficients", torch.cat(coefficients))
        self.register_buffer("outputs", torch.tensor(outputs, dtype=torch.int64))
        self.register_buffer("weights", weights.T[:, None, :].contiguous())

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Multiply ``[n, n_channels, irreps_a.dim]`` by ``[n, n_channels, irreps_b.dim]``."""
        n = a.shape[0]
        product = torch.ops.egraff.symmetric_contraction(
            torch.cat([a.flatten(1), b.flatten(1)], dim=1),
            torch.zeros(n, dtype=torch.int64, device=a.device),
            self.weights,
            self.variables,
            self.products,
            self.paths,
            self.terms,
            self.coefficients,
            self.outputs,
        )
        return product.view(n, self.n_channels, self.dim_out)
