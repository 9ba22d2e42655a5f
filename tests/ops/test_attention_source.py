# SPDX-License-Identifier: GPL-2.0-or-later
"""What edges read of an atom: the operator against the plain layer's, and its messages."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor

from egraff import ops
from egraff.fusion.attention import pad_heads, source_map
from egraff.nn.scalar_vector import ScalarVectorAttention

ops.load()
OP = torch.ops.egraff.attention_source


def make_layer(width: int, n_heads: int, *, vectors: bool = True) -> ScalarVectorAttention:
    layer = ScalarVectorAttention(
        width, 3, n_heads, distance_keys=True, distance_values=True, act="silu",
        attention_act="silu", vector_cutoff=True, vectors_in=vectors,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for part in (layer.key, layer.value):
            part.bias.normal_(generator=generator)
    return layer


def inputs(n: int, width: int, dtype: torch.dtype, *, vectors: bool = True) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = ((n, width), (n, 3 if vectors else 0, width))
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_(True)
        for shape in shapes
    ]


def maps(layer: ScalarVectorAttention, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    weight, bias = source_map(layer, 64 // dtype.itemsize)
    return weight.to(dtype), bias.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("vectors", [True, False])
@pytest.mark.parametrize(
    ("n", "width", "n_heads"), [(1, 32, 4), (300, 128, 8), (5, 15, 5), (70, 96, 3), (0, 32, 2)]
)
def test_equals_the_plain_layer(n, width, n_heads, vectors, dtype):
    layer = make_layer(width, n_heads, vectors=vectors)
    lanes = 64 // dtype.itemsize

    def plain(x: Tensor, v: Tensor) -> Tensor:
        rows = layer.source(x, v).unflatten(1, (-1, width))
        return pad_heads(rows, n_heads, lanes).unflatten(2, (-1, lanes)).transpose(1, 2).flatten(1)

    results = []
    for kind, run in (
        (torch.float64, plain),
        (dtype, lambda x, v: OP(x, v, *maps(layer, dtype), n_heads)),
    ):
        layer.to(torch.float64)
        given = [
            x.detach().to(kind).requires_grad_(True)
            for x in inputs(n, width, dtype, vectors=vectors)
        ]
        out = run(*given)
        results.append([out, *torch.autograd.grad(out.square().sum(), given, allow_unused=True)])
    tolerance = 2e-5 if dtype == torch.float32 else 1e-12
    for expected, actual in zip(*results, strict=True):
        if expected is None:  # vectors that are not there
            assert actual.numel() == 0
            continue
        expected = expected.to(dtype)
        scale = 1.0 + (expected.abs().max().item() if expected.numel() else 0.0)
        torch.testing.assert_close(actual, expected, rtol=0.0, atol=tolerance * scale)


@pytest.mark.parametrize("vectors", [True, False])
def test_gradcheck(vectors):
    layer = make_layer(6, 2, vectors=vectors)
    weight, bias = maps(layer, torch.float64)
    x, v = inputs(3, 6, torch.float64, vectors=vectors)
    assert torch.autograd.gradcheck(lambda *given: OP(*given, weight, bias, 2), (x, v))


def test_results_do_not_depend_on_threads():
    layer = make_layer(32, 4)
    weight, bias = maps(layer, torch.float32)
    x, v = inputs(400, 32, torch.float32)
    results = []
    try:
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            out = OP(x, v, weight, bias, 4)
            results.append([out, *torch.autograd.grad(out.square().sum(), (x, v))])
    finally:
        torch.set_num_threads(1)
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(("vectors", "columns"), [(True, 192), (False, 96)])
def test_shapes_without_data(vectors, columns):
    weight, bias = maps(make_layer(32, 4, vectors=vectors), torch.float32)
    given = [*inputs(5, 32, torch.float32, vectors=vectors), weight, bias]
    assert OP(*(x.to("meta") for x in given), 4).shape == (5, columns)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, torch.zeros(4), "x: expected float32 or float64 [n, width], got Float [4]"),
        (1, torch.zeros(4, 3, 5), "v: expected Double [4, 3, 32], got Float [4, 3, 5]"),
        (2, torch.zeros(8, 32), "weight: expected Double [128, 32], got Float [8, 32]"),
        (3, torch.zeros(8), "bias: expected Double [128], got Float [8]"),
        (4, 5, "n_heads: expected a divisor of the width 32, got 5"),
    ],
)
def test_argument(place, value, message):
    arguments = [*inputs(4, 32, torch.float64), *maps(make_layer(32, 4), torch.float64), 4]
    arguments[place] = value
    with pytest.raises(ValueError, match=re.escape(f"attention_source: {message}")):
        OP(*arguments)


def test_gradient_of_another_shape():
    arguments = [*inputs(4, 32, torch.float64), *maps(make_layer(32, 4), torch.float64), 4]
    with pytest.raises(
        ValueError, match=re.escape("by_source: expected Double [4, 192], got Double [4, 191]")
    ):
        torch.ops.egraff.attention_source_backward(
            torch.zeros(4, 191, dtype=torch.float64), *arguments
        )


def test_no_second_derivative():
    x, v = inputs(4, 32, torch.float64)
    out = OP(x, v, *maps(make_layer(32, 4), torch.float64), 4)
    (gradient,) = torch.autograd.grad([out.square().sum()], [x], create_graph=True)
    with pytest.raises(
        NotImplementedError,
        match=r"attention_source has no second derivative: fused models are for inference.\n"
        r"  fix: train with the plain model, or export it with --no-fuse",
    ):
        gradient.sum().backward()
