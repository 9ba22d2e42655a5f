# SPDX-License-Identifier: GPL-2.0-or-later
"""Equivariant linear maps of nodes, fused: one pass over the nodes.

The operator ``egraff::irreps_linear`` multiplies each block of channels with its matrix and adds
to the result's channels, node by node; the plain forms make an array for every slice, product and
concatenation, and the derivative of each slice is an array of zeros with the slice in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from e3nn import o3
from torch import Tensor, nn

from egraff.fusion.layout import ChannelsLast, lanes_of, pad, scattered
from egraff.fusion.registry import drop_in
from egraff.nn.equivariant import EquivariantLinear
from egraff.nn.species import SpeciesLinear


@dataclass(frozen=True)
class _Block:
    """Channels of one irrep to channels of the same irrep.

    Attributes:
        start_in: first column of the input.
        start_out: first column of the result.
        dim: components of the irrep.
        matrix: ``[n_species, mul_in, mul_out]``, normalisation included.
        last_in: the input has the channels last, as ``[component, channel]``.
        last_out: the result has.
    """

    start_in: int
    start_out: int
    dim: int
    matrix: Tensor
    last_in: bool = False
    last_out: bool = False


class NodeLinear(nn.Module):
    """Base of the fused maps: what the operator reads, of the map and of its derivative.

    Args:
        blocks: the parts of the map.
        width_out: columns of the result.
        dtype: floating-point type of the model.
        n_species: sets of weights.
        sent: the result goes to `ghost_exchange`, which need not copy it then.
    """

    def __init__(
        self,
        blocks: list[_Block],
        width_out: int,
        dtype: torch.dtype,
        *,
        n_species: int = 1,
        sent: bool = False,
    ) -> None:
        super().__init__()
        self.width_out = width_out
        self.sent = sent
        weights, weights_back = [], []
        rows, rows_back = [], []
        first_out = first_in = 0
        for block in blocks:
            matrix = block.matrix.to(dtype)
            mul_in, mul_out = matrix.shape[1:]
            side_in = [block.start_in, mul_in, first_in, int(block.last_in)]
            side_out = [block.start_out, mul_out, first_out, int(block.last_out)]
            rows.append([*side_in, *side_out, block.dim])
            rows_back.append([*side_out, *side_in, block.dim])
            weights.append(_rows(matrix))
            weights_back.append(_rows(matrix.transpose(1, 2)))  # the derivative's
            first_out += weights[-1].shape[1]
            first_in += weights_back[-1].shape[1]
        none = torch.zeros(n_species, 0, dtype=dtype)
        self.register_buffer("weights", torch.cat([none, *weights], dim=1))
        self.register_buffer("blocks", torch.tensor(rows, dtype=torch.int64).view(-1, 9))
        self.register_buffer("weights_back", torch.cat([none, *weights_back], dim=1))
        self.register_buffer("blocks_back", torch.tensor(rows_back, dtype=torch.int64).view(-1, 9))

    def multiply(self, x: Tensor, species: Tensor | None) -> Tensor:
        """Map ``[n, columns in]`` to ``[n, columns out]``; species is ``[n]`` int64."""
        return torch.ops.egraff.irreps_linear(
            x,
            species,
            self.weights,
            self.blocks,
            self.weights_back,
            self.blocks_back,
            self.width_out,
            self.sent,
        )


def can_fuse_linear(plain: o3.Linear) -> bool:
    """Tell whether the operator computes this map of e3nn's."""
    return (
        plain.internal_weights
        and plain.shared_weights
        and plain.bias_numel == 0
        and plain.weight_numel > 0
        and not any(path.i_in < 0 for path in plain.instructions)
    )


