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


def plain(
    x: Tensor,
    v: Tensor,
    scalars: Tensor,
    vectors: Tensor,
    weight: Tensor,
    bias: Tensor,
    maps: Tensor,
) -> tuple[Tensor, Tensor]:
    """Evaluate arXiv:2202.02541, eqs. 8-11."""
    q1, q2, q3 = (scalars @ weight.T + bias).chunk(3, dim=1)
    u1, u2, u3 = (v @ maps.T).chunk(3, dim=2)
    return x + q3 + q2 * (u1 * u2).sum(dim=1), v + vectors + u3 * q1[:, None]


def features(n: int, width: int, dtype=torch.float64) -> list[Tensor]:
    """Return scalars, vectors and sums of both."""
    generator = torch.Generator().manual_seed(1)
    shapes = ((n, width), (n, 3, width)) * 2
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_(True)
        for shape in shapes
    ]


def weights(width: int, dtype=torch.float64) -> list[Tensor]:
    """Return the map of the scalars' sum, its bias, and the maps of vectors."""
    generator = torch.Generator().manual_seed(2)
    scale = width**-0.5
    return [
        (scale * torch.randn(shape, generator=generator, dtype=torch.float64)).to(dtype)
        for shape in ((3 * width, width), (3 * width,), (3 * width, width))
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("n", "width"), [(1, 1), (5, 7), (64, 32), (300, 20), (0, 8)])
def test_equals_the_formula(n, width, dtype):
    results = []
    for run, kind in ((OP, dtype), (plain, torch.float64)):
        inputs = [x.detach().to(kind).requires_grad_(True) for x in features(n, width, dtype)]
        outputs = run(*inputs, *(w.to(kind) for w in weights(width, dtype)))
        total = outputs[0].square().sum() + outputs[1].pow(3).sum()
        results.append([*outputs, *torch.autograd.grad([total], inputs)])
    digits = {"rtol": 1e-4, "atol": 1e-4} if dtype == torch.float32 else {}
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b.to(dtype), **digits)


def test_gradcheck():
    constants = weights(2)
    assert torch.autograd.gradcheck(lambda *given: OP(*given, *constants), features(3, 2))


def test_weights_that_could_be_learnt_get_no_gradient():
    learnt = [w.requires_grad_(True) for w in weights(4)]
    total = sum(out.sum() for out in OP(*features(3, 4), *learnt))
    total.backward()
    assert all(w.grad is None for w in learnt)


def test_results_do_not_depend_on_threads():
    inputs, constants = features(400, 32, torch.float32), weights(32, torch.float32)
    results = []
    try:
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            outputs = OP(*inputs, *constants)
            total = outputs[0].square().sum() + outputs[1].square().sum()
            results.append([*outputs, *torch.autograd.grad([total], inputs)])
    finally:
        torch.set_num_threads(1)
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)


def test_shapes_without_data():
    scalars, vectors = OP(*(x.to("meta") for x in [*features(5, 7), *weights(7)]))
    assert (scalars.shape, vectors.shape) == ((5, 7), (5, 3, 7))


@pytest.mark.parametrize(
    ("place", "shape", "message"),
    [
        (0, (4, 8), "x: expected Double [4, 6], got Double [4, 8]"),
        (1, (4, 6), "v: expected float32 or float64 [n, 3, width], got Double [4, 6]"),
        (2, (4, 8), "scalars: expected Double [4, 6], got Double [4, 8]"),
        (3, (4, 6), "vectors: expected Double [4, 3, 6], got Double [4, 6]"),
        (4, (6, 18), "weight: expected Double [18, 6], got Double [6, 18]"),
        (5, (6,), "bias: expected Double [18], got Double [6]"),
        (6, (6, 6), "maps: expected Double [18, 6], got Double [6, 6]"),
    ],
)
def test_argument(place, shape, message):
    arguments = [*features(4, 6), *weights(6)]
    arguments[place] = torch.zeros(shape, dtype=torch.float64)
    with pytest.raises(ValueError, match=re.escape(f"gated_vector_update: {message}")):
        OP(*arguments)


@pytest.mark.parametrize(
    ("place", "shape", "message"),
    [
        (0, (4, 7), "by_x: expected Double [4, 6], got Double [4, 7]"),
        (1, (4, 6), "by_v: expected Double [4, 3, 6], got Double [4, 6]"),
    ],
)
def test_gradient_of_another_shape(place, shape, message):
    x, v, scalars, vectors = features(4, 6)
    gradients = [x, vectors]
    gradients[place] = torch.zeros(shape, dtype=torch.float64)
    with pytest.raises(ValueError, match=re.escape(f"gated_vector_update: {message}")):
        torch.ops.egraff.gated_vector_update_backward(*gradients, v, scalars, *weights(6))


def test_no_second_derivative():
    inputs = features(4, 6)
    total = sum(out.square().sum() for out in OP(*inputs, *weights(6)))
    (gradient,) = torch.autograd.grad([total], inputs[1:2], create_graph=True)
    with pytest.raises(
        NotImplementedError,
        match=r"gated_vector_update has no second derivative: fused models are for inference.\n"
        r"  fix: train with the plain model, or export it with --no-fuse",
    ):
        gradient.sum().backward()
