# SPDX-License-Identifier: GPL-2.0-or-later
"""The fused edge convolution: an operator that stores nothing per edge.

``egraff::edge_convolution`` computes lengths, radial weights (from a table), harmonics and the
Clebsch-Gordan product of each edge in registers and adds the message to its atom, so that memory
does not grow with the number of edges. It has a first derivative only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from egraff.errors import EgraffError
from egraff.fusion.couplings import couplings_of
from egraff.fusion.distance_tables import PairTables
from egraff.fusion.layout import in_lines, lanes_of
from egraff.fusion.linear import FusedLinear
from egraff.nn.convolution import EdgeConvolution
from egraff.nn.edges import Edges

# highest order for which the operator has kernels
MAX_L = 3


class FusedEdgeConvolution(nn.Module):
    """Drop-in replacement for `EdgeConvolution`, with the weights in tables.

    Args:
        plain: the convolution to replace; its harmonics are all orders from 0 to l_max.
        tables: of its weights.
        dtype: floating-point type of the model.
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
        tables: PairTables,
        *,
        dtype: torch.dtype,
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
        self.grid_start: float = tables.start
        self.grid_stretch: float = tables.grid.stretch
        self.grid_kink: int = tables.kink
        self.channels_last = channels_last
        self.width_out: int = plain.irreps_out.dim
        self.width_after: int = 0 if after is None else after.width_out
        none = torch.zeros(0)
        for name in ("weights", "blocks", "weights_back", "blocks_back"):
            self.register_buffer(f"after_{name}", none if after is None else getattr(after, name))
        self.register_buffer("paths", torch.tensor(paths, dtype=torch.int64))
        self.register_buffer("coupling_index", torch.tensor(index, dtype=torch.int64))
        self.register_buffer("coupling_value", torch.tensor(value, dtype=torch.float64))
        self.register_buffer("pair_scale", tables.pair_scale)
        self.register_buffer("pair_table", tables.of_pair)
        channels = [path[1] for path in paths]
        self.register_buffer("tables", _chunks(tables.in_type(dtype), channels))

    def forward(self, x: Tensor, edges: Edges, weights: Tensor) -> Tensor:
        """Sum the messages of all edges.

        Args:
            x: ``[n_nodes, irreps_in.dim]``.
            edges: those of the graph.
            weights: not read; they are in the tables.

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
            edges.vector,
            edges.index,
            edges.species,
            self.tables,
            self.pair_scale,
            self.pair_table,
            self.paths,
            self.coupling_index,
            self.coupling_value,
            self.grid_start,
            edges.n_local,
            self.width_out,
            self.grid_stretch,
            self.channels_last,
            after,
            self.width_after,
            self.grid_kink,
        )


class PassThrough(nn.Module):
    """Drop-in replacement for a network whose outputs are in a table, or a map that is fused."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the input."""
        return x


def has_full_lines(plain: EdgeConvolution, dtype: torch.dtype) -> bool:
    """Tell whether the channels of every path fill cache lines, as ``channels_last`` needs."""
    lanes = lanes_of(dtype)
    return all(product.mul % lanes == 0 for product in plain.products)


def highest_order(plain: EdgeConvolution) -> int:
    """Return the highest order l of the features, harmonics and messages of a convolution."""
    dims = [1]
    for product in plain.products:
        harmonics = product.coupling.shape[0]  # (l_max + 1)^2
        dims += [product.dim_in, *product.dims_out, 2 * round(harmonics**0.5) - 1]
    return (max(dims) - 1) // 2


def _paths(plain: EdgeConvolution) -> tuple[list[list[int]], list[list[int]], list[float]]:
    """Return the paths as the operator expects them, in the order of their weights.

    Returns:
        For each path: first column in x, channels, orders of x, harmonics and output, first
        column of the output, first coupling, number of couplings. Then the components (x,
        harmonics, output) of each coupling, and its value.
    """
    paths: list[list[int]] = []
    index: list[list[int]] = []
    value: list[float] = []
    for product in plain.products:
        for path in couplings_of(product):
            paths.append(
                [product.start, product.mul, path.l_in, path.l_sh, path.l_out]
                + [0, len(value), len(path.values)]
            )
            index += [[a, row - path.l_sh**2, b] for a, row, b in path.entries]
            value += path.values
    start = 0
    for path in (paths[k] for k in plain.order):
        path[5] = start
        start += path[1] * (2 * path[4] + 1)
    return paths, index, value


def _chunks(tables: Tensor, channels: list[int]) -> Tensor:
    """Cut ``[n_tables, n_knots, 4, n_weights]`` into lines: ``[n_tables, n_chunks, ..., lanes]``.

    The weights of a chunk belong to one path and are padded with zeros.
    """
    lanes = lanes_of(tables.dtype)
    parts = [in_lines(weights, lanes) for weights in tables.split(channels, dim=3)]
    return torch.cat(parts, dim=3).movedim(3, 1).contiguous()
