# SPDX-License-Identifier: GPL-2.0-or-later
"""The operator against the plain convolution: values, derivatives, empty graphs, threads."""

from __future__ import annotations

import pytest
import torch

from egraff.nn.edges import bare_edges
from tests.ops.convolutions import (
    CUTOFFS,
    assert_close,
    make_case,
    smooth_weights,
    value_and_gradients,
)
from tests.ops.instruction_sets import run_with

EVERY = "0e + 0o + 1o + 1e + 2e + 2o + 3o + 3e"
CASES = [
    ("3x0e", 0, "0e"),
    ("16x0e", 3, "0e + 1o + 2e + 3o"),
    ("33x0e + 20x1o", 1, "0e + 1o"),
    ("5x0e + 17x1o + 8x2e", 2, "0e + 1o + 2e"),
    ("2x0e + 3x0o + 2x1o + 1x1e + 9x2e + 4x2o", 2, EVERY),
    ("4x0e + 18x1o + 5x2e + 3x3o", 3, EVERY),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("irreps_in", "l_max", "irreps_keep"), CASES)
def test_equals_the_plain_convolution(irreps_in, l_max, irreps_keep, dtype):
    case = make_case(irreps_in, l_max, irreps_keep, dtype=dtype)
    fused = value_and_gradients(case.run_fused, case)
    plain = value_and_gradients(case.run_plain, case)
    for name, actual, expected in zip(("value", "by x", "by vectors"), fused, plain, strict=True):
        assert_close(actual, expected, name)


def test_a_table_of_many_knots_costs_no_digits():
    """Off by 3e-7; slopes made from values that are rounded to float32 are off by 1.3e-6."""
    case = make_case("16x0e", 2, "0e + 1o + 2e", dtype=torch.float32, tolerance=1e-13)
    assert len(case.table.knots) > 200
    *_, actual = value_and_gradients(case.run_fused, case)
    *_, expected = value_and_gradients(case.run_plain, case)
    assert (actual - expected).abs().max() < 7e-7 * expected.abs().max()


def test_many_edges_fill_several_blocks():
    case = make_case("6x0e + 4x1o", n_local=50, n_ghost=30, n_edges=3000, seed=3)
    fused = value_and_gradients(case.run_fused, case)
    plain = value_and_gradients(case.run_plain, case)
    for actual, expected in zip(fused, plain, strict=True):
        assert_close(actual, expected, "several blocks")


def test_derivative_by_vectors_is_that_of_the_value():
    case = make_case("3x0e + 2x1o + 2x2e", 3, EVERY, n_edges=12, seed=5)
    _, _, gradient = value_and_gradients(case.run_fused, case)
    generator = torch.Generator().manual_seed(7)
    direction = torch.randn(
        case.run_fused(case.x, case.edge_vec).shape, generator=generator, dtype=torch.float64
    )
    step = 1e-5
    numeric = torch.empty_like(gradient)
    for edge in range(12):
        for axis in range(3):
            values = []
            for sign in (1, -1):
                moved = case.edge_vec.clone()
                moved[edge, axis] += sign * step
                values.append((case.run_fused(case.x, moved) * direction).sum())
            numeric[edge, axis] = (values[0] - values[1]) / (2 * step)
    assert (numeric - gradient).abs().max() < 1e-7 * gradient.abs().max()


@pytest.mark.parametrize(("n_local", "n_ghost", "n_edges"), [(0, 0, 0), (4, 0, 0), (0, 5, 0)])
def test_no_edges(n_local, n_ghost, n_edges):
    case = make_case(n_local=n_local, n_ghost=n_ghost, n_edges=n_edges)
    value, by_x, by_vec = value_and_gradients(case.run_fused, case)
    assert torch.equal(value, torch.zeros(n_local, case.plain.irreps_out.dim).double())
    assert torch.equal(by_x, torch.zeros_like(case.x))
    assert by_vec.shape == (0, 3)