@drop_in(o3.Linear, accepts=can_fuse_linear)
class FusedLinear(NodeLinear):
    """Drop-in replacement for `o3.Linear`.

    Args:
        plain: the map to replace, without biases; see :func:`can_fuse_linear`.
        dtype: floating-point type of the model.
        last_in: the irreps of an input with the channels of each block last, as
            ``[component, channel]``; they are those of ``plain``, perhaps in smaller blocks. None
            for an input as e3nn has it, ``[channel, component]``.
        last_out: write a result with the channels of each block last.
        sent: the result goes to `ghost_exchange`, which need not copy it then.
    """

    def __init__(
        self,
        plain: o3.Linear,
        dtype: torch.dtype,
        *,
        last_in: o3.Irreps | None = None,
        last_out: bool = False,
        sent: bool = False,
    ) -> None:
        starts_out = [part.start for part in plain.irreps_out.slices()]
        blocks = []
        blocks_in = plain.irreps_in if last_in is None else last_in
        for _, path, weight in plain.weight_views(yield_instruction=True):
            whole = plain.irreps_in.slices()[path.i_in]
            dim = plain.irreps_in[path.i_in].ir.dim
            matrix = path.path_weight * weight.detach()[None]
            for start, mul in _blocks_within(blocks_in, whole):
                first = (start - whole.start) // dim
                blocks.append(
                    _Block(
                        start,
                        starts_out[path.i_out],
                        dim,
                        matrix[:, first : first + mul],
                        last_in=last_in is not None,
                        last_out=last_out,
                    )
                )
        super().__init__(blocks, plain.irreps_out.dim, dtype, sent=sent)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[n, irreps_in.dim]`` to ``[n, irreps_out.dim]``."""
        return self.multiply(x, None)


@drop_in(SpeciesLinear)
class FusedSpeciesLinear(NodeLinear):
    """Drop-in replacement for `SpeciesLinear`.

    Args:
        plain: the map to replace.
        dtype: floating-point type of the model.
        last: input and result have the channels of each block last.
    """

    def __init__(self, plain: SpeciesLinear, dtype: torch.dtype, *, last: bool = False) -> None:
        starts_out = [part.start for part in plain.irreps_out.slices()]
        blocks = [
            _Block(block.start, start, block.dim, block.scale * block.weight.detach(), last, last)
            for block, start in zip(plain.blocks, starts_out, strict=True)
            if block.mul_in > 0
        ]
        super().__init__(blocks, plain.irreps_out.dim, dtype, n_species=plain.n_species)

    def forward(self, x: Tensor, species: Tensor) -> Tensor:
        """Map ``[n, irreps_in.dim]`` to ``[n, irreps_out.dim]``; species is ``[n]`` int64."""
        return self.multiply(x, species)


@drop_in(EquivariantLinear)
class FusedEquivariantLinear(NodeLinear):
    """Drop-in replacement for `EquivariantLinear`.

    Args:
        plain: the map to replace.
        dtype: floating-point type of the model.
        layout_in: how the input has its channels; None for an input as e3nn has it.
        layout_out: likewise for the result.
    """

    def __init__(
        self,
        plain: EquivariantLinear,
        dtype: torch.dtype,
        *,
        layout_in: ChannelsLast | None = None,
        layout_out: ChannelsLast | None = None,
    ) -> None:
        blocks = []
        slices = plain.irreps_out.slices()
        for block, part, (start_in, mul_in, mul_out, dim, _), matrix in zip(
            plain.irreps_out, slices, plain.paths, plain.matrices(), strict=True
        ):
            if mul_in == 0 or (layout_in is not None and block.ir not in layout_in.blocks):
                continue
            rows, columns = torch.arange(mul_in), torch.arange(mul_out)
            n_rows, n_columns, start_out = mul_in, mul_out, part.start
            if layout_in is not None:
                start_in, n_rows, rows = layout_in.blocks[block.ir]
            if layout_out is not None:
                start_out, n_columns, columns = layout_out.blocks[block.ir]
            wide = scattered(matrix, rows, n_rows, columns, n_columns)[None]
            last_in, last_out = layout_in is not None, layout_out is not None
            blocks.append(_Block(start_in, start_out, dim, wide, last_in, last_out))
        width_out = plain.irreps_out.dim if layout_out is None else layout_out.dim
        super().__init__(blocks, width_out, dtype)
        bias: Tensor | None = None
        if plain.bias is not None and plain.n_scalars > 0:
            bias = torch.zeros(self.width_out, dtype=dtype)
            columns = torch.arange(plain.n_scalars)
            if layout_out is not None:
                columns = layout_out.blocks[o3.Irrep("0e")][2]
            bias[columns] = plain.bias.detach().to(dtype)
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[n, columns in]`` to ``[n, columns out]``."""
        y = self.multiply(x, None)
        return y if self.bias is None else y + self.bias


def _blocks_within(irreps: o3.Irreps, columns: slice) -> list[tuple[int, int]]:
    """Return first column and multiplicity of each block that lies in these columns."""
    return [
        (part.start, block.mul)
        for block, part in zip(irreps, irreps.slices(), strict=True)
        if block.dim > 0 and columns.start <= part.start and part.stop <= columns.stop
    ]


def _rows(matrix: Tensor) -> Tensor:
    """Pad the rows of ``[n_species, n, m]``, and put them one after the other."""
    return pad(matrix, lanes_of(matrix.dtype)).flatten(1).contiguous()
