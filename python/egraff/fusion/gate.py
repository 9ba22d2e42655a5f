# SPDX-License-Identifier: GPL-2.0-or-later
"""The gates of NequIP and Equiformer, fused: one pass over the nodes.

The operator ``egraff::gate`` reads and writes rows with the channels of each block last. The plain
forms make an array for every slice, nonlinearity and product, and the derivative of each slice is
an array of zeros with the slice in it; this one keeps nothing but its input.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import e3nn
import torch
from e3nn import o3
from e3nn.nn import Gate
from torch import Tensor, nn

from egraff import ops
from egraff.fusion.activations import Activation, activation_of
from egraff.nn.equivariant import SwishGate

NO_GATE = -1


@dataclass(frozen=True)
class GateBlock:
    """Channels of one irrep.

    Attributes:
        start_in: first column of the input.
        start_out: first column of the result.
        channels: how many.
        dim: components of the irrep.
        gate: column of the first channel's gate, or ``NO_GATE`` for scalars.
        activation: what the scalars or the gates go through.
        factor: what the result of that is multiplied by.
    """

    start_in: int
    start_out: int
    channels: int
    dim: int
    gate: int
    activation: Activation
    factor: float


class FusedGate(nn.Module):
    """Drop-in replacement for a gate, between rows with the channels of each block last.

    Args:
        blocks: each column of the input in one block, or one gate; likewise for the result.
    """

    def __init__(self, blocks: list[GateBlock]) -> None:
        super().__init__()
        self.width_out: int = sum(block.channels * block.dim for block in blocks)
        rows = [astuple(block)[:-1] for block in blocks]
        factors = [block.factor for block in blocks]
        self.register_buffer("blocks", torch.tensor(rows, dtype=torch.int64).view(-1, 6))
        self.register_buffer("factors", torch.tensor(factors, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[n, columns in]`` to ``[n, columns out]``."""
        return torch.ops.egraff.gate(x, self.blocks, self.factors, self.width_out)

    @classmethod
    def of_e3nn(cls, plain: Gate) -> FusedGate:
        """Return the form of a gate of SiLU and tanh.

        Raises:
            ValueError: it has another nonlinearity, or an irrep whose columns or whose gates do
                not lie side by side.
        """
        columns = torch.arange(plain.irreps_in.dim, dtype=torch.get_default_dtype())[None]
        scalars, gates, gated = (part[0].long() for part in plain.sc(columns))
        blocks: list[GateBlock] = []
        start_out = first = 0
        for mul, act in _activations(plain.act_scalars):
            start = _start(scalars[first : first + mul])
            blocks.append(GateBlock(start, start_out, mul, 1, NO_GATE, *act))
            start_out, first = start_out + mul, first + mul
        act_of_gate = [act for mul, act in _activations(plain.act_gates) for _ in range(mul)]
        first = first_gate = 0
        for block in plain.irreps_gated:
            acts = set(act_of_gate[first_gate : first_gate + block.mul])
            if len(acts) != 1:
                raise ValueError(f"expected one nonlinearity for the gates of {block}, got {acts}")
            start = _start(gated[first : first + block.dim])
            gate = _start(gates[first_gate : first_gate + block.mul])
            blocks.append(GateBlock(start, start_out, block.mul, block.ir.dim, gate, *acts.pop()))
            start_out, first = start_out + block.dim, first + block.dim
            first_gate += block.mul
        return cls(blocks)

    @classmethod
    def of_equiformer(cls, plain: SwishGate) -> FusedGate:
        """Return the form of Equiformer's gate."""
        silu, sigmoid = ((activation_of(act.act), act.scale) for act in (plain.act, plain.gate_act))
        blocks = [GateBlock(0, 0, plain.n_scalars, 1, NO_GATE, *silu)]
        gate, start_out = plain.n_scalars, plain.n_scalars
        start = plain.n_scalars + plain.n_gates
        for block in plain.irreps_out:
            if block.ir == o3.Irrep("0e"):
                continue
            blocks.append(GateBlock(start, start_out, block.mul, block.ir.dim, gate, *sigmoid))
            start, start_out, gate = start + block.dim, start_out + block.dim, gate + block.mul
        return cls(blocks)


def _activations(plain: e3nn.nn.Activation) -> list[tuple[int, tuple[Activation, float]]]:
    """Return for each block its channels, its nonlinearity and the factor of that."""
    return [
        (block.mul, (activation_of(act.f), 1.0 if act._is_id else act.cst))
        for block, act in zip(plain.irreps_in, plain.acts, strict=True)
    ]


def _start(columns: Tensor) -> int:
    """Return the first of columns that lie side by side."""
    start = int(columns[0])
    if not torch.equal(columns, torch.arange(start, start + len(columns))):
        raise ValueError(f"expected contiguous columns, got {columns.tolist()}")
    return start


ops.load()
