# SPDX-License-Identifier: GPL-2.0-or-later
"""Fused blocks, which take the place of plain ones on export.

The operator ``egraff::edge_convolution`` computes lengths, radial weights (from a table),
harmonics and the Clebsch-Gordan product of each edge in registers and adds the message to its
atom, so that memory does not grow with the number of edges. ``egraff::symmetric_contraction`` forms
MACE's polynomials of an atom's features in the cache. Both have first derivatives only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from egraff.errors import EgraffError
from egraff.nn.convolution import EdgeConvolution
from egraff.nn.fused_linear import FusedLinear
from egraff.nn.radial_table import GRID_START, with_rises
from egraff.nn.symmetric_contraction import SymmetricContraction

# highest order for which the operator has kernels
MAX_L = 3


class FusedEdgeConvolution(nn.Module):
    """Stands where an edge convolution stood; called with edge vectors and species instead.

    Args:
        plain: the convolution to replace; its harmonics are all orders from 0 to l_max.
        knots: ``[n_tables, n_knots, 3, plain.n_weights]`` float64, as in
            :class:`egraff.nn.radial_table.RadialTable`.
        pair_scale: ``[n_species, n_species]`` float64, 1 / cutoff in 1/Angstrom, row = centre.
        pair_table: ``[n_species, n_species]`` int64, the table of each pair.
        dtype: floating-point type of the model.
        grid_stretch: of the table, as in :class:`egraff.nn.radial_table.Grid`.
        channels_last: features and result have each block as ``[component, channel]``, which saves
            a copy of both; see :func:`has_full_lines`.
        after: a linear map of the messages that becomes part of the convolution, so that they are
            not stored; it reads channels last, and so does the convolution.

    Raises:
        EgraffError: an order above ``MAX_L``.
    """

    def __init__(
        self,
        plain: EdgeConvolution,
        knots: Tensor,
        *,
        pair_scale: Tensor,
        pair_table: Tensor,
        dtype: torch.dtype,
        grid_stretch: float = 0.0,
        channels_last: bool = False,
        after: FusedLinear | None = None,
    ) -> None:
        super().__init__()
        if (order := highest_order(plain)) > MAX_L:
            raise EgraffError(
                f"expected features and harmonics up to l = {MAX_L}, got l = {order}, for which "
                "there is no fused convolution\n  fix: export with --no-fuse"
            )
        paths, index, value = _paths(plain)
        self.grid_start = GRID_START
        self.grid_stretch = grid_stretch
        self.channels_last = channels_last
        self.width_out: int = plain.irreps_out.dim
        self.width_after: int = 0 if after is None else after.width_out
        none = torch.zeros(0)
        for name in ("weights", "blocks", "weights_back", "blocks_back"):
            self.register_buffer(f"after_{name}", none if after is None else getattr(after, name))
        self.register_buffer("paths", torch.tensor(paths, dtype=torch.int64))
        self.register_buffer("coupling_index", torch.tensor(index, dtype=torch.int64))
        self.register_buffer("coupling_value", torch.tensor(value, dtype=torch.float64))
        self.register_buffer("pair_scale", pair_scale.to(torch.float64))
        self.register_buffer("pair_table", pair_table.to(torch.int64))
        channels = [path[1] for path in paths]
        tables = [_chunks(with_rises(table).to(dtype), channels) for table in knots]
        self.register_buffer("tables", torch.stack(tables))

    def forward(
        self, x: Tensor, edge_vec: Tensor, species: Tensor, edge_index: Tensor, n_local: int
    ) -> Tensor:
        """Sum the messages of all edges.

        Args:
            x: ``[n_nodes, irreps_in.dim]``.
            edge_vec: ``[n_edges, 3]`` in Angstrom.
            species: ``[n_nodes]``.
            edge_index: ``[2, n_edges]``, row 0 the receiving centre, ascending.
            n_local: number of receiving nodes.

        Returns:
            ``[n_local, irreps_out.dim]``, or what the linear map makes of it.
        """
        after = [
            self.after_weights,
            self.after_blocks,
            self.after_weights_back,
            self.after_blocks_back,
        ]
        return torch.ops.egraff.edge_convolution(
            x,
            edge_vec,
            edge_index,
            species,
            self.tables,
            self.pair_scale,
            self.pair_table,
            self.paths,
            self.coupling_index,
            self.coupling_value,
            self.grid_start,
            n_local,
            self.width_out,
            self.grid_stretch,
            self.channels_last,
            after,
            self.width_after,
        )


class FusedSymmetricContraction(nn.Module):
    """Stands where a symmetric contraction stood, and is called as it was.

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


class PassThrough(nn.Module):
    """Stands where a radial network stood, whose outputs are now in a table."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the input."""
        return x


def has_full_lines(plain: EdgeConvolution, dtype: torch.dtype) -> bool:
    """Tell whether the channels of every path fill cache lines, as ``channels_last`` needs."""
    lanes = 64 // dtype.itemsize
    return all(product.mul % lanes == 0 for product in plain.products)


def highest_order(plain: EdgeConvolution) -> int:
    """Return the highest order l of the features, harmonics and messages of a convolution."""
    dims = [1]
    for product in plain.products:
        harmonics = product.coupling.shape[0]  # (l_max + 1)^2
        dims += [product.dim_in, *product.dims_out, 2 * round(harmonics**0.5) - 1]
    return (max(dims) - 1) // 2


def _paths(plain: EdgeConvolution) -> tuple[list[list[int]], list[list[int]], list[float]]:
    """Return the paths as the operator wants them, in the order of their weights.

    Returns:
        For each path: first column in x, channels, orders of x, harmonics and output, first
        column of the output, first coupling, number of couplings. Then the components (x,
        harmonics, output) of each coupling, and its value.
    """
    paths: list[list[int]] = []
    index: list[list[int]] = []
    value: list[float] = []
    for product in plain.products:
        matrix = product.coupling.view(-1, product.dim_in, product.dim_out)
        first = 0
        for dim in product.dims_out:
            path = matrix[:, :, first : first + dim].transpose(0, 1).to(torch.float64)
            first += dim
            # coefficients are sums of products of square roots: what is not zero is far from it
            entries = (path.abs() > 1e-6).nonzero().tolist()
            l_sh = int(max(row for _, row, _ in entries) ** 0.5)
            paths.append(
                [product.start, product.mul, (product.dim_in - 1) // 2, l_sh, (dim - 1) // 2]
                + [0, len(value), len(entries)]
            )
            for a, row, b in entries:
                index.append([a, row - l_sh**2, b])
                value.append(float(path[a, row, b]))
    start = 0
    for path in (paths[k] for k in plain.order):
        path[5] = start
        start += path[1] * (2 * path[4] + 1)
    return paths, index, value


def _chunks(knots: Tensor, channels: list[int]) -> Tensor:
    """Cut ``[n_knots, 4, n_weights]`` into cache lines: ``[n_chunks, n_knots, 4, lanes]``.

    The weights of a chunk belong to one path and are padded with zeros.
    """
    lanes = 64 // knots.element_size()
    parts = []
    for weights in knots.split(channels, dim=2):
        weights = nn.functional.pad(weights, (0, -weights.shape[2] % lanes))
        parts.extend(weights.split(lanes, dim=2))
    return torch.stack(parts).contiguous()
