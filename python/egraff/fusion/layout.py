# SPDX-License-Identifier: GPL-2.0-or-later
"""Layouts that the operators expect: cache lines, matrices in panels, channels last."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from e3nn import o3
from torch import Tensor, nn

# of a cache line, and how many of them a panel of a matrix is wide
LINE_BYTES = 64
PANEL_LINES = 4


def lanes_of(dtype: torch.dtype) -> int:
    """Return how many numbers a cache line holds."""
    return LINE_BYTES // dtype.itemsize


def padded(width: int, lanes: int) -> int:
    """Return the columns of a row of whole cache lines."""
    return width + -width % lanes


def pad(x: Tensor, lanes: int) -> Tensor:
    """Fill the last dimension with zeros up to a cache line."""
    return nn.functional.pad(x, (0, -x.shape[-1] % lanes))


def in_lines(x: Tensor, lanes: int) -> Tensor:
    """Cut the last dimension, padded, into cache lines: ``[..., n_lines, lanes]``."""
    return pad(x, lanes).unflatten(-1, (-1, lanes))


def in_panels(matrix: Tensor, lanes: int) -> Tensor:
    """Cut columns into panels, whose lines lie next to each other; return all in one row."""
    return torch.cat([panel.flatten() for panel in matrix.split(PANEL_LINES * lanes, dim=1)])


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
            width = padded(of_head, lanes)
            columns = torch.arange(block.mul)
            columns = columns // of_head * width + columns % of_head
            blocks[block.ir] = (start, n_heads * width, columns)
            start += n_heads * width * block.ir.dim
        return cls(blocks, start)


def scattered(matrix: Tensor, rows: Tensor, n_rows: int, columns: Tensor, n_columns: int) -> Tensor:
    """Return ``[n_rows, n_columns]`` zeros, except for ``matrix`` at these rows and columns."""
    result = torch.zeros(n_rows, n_columns, dtype=matrix.dtype)
    result[rows[:, None], columns[None, :]] = matrix
    return result
