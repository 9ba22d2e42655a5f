# SPDX-License-Identifier: GPL-2.0-or-later
"""Gates of e3nn and of Equiformer, and how the operator is held against them."""

from __future__ import annotations

import torch
from e3nn import o3
from e3nn.nn import Gate
from torch import Tensor

from egraff.fusion.gate import FusedGate

SILU, TANH = torch.nn.functional.silu, torch.tanh
# scalars, what they go through, gates, what those go through, what is gated
GATES = [
    ("4x0e", [SILU], "", [], ""),
    ("4x0e + 3x0o", [SILU, TANH], "5x0e + 2x0e", [SILU, SILU], "5x1o + 2x2e"),
    ("16x0e", [SILU], "33x0o + 16x0o", [TANH, TANH], "33x1e + 16x3o"),
    ("", [], "40x0e + 1x0o", [SILU, TANH], "40x1o + 1x1e"),
]


def channels_last(x: Tensor, irreps: o3.Irreps) -> Tensor:
    """Return rows with the channels of each block last."""
    parts = [
        x[:, part].unflatten(1, (block.mul, block.ir.dim)).transpose(1, 2).flatten(1)
        for block, part in zip(irreps, irreps.slices(), strict=True)
    ]
    return torch.cat(parts, dim=1)


def random(n: int, width: int, dtype=torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n, width, generator=generator, dtype=torch.float64)
    return x.to(dtype).requires_grad_(True)


def value_and_gradient(run, x: Tensor) -> list[Tensor]:
    value = run(x)
    return [value, *torch.autograd.grad([value.pow(3).sum()], [x])]


def compare(parts: tuple, n: int, dtype: torch.dtype) -> None:
    """Hold the operator against e3nn's module."""
    plain = Gate(*parts)
    irreps_out = plain.irreps_scalars + plain.irreps_gated
    compare_modules(FusedGate.of_e3nn(plain), plain, irreps_out, n, dtype)


def compare_modules(
    fused: FusedGate, plain: torch.nn.Module, irreps_out: o3.Irreps, n: int, dtype: torch.dtype
) -> None:
    """Hold the operator against a plain form."""
    x = random(n, plain.irreps_in.dim, dtype)
    actual = value_and_gradient(lambda x: fused(channels_last(x, plain.irreps_in)), x)
    expected = value_and_gradient(lambda x: channels_last(plain(x), irreps_out), x)
    tolerance = 16 * torch.finfo(dtype).eps
    for a, b in zip(actual, expected, strict=True):
        assert a.shape == b.shape
        if n > 0:
            assert (a - b).abs().max() <= tolerance * b.abs().max()