def test_gradients_are_made_only_where_wanted():
    case = make_case()
    for wanted in (0, 1):
        inputs = [case.x.detach(), case.edge_vec.detach()]
        inputs[wanted].requires_grad_(True)
        (gradient,) = torch.autograd.grad([case.run_fused(*inputs).sum()], [inputs[wanted]])
        assert gradient.shape == inputs[wanted].shape
        assert gradient.abs().max() > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_results_depend_on_threads_in_the_order_of_sums_only(dtype):
    case = make_case("20x0e + 7x1o", n_local=80, n_edges=4000, dtype=dtype)
    results = {}
    try:
        for n_threads in (1, 2, 5):
            torch.set_num_threads(n_threads)
            results[n_threads] = value_and_gradients(case.run_fused, case)
            again = value_and_gradients(case.run_fused, case)
            for a, b in zip(results[n_threads], again, strict=True):
                assert torch.equal(a, b)
    finally:
        torch.set_num_threads(1)
    value, by_x, by_vec = results[1]
    for n_threads in (2, 5):
        other_value, other_by_x, other_by_vec = results[n_threads]
        assert torch.equal(value, other_value)
        assert torch.equal(by_vec, other_by_vec)
        # neighbours that centres of several threads share: one sum for each thread
        rounding = 8 * torch.finfo(dtype).eps * by_x.abs().max()
        assert (by_x - other_by_x).abs().max() <= rounding


def test_message_and_derivative_vanish_smoothly_at_the_cutoff():
    case = make_case("4x0e", 1, "0e + 1o", n_local=1, n_ghost=1, n_edges=1)
    case.edge_index = torch.tensor([[0], [1]])
    cutoff = float(CUTOFFS[case.species[0], case.species[1]])
    sizes = []
    for distance in (cutoff - 1e-2, cutoff - 1e-4, cutoff, cutoff + 0.1):
        case.edge_vec = torch.tensor([[0.0, distance, 0.0]], dtype=torch.float64)
        value, _, by_vec = value_and_gradients(case.run_fused, case)
        sizes.append((float(value.abs().max()), float(by_vec.abs().max())))
    # (1 - x)^3: a hundredth of the distance to the cutoff is a millionth of the value
    assert 0 < sizes[1][0] < 2e-6 * sizes[0][0]
    assert 0 < sizes[1][1] < 2e-4 * sizes[0][1]
    assert sizes[2] == sizes[3] == (0.0, 0.0)


def test_atoms_on_top_of_each_other_give_numbers():
    case = make_case(n_local=1, n_ghost=1, n_edges=1)
    case.edge_vec = torch.zeros(1, 3, dtype=torch.float64)
    for result in value_and_gradients(case.run_fused, case):
        assert torch.isfinite(result).all()


@pytest.mark.parametrize("capability", ["default", "avx2"])
def test_every_instruction_set_gives_the_same(capability):
    script = (
        "import torch\n"
        "from tests.ops.convolutions import assert_close, make_case, value_and_gradients\n"
        "for dtype in (torch.float32, torch.float64):\n"
        "    case = make_case('4x0e + 18x1o + 5x2e + 3x3o', 3, '0e + 1o + 2e + 3o', dtype=dtype)\n"
        "    fused = value_and_gradients(case.run_fused, case)\n"
        "    plain = value_and_gradients(case.run_plain, case)\n"
        "    for a, b in zip(fused, plain, strict=True):\n"
        "        assert_close(a, b, 'capability')\n"
    )
    run_with(capability, script)


def test_shapes_without_data():
    case = make_case()
    arguments = [case.x, case.edge_vec, case.edge_index, case.species]
    case.fused.to("meta")
    x, vec, index, species = (a.to("meta") for a in arguments)
    edges = bare_edges(species, index, vec, case.n_local)
    out = case.fused(x, edges, edges.radial)
    assert out.device.type == "meta"
    assert out.shape == (case.n_local, case.plain.irreps_out.dim)


def test_table_takes_its_weights_from_the_right_pair():
    case = make_case("3x0e", 0, "0e", n_local=2, n_ghost=0, n_edges=0)
    case.species = torch.tensor([0, 1])
    case.edge_index = torch.tensor([[0, 1], [1, 0]])
    case.edge_vec = torch.tensor([[0.0, 0.0, 2.0], [0.0, 0.0, -2.0]], dtype=torch.float64)
    out = case.run_fused(torch.ones(2, 3, dtype=torch.float64), case.edge_vec)
    for centre, cutoff in ((0, 3.0), (1, 3.5)):
        expected = smooth_weights(3)(torch.tensor([2.0 / cutoff], dtype=torch.float64))[0][0]
        torch.testing.assert_close(out[centre], expected, rtol=1e-8, atol=1e-9)
