# SPDX-License-Identifier: GPL-2.0-or-later
"""Equiformer's layer norm: the operator against the plain one, and its messages."""

from __future__ import annotations

import re

import pytest
import torch
from e3nn import o3
from torch import Tensor

from egraff import ops
from egraff.fusion.node_blocks import FusedLayerNorm
from egraff.nn.equivariant import EquivariantLayerNorm

ops.load()
OP = torch.ops.egraff.block_norm


def rows(n: int, width: int, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    x = 2.0 + torch.randn(n, width, dtype=torch.float64, generator=generator)
    return x.to(dtype).requires_grad_(True)


def constants(width: int, n_scalars: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    return (
        torch.randn(width, dtype=torch.float64, generator=generator),
        torch.randn(n_scalars, dtype=torch.float64, generator=generator),
    )


def norm(x: Tensor) -> Tensor:
    return OP(x, *constants(12, 3), [3, 9], 1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("irreps", ["37x0e + 20x1o + 7x2e", "33x0e", "3x0o + 1x1e + 1x3o", "1x0e"])
@pytest.mark.parametrize("n", [0, 1, 200])
def test_equals_the_plain_norm(n, irreps, dtype):
    plain = EquivariantLayerNorm(o3.Irreps(irreps))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        plain.weight.normal_(generator=generator)
        plain.bias.normal_(generator=generator)
    plain.to(torch.float64)
    results = []
    for run, kind in ((FusedLayerNorm(plain, dtype), dtype), (plain, torch.float64)):
        x = rows(n, o3.Irreps(irreps).dim, dtype).detach().to(kind).requires_grad_(True)
        out = run(x)
        results.append([out, *torch.autograd.grad(out.square().sum(), x)])
    digits = {"rtol": 1e-4, "atol": 1e-4} if dtype == torch.float32 else {}
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b.to(dtype), **digits)


def test_gradcheck():
    assert torch.autograd.gradcheck(norm, rows(3, 12))


def test_zeros_stay_zero_and_have_a_derivative():
    weight, bias = constants(12, 3)
    x = torch.zeros(2, 12, dtype=torch.float64, requires_grad=True)
    out = OP(x, weight, torch.zeros_like(bias), [3, 9], 1e-5)
    assert torch.count_nonzero(out) == 0
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert torch.isfinite(gradient).all()


def test_of_atoms_only_the_input_is_kept():
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        x = rows(4, 12)
        norm(x)
    assert [y.data_ptr() for y in kept if y.dim() == 2] == [x.data_ptr()]


def test_shapes_without_data():
    given = (rows(4, 12), *constants(12, 3))
    assert OP(*(x.to("meta") for x in given), [3, 9], 1e-5).shape == (4, 12)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, torch.zeros(4, 11), "x: expected float32 or float64 [n, 12], got Float [4, 11]"),
        (1, torch.zeros(11), "weight: expected Double [12], got Float [11]"),
        (
            2,
            torch.zeros(4),
            "bias: expected Double [0] or as many as the first of the sizes [3, 9], got Float [4]",
        ),
    ],
)
def test_argument(place, value, message):
    arguments = [rows(4, 12), *constants(12, 3)]
    arguments[place] = value
    with pytest.raises(ValueError, match=re.escape(f"block_norm: {message}")):
        OP(*arguments, [3, 9], 1e-5)


def test_gradient_of_another_shape():
    with pytest.raises(
        ValueError,
        match=re.escape("block_norm_backward: by_out: expected Double [4, 12], got Double [4]"),
    ):
        torch.ops.egraff.block_norm_backward(
            torch.zeros(4, dtype=torch.float64), rows(4, 12), *constants(12, 3), [3, 9], 1e-5
        )


def test_no_second_derivative():
    x = rows(4, 12)
    (gradient,) = torch.autograd.grad(norm(x).square().sum(), x, create_graph=True)
    with pytest.raises(
        NotImplementedError,
        match=r"block_norm has no second derivative: fused models are for inference.\n"
        r"  fix: train with the plain model, or export it with --no-fuse",
    ):
        gradient.sum().backward()
