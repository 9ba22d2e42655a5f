# SPDX-License-Identifier: GPL-2.0-or-later
"""The gate of NequIP in one pass, which takes the place of e3nn's on export.

The operator ``egraff::gate`` reads and writes rows with the channels of each block last; the plain
form makes an array for every slice, nonlinearity and product, and the derivative of each slice is
an array of zeros with the slice in it.
"""

from __future__ import annotations

import torch
from e3nn.nn import Activation, Gate
from torch import Tensor, nn

from egraff import ops

# As in cpp/ops/activations.h.
ACTIVATIONS = {nn.functional.silu: 0, torch.tanh: 1}
NO_GATE = -1


class FusedGate(nn.Module):
    """Stands where e3nn's `Gate` stood, between rows with the channels of each block last.

    Args:
        plain: the gate to replace.

    Raises:
        ValueError: it has another nonlinearity than :data:`ACTIVATIONS`, or an irrep whose columns
            or whose gates do not lie side by side.
    """

    def __init__(self, plain: Gate) -> None:
        super().__init__()
        dtype = torch.get_default_dtype()
        columns = torch.arange(plain.irreps_in.dim, dtype=dtype)[None]
        scalars, gates, gated = (part[0].long() for part in plain.sc(columns))
        scalar_acts, gate_acts = _activations(plain.act_scalars), _activations(plain.act_gates)

        rows, factors = [], []
        start_out = first = 0
        for mul, (activation, factor) in scalar_acts:
            start = _start(scalars[first : first + mul])
            rows.append([start, start_out, mul, 1, NO_GATE, activation])
            factors.append(factor)
            start_out, first = start_out + mul, first + mul
        activation_of_gate = [act for mul, act in gate_acts for _ in range(mul)]
        first = first_gate = 0
        for block in plain.irreps_gated:
            own = set(activation_of_gate[first_gate : first_gate + block.mul])
            if len(own) != 1:
                raise ValueError(f"expected one nonlinearity for the gates of {block}, got {own}")
            activation, factor = own.pop()
            start = _start(gated[first : first + block.dim])
            gate = _start(gates[first_gate : first_gate + block.mul])
            rows.append([start, start_out, block.mul, block.ir.dim, gate, activation])
            factors.append(factor)
            start_out, first = start_out + block.dim, first + block.dim
            first_gate += block.mul

        self.width_out: int = start_out
        self.register_buffer("blocks", torch.tensor(rows, dtype=torch.int64).view(-1, 6))
        self.register_buffer("factors", torch.tensor(factors, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[n, irreps_in.dim]`` to ``[n, irreps_out.dim]``."""
        return torch.ops.egraff.gate(x, self.blocks, self.factors, self.width_out)


def _activations(plain: Activation) -> list[tuple[int, tuple[int, float]]]:
    """Return for each block its channels, and number and factor of its nonlinearity."""
    found = []
    for block, act in zip(plain.irreps_in, plain.acts, strict=True):
        if act.f not in ACTIVATIONS:
            raise ValueError(f"expected SiLU or tanh in a gate, got {act.f}")
        found.append((block.mul, (ACTIVATIONS[act.f], 1.0 if act._is_id else act.cst)))
    return found


def _start(columns: Tensor) -> int:
    """Return the first of columns that lie side by side."""
    start = int(columns[0])
    if not torch.equal(columns, torch.arange(start, start + len(columns))):
        raise ValueError(f"expected columns side by side, got {columns.tolist()}")
    return start


ops.load()
