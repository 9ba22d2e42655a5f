# SPDX-License-Identifier: GPL-2.0-or-later
"""The fused symmetric contraction against the plain one, and what it says when misused."""

from __future__ import annotations

import re

import pytest
import torch
from e3nn import o3

from egraff import ops
from egraff.fusion.contraction import FusedSymmetricContraction
from egraff.nn.symmetric_contraction import SymmetricContraction
from tests.ops.wrong_calls import long

ops.load()
RELATIVE = {torch.float32: 1e-5, torch.float64: 1e-12}


def pair_of(irreps_in, irreps_out, correlation, dtype):
    """Return both forms, features and species of some atoms."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(4)
    try:
        irreps = o3.Irreps(irreps_in)
        plain = SymmetricContraction(irreps, o3.Irreps(irreps_out), correlation, 3)
    finally:
        torch.set_default_dtype(before)
    x = torch.randn(37, irreps.dim, dtype=torch.float64).to(dtype)
    return plain, FusedSymmetricContraction(plain, dtype), x, torch.randint(0, 3, (37,))


def value_and_gradient(function, x, species):
    x = x.detach().requires_grad_(True)
    out = function(x, species)
    direction = torch.linspace(-1, 1, out.numel(), dtype=x.dtype).view_as(out)
    (gradient,) = torch.autograd.grad([(out * direction).sum()], [x])
    return out.detach(), gradient


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("irreps_in", "irreps_out", "correlation"),
    [
        ("3x0e", "3x0e", 1),
        ("5x0e + 5x1o", "5x0e + 5x1o", 2),
        ("17x0e + 17x1o + 17x2e", "17x0e + 17x1o", 3),
        ("16x0e + 16x1o + 16x2e + 16x3o", "16x0e + 16x1o + 16x2e", 3),
        ("2x0e + 2x1o + 2x1e", "2x0e + 2x0o + 2x1e", 3),
    ],
)
def test_equals_the_plain_contraction(irreps_in, irreps_out, correlation, dtype):
    plain, fused, x, species = pair_of(irreps_in, irreps_out, correlation, dtype)
    expected = value_and_gradient(plain, x.to(torch.float64), species)
    for actual, exact in zip(value_and_gradient(fused, x, species), expected, strict=True):
        assert actual.shape == exact.shape
        assert (actual - exact).abs().max() <= RELATIVE[dtype] * exact.abs().max()


def test_no_atoms_and_threads():
    _, fused, x, species = pair_of("5x0e + 5x1o", "5x0e + 5x1o", 3, torch.float32)
    empty = value_and_gradient(fused, x[:0], species[:0])
    assert empty[0].shape == (0, 20)
    assert empty[1].shape == (0, 20)
    one = value_and_gradient(fused, x, species)
    try:
        torch.set_num_threads(2)
        two = value_and_gradient(fused, x, species)
    finally:
        torch.set_num_threads(1)
    for a, b in zip(one, two, strict=True):
        assert torch.equal(a, b)


def test_shapes_without_data():
    _, fused, x, species = pair_of("5x0e + 5x1o", "5x0e + 5x1o", 2, torch.float32)
    out = fused.to("meta")(x.to("meta"), species.to("meta"))
    assert out.shape == (37, 20)


def test_no_second_derivative():
    _, fused, x, species = pair_of("2x0e", "2x0e", 2, torch.float64)
    x.requires_grad_(True)
    (gradient,) = torch.autograd.grad([fused(x, species).sum()], [x], create_graph=True)
    with pytest.raises(
        NotImplementedError,
        match=r"egraff::symmetric_contraction has no second derivative: fused models are for "
        r"inference.\n  fix: train with the plain model, or export it with --no-fuse",
    ):
        gradient.sum().backward()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("weights", torch.zeros(2, 3), "weights: expected [n_paths, n_species, channels]"),
        ("variables", long(4, 3), "variables: expected int64 [n_components, 2], got Long [4, 3]"),
        ("variables", long(4, 2), "variables: expected columns below 8, got 0 + 0 * channel"),
        ("products", long(3), "products: expected int64 [n_products, 2], got Long [3]"),
        (
            "products",
            long(3, 2) + 50,
            "products: expected monomials of earlier ones and components of the outputs, got [50, ",
        ),
        ("paths", long(1, 4), "paths: expected int64 [n_paths, 4] as in weights, got Long [1, 4]"),
        ("coefficients", torch.zeros(2), "coefficients: expected float64 [n_terms], got Float [2]"),
        ("terms", long(1, 2), "terms: expected int64 [n_terms, 2] as in coefficients, got"),
    ],
)
def test_argument(name, value, message):
    _, fused, x, species = pair_of("2x0e + 2x1o", "2x0e", 2, torch.float32)
    setattr(fused, name, value)
    with pytest.raises(ValueError, match=re.escape(message)):
        fused(x, species)


def test_atoms():
    _, fused, x, species = pair_of("2x0e", "2x0e", 2, torch.float32)
    for arguments, message in (
        ((x[0], species), "x: expected float32 or float64 [n, width], got Float [2]"),
        ((x, species[1:]), "species: expected int64 [n] as in x, got Long [36]"),
        ((x, species + 3), "species: expected 0 <= species < 3, got"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            fused(*arguments)


def test_gradient_of_another_shape():
    _, f, x, species = pair_of("2x0e", "2x0e", 2, torch.float32)
    with pytest.raises(
        ValueError,
        match=r"symmetric_contraction_backward: gradient: expected Float \[37, 2\], got Float",
    ):
        torch.ops.egraff.symmetric_contraction_backward(
            x[:3], x, species, f.weights, f.variables, f.products, f.paths, f.terms,
            f.coefficients, f.outputs,
        )  # fmt: skip
