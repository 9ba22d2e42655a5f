# SPDX-License-Identifier: GPL-2.0-or-later
"""Radial functions against their formulas."""

from __future__ import annotations

import math

import pytest
import torch

from egraff.nn.radial import BesselBasis, PolynomialCutoff, RadialNetwork, XplorCutoff


@pytest.fixture(autouse=True)
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("p", [2.0, 5.0, 6.0])
def test_envelope_is_flat_at_the_cutoff(p):
    x = torch.tensor([0.0, 0.5, 1.0, 1.5], requires_grad=True)
    u = PolynomialCutoff(p)(x)
    (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), x)
    assert u[0] == 1.0
    assert 0.0 < u[1] < 1.0
    for values in (u, slope, curvature):
        assert values[3] == 0.0
        assert values[2].abs() < 1e-12
    # its derivative is -p(p+1)(p+2)/2 x^(p-1) (1-x)^2
    expected = -p * (p + 1) * (p + 2) / 2 * 0.5 ** (p - 1) * 0.25
    assert slope[1].item() == pytest.approx(expected, rel=1e-12)


def test_xplor_envelope_is_one_up_to_its_onset_and_falls_without_a_step():
    x = torch.tensor([0.3, 0.8, 0.9, 1.0 - 1e-9, 1.2], requires_grad=True)
    u = XplorCutoff(0.8)(x)
    (slope,) = torch.autograd.grad(u.sum(), x)
    # (1 - x^2)^2 (1 + 2 x^2 - 3 x_on^2) / (1 - x_on^2)^3 at x^2 = 0.81, x_on^2 = 0.64
    middle = 0.19**2 * (1 + 1.62 - 1.92) / 0.36**3
    torch.testing.assert_close(u, torch.tensor([1.0, 1.0, middle, 0.0, 0.0]))
    # its derivative is 12 x (1 - x^2) (x_on^2 - x^2) / (1 - x_on^2)^3
    falling = 12 * 0.9 * 0.19 * -0.17 / 0.36**3
    torch.testing.assert_close(
        slope, torch.tensor([0.0, 0.0, falling, 0.0, 0.0]), atol=1e-6, rtol=1e-9
    )


def test_envelope_decays_earlier_for_smaller_p():
    x = torch.tensor([0.6])
    assert PolynomialCutoff(3.0)(x) < PolynomialCutoff(6.0)(x)


@pytest.mark.parametrize("r_max", [4.0, 5.5])
def test_bessel_formula(r_max):
    x = torch.tensor([0.1, 0.5, 0.99])
    expected = [
        [2 / r_max * math.sin(n * math.pi * v) / (v * r_max) for n in range(1, 7)]
        for v in x.tolist()
    ]
    values = BesselBasis(6, r_max)(x)
    torch.testing.assert_close(values, torch.tensor(expected), rtol=1e-13, atol=1e-15)


def test_bessel_is_finite_at_the_origin():
    x = torch.zeros(1, requires_grad=True)
    values = BesselBasis(3, 4.0)(x)
    (slope,) = torch.autograd.grad(values.sum(), x)
    torch.testing.assert_close(values[0], 2 * math.pi / 16 * torch.tensor([1.0, 2.0, 3.0]))
    assert slope == 0.0


def test_bessel_roots_are_trainable_on_request():
    assert [name for name, _ in BesselBasis(3, 4.0, trainable=True).named_parameters()] == ["roots"]
    assert not list(BesselBasis(3, 4.0).parameters())


def test_radial_network_keeps_unit_variance_and_zero():
    torch.manual_seed(0)
    network = RadialNetwork([32, 64, 64, 128])
    out = network(torch.randn(2000, 32))
    assert 0.6 < out.std() < 1.4
    assert torch.count_nonzero(network(torch.zeros(1, 32))) == 0
    assert network(torch.zeros(0, 32)).shape == (0, 128)
