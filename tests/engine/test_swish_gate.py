# SPDX-License-Identifier: GPL-2.0-or-later
"""Equiformer's gate: the operator against the plain one, and its messages."""

from __future__ import annotations

import re

import pytest
import torch
from e3nn import o3
from torch import Tensor

from egraff import ops
from egraff.nn.equivariant import SwishGate
from egraff.nn.fused_node_blocks import FusedSwishGate

ops.load()
OP = torch.ops.egraff.swish_gate
IRREPS = "5x0e + 4x1o + 3x2e"  # [5 scalars | 7 gates | 12 | 15], 39 columns


def rows(n: int, width: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    x = 3.0 * torch.randn(n, width, dtype=torch.float64, generator=generator)
    return x.to(dtype).requires_grad_(True)


def gate(x: Tensor) -> Tensor:
    return OP(x, 5, [4, 3], [3, 5], 1.6, 1.8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("irreps", [IRREPS, "6x0e", "2x0e + 3x0o + 1x1e + 1x3o"])
@pytest.mark.parametrize("n", [0, 1, 200])
def test_equals_the_plain_gate(n, irreps, dtype):
    plain = SwishGate(o3.Irreps(irreps))
    width = plain.irreps_in.dim
    results = []
    for run, kind in ((FusedSwishGate(plain), dtype), (plain, torch.float64)):
        x = rows(n, width, dtype).detach().to(kind).requires_grad_(True)
        out = run(x)
        results.append([out, *torch.autograd.grad(out.square().sum(), x)])
    digits = {"rtol": 1e-4, "atol": 1e-4} if dtype == torch.float32 else {}
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b.to(dtype), **digits)


def test_gradcheck():
    assert torch.autograd.gradcheck(gate, rows(3, 39))


def test_only_the_input_is_kept():
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        x = rows(4, 39)
        gate(x)
    assert [y.data_ptr() for y in kept] == [x.data_ptr()]


def test_shapes_without_data():
    assert gate(rows(4, 39).to("meta")).shape == (4, 32)


@pytest.mark.parametrize(
    ("x", "dims", "message"),
    [
        (torch.zeros(4, 38), [3, 5], "x: expected float32 or float64 [n, 39], got Float [4, 38]"),
        (torch.zeros(39), [3, 5], "x: expected float32 or float64 [n, 39], got Float [39]"),
        (torch.zeros(4, 39), [3], "dims: expected one for each of 2 blocks of channels, got 1"),
    ],
)
def test_argument(x, dims, message):
    with pytest.raises(ValueError, match=re.escape(f"swish_gate: {message}")):
        OP(x, 5, [4, 3], dims, 1.0, 1.0)


def test_gradient_of_another_shape():
    with pytest.raises(
        ValueError, match=re.escape("swish_gate: by_out: expected Float [4, 32], got Float [4, 39]")
    ):
        torch.ops.egraff.swish_gate_backward(
            torch.zeros(4, 39), torch.zeros(4, 39), 5, [4, 3], [3, 5], 1.0, 1.0
        )


def test_no_second_derivative():
    x = rows(4, 39)
    (gradient,) = torch.autograd.grad(gate(x).square().sum(), x, create_graph=True)
    with pytest.raises(
        NotImplementedError,
        match=r"swish_gate has no second derivative: fused models are for inference.\n"
        r"  fix: train with the plain model, or export it with --no-fuse",
    ):
        gradient.sum().backward()
