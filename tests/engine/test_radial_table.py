# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables of radial functions: known functions, known convergence, stated errors."""

from __future__ import annotations

import pytest
import torch

from egraff.errors import EgraffError
from egraff.nn.radial_table import GRID_START, evaluate, tabulate
from tests.engine.convolutions import smooth_weights


def test_stated_errors_hold_everywhere():
    functions = smooth_weights(7)
    table = tabulate(functions, tolerance=1e-7, derivative_tolerance=1e-6)
    x = GRID_START + (1 - GRID_START) * torch.rand(5000, dtype=torch.float64)
    value, derivative = evaluate(table.knots, x)
    exact, exact_derivative, _ = functions(x)
    error = (value - exact).abs().max() / exact.abs().max()
    derivative_error = (derivative - exact_derivative).abs().max() / exact_derivative.abs().max()
    assert 0 < table.error <= 1e-7
    assert 0 < table.derivative_error <= 1e-6
    # measured elsewhere than when the table was made, hence the margin
    assert error <= 1.1 * table.error
    assert derivative_error <= 1.1 * table.derivative_error


def test_error_falls_with_the_sixth_power_of_the_spacing():
    functions = smooth_weights(3)
    tables = [
        tabulate(functions, tolerance=bound, derivative_tolerance=1.0) for bound in (1e-5, 1e-9)
    ]
    ratio = (tables[1].n_knots - 1) / (tables[0].n_knots - 1)
    assert tables[0].error / tables[1].error == pytest.approx(ratio**6, rel=0.4)


def test_a_polynomial_of_the_fifth_degree_is_exact():
    def function(x):
        x = x[:, None]
        return (1 - x) ** 5, -5 * (1 - x) ** 4, 20 * (1 - x) ** 3

    table = tabulate(function, tolerance=1e-13, derivative_tolerance=1e-13)
    assert table.n_knots == 17


def test_zero_at_the_cutoff_and_twice_continuous():
    knots = tabulate(smooth_weights(4), tolerance=1e-6, derivative_tolerance=1e-4).knots
    assert torch.equal(knots[-1], torch.zeros(3, 4, dtype=torch.float64))
    spacing = (1 - GRID_START) / (knots.shape[0] - 1)
    x = GRID_START + spacing * torch.arange(1, knots.shape[0] - 1, dtype=torch.float64)
    for below, above in zip(evaluate(knots, x - 1e-9), evaluate(knots, x + 1e-9), strict=True):
        torch.testing.assert_close(below, above, rtol=1e-6, atol=1e-6)


def test_derivative_is_that_of_the_spline():
    knots = tabulate(smooth_weights(4), tolerance=1e-4, derivative_tolerance=1e-2).knots
    x = torch.linspace(0.03, 0.99, 57, dtype=torch.float64)
    step = 1e-6
    numeric = (evaluate(knots, x + step)[0] - evaluate(knots, x - step)[0]) / (2 * step)
    assert (numeric - evaluate(knots, x)[1]).abs().max() < 1e-8


def test_refuses_a_function_with_a_kink():
    def function(x):
        x = x[:, None]
        sign = torch.sign(x - 0.4321)
        return (1 - x) * (x - 0.4321).abs(), sign * (1.4321 - 2 * x), -2 * sign

    with pytest.raises(
        EgraffError,
        match=r"expected a smooth function of the distance, got one that \d+ knots describe with a "
        r"relative error of .*e-\d+ \(derivative .*\), allowed 1e-07 \(1e-06\)\n"
        r"  fix: export with --no-fuse",
    ):
        tabulate(function, tolerance=1e-7, derivative_tolerance=1e-6)
