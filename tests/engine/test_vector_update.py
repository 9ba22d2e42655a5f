# SPDX-License-Identifier: GPL-2.0-or-later
"""What an atom makes of its messages: the operator against the formula, and its messages."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor

from egraff import ops

ops.load()
OP = torch.ops.egraff.gated_vector_update


def plain(gates: Tensor, maps: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
    """Evaluate arXiv:2202.02541, eqs. 9-11."""
    q1, q2, q3 = gates.chunk(3, dim=1)
    u1, u2, u3 = maps.chunk(3, dim=2)
    return q3 + q2 * (u1 * u2).sum(dim=1), sums + u3 * q1[:, None]


def random(n: int, width: int, dtype=torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = ((n, 3 * width), (n, 3, 3 * width), (n, 3, width))
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_(True)
        for shape in shapes
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("n", "width"), [(1, 1), (5, 7), (300, 20), (0, 8)])
def test_equals_the_formula(n, width, dtype):
    results = []
    for run in (OP, plain):
        inputs = random(n, width, dtype)
        outputs = run(*inputs)
        total = outputs[0].square().sum() + outputs[1].pow(3).sum()
        results.append([*outputs, *torch.autograd.grad([total], inputs)])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b)


def test_gradcheck():
    assert torch.autograd.gradcheck(OP, random(3, 2))


def test_shapes_without_data():
    scalars, vectors = OP(*(x.to("meta") for x in random(5, 7)))
    assert (scalars.shape, vectors.shape) == ((5, 7), (5, 3, 7))


@pytest.mark.parametrize(
    ("place", "shape", "message"),
    [
        (0, (4, 8), "gates: expected float32 or float64 [n, 3 width], got Double [4, 8]"),
        (1, (4, 3, 9), "maps: expected Double [4, 3, 18], got Double [4, 3, 9]"),
        (2, (4, 6), "sums: expected Double [4, 3, 6], got Double [4, 6]"),
    ],
)
def test_argument(place, shape, message):
    inputs = random(4, 6)
    inputs[place] = torch.zeros(shape, dtype=torch.float64)
    with pytest.raises(ValueError, match=re.escape(f"gated_vector_update: {message}")):
        OP(*inputs)


def test_no_second_derivative():
    inputs = random(4, 6)
    total = sum(out.square().sum() for out in OP(*inputs))
    (gradient,) = torch.autograd.grad([total], inputs[:1], create_graph=True)
    with pytest.raises(
        NotImplementedError,
        match=r"gated_vector_update has no second derivative: fused models are for inference.\n"
        r"  fix: train with the plain model, or export it with --no-fuse",
    ):
        gradient.sum().backward()
