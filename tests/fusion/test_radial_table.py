# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables of radial functions: known functions, known convergence, stated errors."""

from __future__ import annotations

import pytest
import torch

from egraff.errors import EgraffError
from egraff.fusion.radial_grid import GRID_START, Grid
from egraff.fusion.radial_table import evaluate, split_at, tabulate, with_rises
from tests.ops.convolutions import smooth_weights


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


def test_rises_lead_from_knot_to_knot():
    knots = tabulate(smooth_weights(5), tolerance=1e-5, derivative_tolerance=1e-3).knots
    rows = with_rises(knots)
    assert rows.shape == (knots.shape[0], 4, 5)
    torch.testing.assert_close(rows[:, [2, 0, 1]], knots, rtol=0, atol=0)
    torch.testing.assert_close(rows[:-1, 2] + rows[:-1, 3], knots[1:, 0])
    assert not rows[-1, 3].any()


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
        r"  fix: export with --no-fuse or, from float64, with --dtype float32",
    ):
        tabulate(function, tolerance=1e-7, derivative_tolerance=1e-6)


@pytest.mark.parametrize("stretch", [0.0, 1.0, 10.0])
def test_grid_is_its_own_inverse_and_states_its_derivatives(stretch):
    grid = Grid(stretch)
    s = torch.linspace(GRID_START, 1.0, 101, dtype=torch.float64)
    x, first, second = grid.length(s)
    torch.testing.assert_close(grid.position(x), s, rtol=0.0, atol=1e-14)
    assert x[0] == pytest.approx(GRID_START, abs=1e-15)
    assert 1.0 - 1e-15 < x[-1] < 1.0
    step = 1e-4
    inner = s[1:-1]
    above, below = grid.length(inner + step)[0], grid.length(inner - step)[0]
    torch.testing.assert_close(first[1:-1], (above - below) / (2 * step), rtol=1e-5, atol=0.0)
    curvature = (above - 2 * x[1:-1] + below) / step**2
    torch.testing.assert_close(second[1:-1], curvature, rtol=1e-4, atol=1e-6)


def test_narrow_functions_at_short_distance_need_fewer_knots_on_a_stretched_grid():
    def knots(stretch: float) -> int:
        grid = Grid(stretch)

        def function(s):
            x, first, second = grid.length(s)
            u = 40 * (torch.exp(-5 * x) - 0.6)
            du = -200 * torch.exp(-5 * x)
            value = torch.exp(-u * u)
            slope = -2 * u * du * value
            curvature = (4 * u * u - 2) * du * du * value + 10 * u * du * value
            return tuple(
                part[:, None]
                for part in (value, slope * first, curvature * first**2 + slope * second)
            )

        return tabulate(
            function, tolerance=1e-7, derivative_tolerance=1e-5, zero_at_cutoff=False
        ).n_knots

    assert 3 * knots(10.0) < knots(0.0)


def test_functions_that_end_at_the_cutoff_keep_their_last_knot():
    def function(x):
        x = x[:, None]
        return 1 + (1 - x) ** 2, -2 * (1 - x), 2 + 0 * x

    table = tabulate(function, tolerance=1e-13, derivative_tolerance=1e-12, zero_at_cutoff=False)
    assert table.knots[-1, 0].item() == 1.0
    assert table.n_knots == 17


def kinked(x):
    """x for x < 0.7, where the second derivative jumps from 0 to 6, then a polynomial."""
    x = x[:, None]
    beyond = (x - 0.7).clamp(min=0.0)
    step = (x > 0.7).to(x.dtype)
    return (
        x + 3 * beyond**2 - beyond**5,
        1 + 6 * beyond - 5 * beyond**4,
        (6 - 20 * beyond**3) * step,
    )


def test_a_jump_of_the_second_derivative_lies_between_two_knots():
    table = tabulate(kinked, tolerance=1e-12, derivative_tolerance=1e-12, kink=0.7)
    assert table.n_intervals + 2 == table.n_knots
    start, below = split_at(0.7, table.n_intervals)
    assert 0.0 <= start <= GRID_START
    spacing = (1.0 - start) / table.n_intervals
    assert start + below * spacing == pytest.approx(0.7, abs=1e-14)
    left, right = table.knots[below], table.knots[below + 1]
    torch.testing.assert_close(left[:2], right[:2], rtol=1e-12, atol=0)
    assert left[2].item() == 0.0
    assert right[2].item() == pytest.approx(6.0 * spacing**2, rel=1e-9)


def test_a_jump_that_is_not_said_is_refused():
    with pytest.raises(EgraffError, match="expected a smooth function of the distance"):
        tabulate(kinked, tolerance=1e-12, derivative_tolerance=1e-12)
