# SPDX-License-Identifier: GPL-2.0-or-later
"""Equiformer's fused attention: an operator that stores nothing per edge.

``egraff::graph_attention`` takes a few centres at a time from the rows of atoms to the attended
values. Radial weights are the product of a few tabulated functions with a constant matrix; linear
maps of the values come after the sums over edges. It has first derivatives only.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from e3nn import o3
from torch import Tensor, nn

from egraff.fusion.couplings import Coupling, couplings_of
from egraff.fusion.distance_tables import PairTables
from egraff.fusion.layout import ChannelsLast, in_lines, in_panels, lanes_of, pad, padded, scattered
from egraff.fusion.linear import FusedEquivariantLinear
from egraff.fusion.radial_grid import GRID_START
from egraff.nn.edges import Edges
from egraff.nn.equivariant import DepthwiseProduct, EquivariantLinear
from egraff.nn.graph_attention import GraphAttention

SCALAR = o3.Irrep("0e")


@dataclass(frozen=True)
class RadialFunctions:
    """Functions of the distance, and the radial weights as combinations of them.

    Attributes:
        tables: of ``n_functions + 1`` functions; the last one is the envelope.
        matrix: ``[n_functions, n_weights]`` float64: weights = functions times this.
    """

    tables: PairTables
    matrix: Tensor


@dataclass(frozen=True)
class _Path:
    """One path of a depth-wise product.

    Attributes:
        block: which block of the features.
        mul: channels.
        first_weight: column of its weights.
        coupling: its coefficients.
    """

    block: int
    mul: int
    first_weight: int
    coupling: Coupling


class FusedGraphAttention(nn.Module):
    """Drop-in replacement for `GraphAttention`.

    Args:
        plain: the block to replace, float64, with scores from a perceptron and non-linear messages.
        radial: of the plain block's radial network.
        dtype: floating-point type of the model.

    Attributes:
        exchange_width: columns that neighbours need of each atom.
    """

    def __init__(
        self,
        plain: GraphAttention,
        radial: RadialFunctions,
        *,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        lanes = lanes_of(dtype)
        mlp = plain.mlp
        irreps = plain.merge_neighbour.irreps_out
        messages = ChannelsLast.of(irreps, lanes=lanes)
        constants = _Constants(irreps, messages, mlp.score_heads.n_heads, lanes)
        constants.inner(mlp.product, radial.matrix, mlp.score, mlp.value.first)
        values = constants.outer(
            mlp.value.product,
            mlp.value.weight.detach()[0],
            [mlp.value.gate.act.scale] + [mlp.value.gate.gate_act.scale] * (len(irreps) - 1),
            mlp.value.second,
        )
        direction = mlp.direction.detach() * mlp.act.scale

        self.n_heads: int = mlp.score_heads.n_heads
        self.n_functions: int = radial.matrix.shape[0]
        self.width_out: int = values.dim
        self.negative_slope: float = mlp.act.act.slope
        self.grid_start = GRID_START
        self.grid_stretch = radial.tables.grid.stretch
        self.exchange_width: int = messages.dim
        self.merge_neighbour = FusedEquivariantLinear(
            plain.merge_neighbour, dtype, layout_out=messages
        )
        self.merge_centre = FusedEquivariantLinear(plain.merge_centre, dtype, layout_out=messages)
        self.projection = FusedEquivariantLinear(plain.projection, dtype, layout_in=values)
        rows = in_lines(radial.tables.in_type(dtype), lanes).transpose(2, 3)
        self.register_buffer("table", rows.contiguous())
        self.register_buffer("pair_scale", radial.tables.pair_scale)
        self.register_buffer("pair_table", radial.tables.of_pair)
        for name, rows in constants.tables.items():
            columns = _COLUMNS[name]
            table = torch.tensor(rows, dtype=torch.int64).view(-1, columns)
            self.register_buffer(name, table)
        self.register_buffer("term_values", torch.tensor(constants.values, dtype=torch.float64))
        self.register_buffer("matrices", torch.cat(constants.matrices).to(dtype))
        self.register_buffer("bias", constants.bias.to(dtype))
        self.register_buffer("direction", pad(direction, lanes).flatten().to(dtype))
        self.register_buffer("value_bias", constants.value_bias.to(dtype))

    def forward(self, x: Tensor, edges: Edges, exchange: bool) -> Tensor:
        """Update ``[n_local, irreps.dim]``; arguments as those of the plain block."""
        source = self.merge_neighbour(x)
        if exchange:
            source = torch.ops.egraff.ghost_exchange(source, edges.species.shape[0])
        attended = torch.ops.egraff.graph_attention(
            source,
            self.merge_centre(x),
            edges.vector,
            edges.index,
            edges.species,
            self.constants(),
            self.n_functions,
            self.n_heads,
            self.width_out,
            self.negative_slope,
            self.grid_start,
            self.grid_stretch,
        )
        return self.projection(attended)

    def constants(self) -> list[Tensor]:
        """Return what the operator reads besides atoms and edges, in its order."""
        return [
            self.table,
            self.pair_scale,
            self.pair_table,
            self.blocks,
            self.inner_groups,
            self.outer_groups,
            self.inner_paths,
            self.outer_paths,
            self.couplings,
            self.terms,
            self.term_values,
            self.matrices,
            self.bias,
            self.direction,
            self.value_bias,
        ]


# columns of the tables of whole numbers
_COLUMNS = {
    "blocks": 2,
    "inner_groups": 7,
    "outer_groups": 5,
    "inner_paths": 4,
    "outer_paths": 4,
    "couplings": 4,
    "terms": 2,
}


class _Constants:
    """Collects what the operator reads; see ``graph_attention_plan.h``.

    Args:
        irreps: of the messages.
        layout: their columns.
        n_heads: number of heads.
        lanes: numbers in a cache line.
    """

    def __init__(self, irreps: o3.Irreps, layout: ChannelsLast, n_heads: int, lanes: int) -> None:
        self.irreps = irreps
        self.layout = layout
        self.n_heads = n_heads
        self.lanes = lanes
        self.tables: dict[str, list[list[int]]] = {name: [] for name in _COLUMNS}
        self.values: list[float] = []
        self.matrices: list[Tensor] = []
        self.bias = torch.zeros(0)
        self.value_bias = torch.zeros(0)
        self._couplings: dict[tuple[int, int, int], int] = {}
        for block in irreps:
            self.tables["blocks"].append([block.ir.dim, padded(block.mul, self.lanes)])

    def inner(
        self,
        product: DepthwiseProduct,
        radial: Tensor,
        score: EquivariantLinear,
        first: EquivariantLinear,
    ) -> None:
        """Add the product with radial weights and the linear maps that follow it."""
        order = [block.ir for block in self.irreps]
        for index, (ir, paths) in enumerate(self._groups(product)):
            rows, width = self._add_paths("inner_paths", index, paths)
            weights = torch.cat(
                [torch.arange(p.first_weight, p.first_weight + p.mul) for p in paths]
            )
            every = torch.arange(radial.shape[0])
            wide = scattered(radial[:, weights], every, len(every), rows, width)
            back = scattered(
                wide.T, torch.arange(width), width, every, padded(len(every) + 1, self.lanes)
            )
            if ir == SCALAR:
                matrix = self._scalar_maps(score, first)
            else:
                matrix = _matrix_of(first, ir)
                columns = torch.arange(matrix.shape[1])
                matrix = scattered(
                    matrix,
                    torch.arange(len(rows)),
                    len(rows),
                    columns,
                    padded(len(columns), self.lanes),
                )
            matrix = scattered(matrix, rows, width, torch.arange(matrix.shape[1]), matrix.shape[1])
            self.tables["inner_groups"].append(
                [ir.dim, width, order.index(ir)]
                + [self._add(part) for part in (wide, back, matrix, matrix.T)]
            )

    def outer(
        self,
        product: DepthwiseProduct,
        weight: Tensor,
        scales: list[float],
        second: EquivariantLinear,
    ) -> ChannelsLast:
        """Add the product of the values and their linear map; return the layout of the result.

        Args:
            product: the second product.
            weight: ``[product.n_weights]``, its weights.
            scales: a factor of the features of each block.
            second: the map.
        """
        all_values = {block.ir: block.mul for block in second.irreps_out}
        groups = self._groups(product)
        irreps = o3.Irreps([(all_values[ir], ir) for ir, _ in groups])
        layout = ChannelsLast.of(irreps, lanes=self.lanes, n_heads=self.n_heads)
        for index, (ir, paths) in enumerate(groups):
            rows, width = self._add_paths("outer_paths", index, paths)
            factors = torch.cat(
                [weight[p.first_weight : p.first_weight + p.mul] * scales[p.block] for p in paths]
            )
            _, n_columns, columns = layout.blocks[ir]
            matrix = _matrix_of(second, ir) * factors[:, None]
            heads = scattered(matrix, rows, width, columns, n_columns).chunk(self.n_heads, dim=1)
            there = [self._add(head) for head in heads]
            back = [self._add(head.T) for head in heads]
            self.tables["outer_groups"].append(
                [ir.dim, width, n_columns // self.n_heads, there[0], back[0]]
            )
        _, n_columns, columns = layout.blocks[SCALAR]
        self.value_bias = torch.zeros(n_columns, dtype=torch.float64)
        self.value_bias[columns] = second.bias.detach()
        return layout

    def _scalar_maps(self, score: EquivariantLinear, first: EquivariantLinear) -> Tensor:
        """Put scores, scalars and gates, each padded, side by side; set the bias."""
        scores = ChannelsLast.of(score.irreps_out, lanes=self.lanes, n_heads=self.n_heads)
        columns, width = [scores.blocks[SCALAR][2]], scores.dim
        for block in self.irreps:
            columns.append(width + torch.arange(block.mul))
            width += padded(block.mul, self.lanes)
        place = torch.cat(columns)
        matrix = torch.cat([_matrix_of(score, SCALAR), _matrix_of(first, SCALAR)], dim=1)
        self.bias = torch.zeros(width, dtype=torch.float64)
        self.bias[place] = torch.cat([score.bias, first.bias]).detach()
        n_rows = matrix.shape[0]
        return scattered(matrix, torch.arange(n_rows), n_rows, place, width)

    def _add_paths(self, name: str, group: int, paths: list[_Path]) -> tuple[Tensor, int]:
        """Add a group's paths; return the columns of their channels, and of all with padding."""
        columns, width = [], 0
        for path in paths:
            self.tables[name].append([self._coupling(path.coupling), path.block, group, width])
            columns.append(width + torch.arange(path.mul))
            width += padded(path.mul, self.lanes)
        return torch.cat(columns), width

    def _coupling(self, coupling: Coupling) -> int:
        """Add a matrix of harmonics, unless it is there; return its number."""
        key = (coupling.l_in, coupling.l_sh, coupling.l_out)
        if key not in self._couplings:
            self._couplings[key] = len(self._couplings)
            first, dim_out = len(self.values), 2 * coupling.l_out + 1
            self.tables["terms"] += [[a * dim_out + b, row] for a, row, b in coupling.entries]
            self.values += coupling.values
            row = [coupling.l_in, coupling.l_out, first, len(coupling.values)]
            self.tables["couplings"].append(row)
        return self._couplings[key]

    def _add(self, matrix: Tensor) -> int:
        """Add a matrix, cut into panels of some cache lines' width; return where it starts."""
        start = sum(part.numel() for part in self.matrices)
        self.matrices.append(in_panels(matrix.to(torch.float64), self.lanes))
        return start

    def _groups(self, product: DepthwiseProduct) -> list[tuple[o3.Irrep, list[_Path]]]:
        """Return the paths of each irrep that a product makes, in the order of its columns."""
        starts = [part.start for part in self.irreps.slices()]
        paths = []
        for part in product.products:
            block = starts.index(part.start)
            weight = part.first_weight
            for ir, coupling in zip(part.irreps_out, couplings_of(part), strict=True):
                paths.append((ir, _Path(block, part.mul, weight, coupling)))
                weight += part.mul
        groups: list[tuple[o3.Irrep, list[_Path]]] = []
        for ir, path in (paths[k] for k in product.order):
            if not groups or groups[-1][0] != ir:
                groups.append((ir, []))
            groups[-1][1].append(path)
        return groups


def _matrix_of(linear: EquivariantLinear, ir: o3.Irrep) -> Tensor:
    """Return the matrix of one irrep, ``[mul_in, mul_out]``."""
    return linear.matrices()[[block.ir for block in linear.irreps_out].index(ir)]
