# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows of irreps with the channels of each component side by side, and linear maps of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from e3nn import o3
from torch import Tensor


@dataclass(frozen=True)
class ChannelsLast:
    """Where channels lie in rows of ``[component][channel]`` blocks, padded to whole cache lines.

    Attributes:
        blocks: irrep -> first column, columns of one component, and among these the column of
            each channel.
        dim: columns of a row.
    """

    blocks: dict[o3.Irrep, tuple[int, int, Tensor]]
    dim: int

    @classmethod
    def of(cls, irreps: o3.Irreps, *, lanes: int, n_heads: int = 1) -> ChannelsLast:
        """Lay out irreps, each in one block; the channels of each head begin at a cache line."""
        blocks: dict[o3.Irrep, tuple[int, int, Tensor]] = {}
        start = 0
        for block in irreps:
            of_head = block.mul // n_heads
            padded = of_head + -of_head % lanes
            columns = torch.arange(block.mul)
            columns = columns // of_head * padded + columns % of_head
            blocks[block.ir] = (start, n_heads * padded, columns)
            start += n_heads * padded * block.ir.dim
        return cls(blocks, start)


def placed(matrix: Tensor, rows: Tensor, n_rows: int, columns: Tensor, n_columns: int) -> Tensor:
    """Return ``[n_rows, n_columns]`` zeros but for ``matrix`` at these rows and columns."""
    result = torch.zeros(n_rows, n_columns, dtype=matrix.dtype)
    result[rows[:, None], columns[None, :]] = matrix
    return result
