# SPDX-License-Identifier: GPL-2.0-or-later
"""Fused equivariant linear maps against the plain ones, and what the operator says when misused."""

from __future__ import annotations

import re

import pytest
import torch
from e3nn import o3

from egraff import ops
from egraff.fusion.linear import FusedLinear, FusedSpeciesLinear, can_fuse_linear
from egraff.fusion.registry import form_of
from egraff.nn.species import SpeciesLinear

ops.load()
RELATIVE = {torch.float32: 1e-5, torch.float64: 1e-13}
IRREPS = [
    ("1x0e", "1x0e"),
    ("5x0e + 3x1o", "4x0e + 7x1o"),
    ("64x0e + 64x1o + 64x2e", "64x0e + 64x1o + 64x2e"),
    ("70x0e + 33x1o", "130x0e + 17x1o + 3x2e"),  # nothing reaches 2e
    ("16x3o + 2x0e", "31x3o"),
]
N_SPECIES = 3


@pytest.fixture
def double():
    """Weights in float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(4)
    yield
    torch.set_default_dtype(before)


def derivatives(function, x):
    """Value, gradient, and gradient of the gradient's square by the direction."""
    x = x.detach().requires_grad_(True)
    out = function(x)
    direction = torch.linspace(-1, 1, out.numel(), dtype=x.dtype).view_as(out)
    direction.requires_grad_(True)
    (gradient,) = torch.autograd.grad([(out * direction).sum()], [x], create_graph=True)
    (second,) = torch.autograd.grad([gradient.pow(2).sum()], [direction])
    return out.detach(), gradient.detach(), second


def agree(plain, fused, x, dtype):
    expected = derivatives(plain, x)
    for actual, exact in zip(derivatives(fused, x.to(dtype)), expected, strict=True):
        assert actual.shape == exact.shape
        assert (actual - exact).abs().max() <= RELATIVE[dtype] * max(exact.abs().max(), 1e-30)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("irreps_in", "irreps_out"), IRREPS)
@pytest.mark.parametrize("n", [0, 1, 6, 75])
def test_equals_the_plain_map(double, irreps_in, irreps_out, n, dtype):
    plain = o3.Linear(irreps_in, irreps_out)
    assert can_fuse_linear(plain)
    x = torch.randn(n, plain.irreps_in.dim)
    if n > 0:
        agree(plain, FusedLinear(plain, dtype), x, dtype)
    assert FusedLinear(plain, dtype)(x.to(dtype)).shape == (n, plain.irreps_out.dim)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("irreps_in", "irreps_out"), IRREPS)
@pytest.mark.parametrize("n", [1, 75])
def test_equals_the_plain_map_of_each_element(double, irreps_in, irreps_out, n, dtype):
    plain = SpeciesLinear(o3.Irreps(irreps_in), o3.Irreps(irreps_out), N_SPECIES)
    fused = FusedSpeciesLinear(plain, dtype)
    x, species = torch.randn(n, plain.irreps_in.dim), torch.randint(0, N_SPECIES, (n,))
    agree(lambda x: plain(x, species), lambda x: fused(x, species), x, dtype)


def test_several_blocks_add_up(double):
    plain = o3.Linear("4x0e + 3x0e + 2x1o", "5x0e + 2x0e + 2x1o")
    agree(plain, FusedLinear(plain, torch.float64), torch.randn(9, 13), torch.float64)


def test_threads_change_nothing(double):
    plain = o3.Linear("64x0e + 64x1o", "64x0e + 64x1o")
    fused, x = FusedLinear(plain, torch.float32), torch.randn(500, 256, dtype=torch.float32)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(fused(x))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(result, results[0]) for result in results)


def test_shapes_without_data():
    fused = FusedLinear(o3.Linear("4x0e", "5x0e"), torch.float32).to("meta")
    assert fused(torch.empty(7, 4, device="meta")).shape == (7, 5)


def test_maps_that_stay_as_they_are():
    for plain in (
        o3.Linear("4x0e", "4x0e", biases=True),
        o3.Linear("4x0e", "4x0e", internal_weights=False, shared_weights=True),
        o3.Linear("4x0e", "4x1o"),
        torch.nn.Linear(4, 4),
    ):
        assert form_of(plain) is None


def arguments(**changes):
    plain = SpeciesLinear(o3.Irreps("4x0e"), o3.Irreps("4x0e"), 2)
    fused = FusedSpeciesLinear(plain, torch.float32)
    given = {
        "x": torch.randn(3, 4),
        "species": torch.tensor([0, 1, 0]),
        "weights": fused.weights,
        "blocks": fused.blocks,
        "weights_back": fused.weights_back,
        "blocks_back": fused.blocks_back,
        "width_out": 4,
    }
    return list({**given, **changes}.values())


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("x", torch.zeros(3), "x: expected float32 or float64 [n, width], got Float [3]"),
        (
            "weights",
            torch.zeros(2, 64, dtype=torch.float64),
            "weights: expected [n_species, n_weights] of the type of x, got Double [2, 64]",
        ),
        ("species", None, "species: expected int64 [3], got none"),
        ("species", torch.zeros(2, dtype=torch.int64), "species: expected int64 [n] as in x"),
        (
            "species",
            torch.tensor([0, 2, 0]),
            "species: expected 0 <= species < 2, got 2 at node 1",
        ),
        ("blocks", torch.zeros(1, 6), "blocks: expected int64 [n_blocks, 9], got Float [1, 6]"),
        (
            "width_out",
            3,
            "blocks: expected columns below 4 of x and 3 of the result and weights below 64, got "
            "[0, 4, 0, 0, 0, 4, 0, 0, 1] in row 0\n  fix: export the model again",
        ),
    ],
)
def test_argument(name, value, message):
    with pytest.raises(ValueError, match=re.escape(f"egraff::irreps_linear: {message}")):
        torch.ops.egraff.irreps_linear(*arguments(**{name: value}))
