# SPDX-License-Identifier: GPL-2.0-or-later
"""The operator against the plain Allegro: options, derivatives, empty graphs, threads."""

from __future__ import annotations

import pytest
import torch

from egraff.nn.activations import activation
from tests.ops.allegros import (
    CASES,
    CUTOFFS,
    assert_same,
    function_of_the_distance,
    make_case,
)
from tests.ops.instruction_sets import run_with


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("options", CASES, ids=str)
def test_equals_the_plain_model(options, dtype):
    assert_same(make_case(dtype=dtype, **options), dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_many_edges_fill_several_blocks(dtype):
    assert_same(make_case(dtype=dtype, n_local=50, n_ghost=30, n_edges=2000, seed=3), dtype)


@pytest.mark.parametrize("options", [{}, {"latent_hidden": [], "n_layers": 3}], ids=str)
def test_derivative_is_that_of_the_value(options):
    case = make_case(n_local=3, n_ghost=2, n_edges=9, seed=5, **options)
    edge_vec = case.edge_vec.requires_grad_(True)
    assert torch.autograd.gradcheck(lambda vec: case.run(case.fused, vec), [edge_vec], atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["silu", "tanh", "mish", "gelu", "ssp"])
@pytest.mark.parametrize("size", [0.01, 3.0, 50.0, 2000.0])
def test_nonlinearities_over_their_whole_range(name, dtype, size):
    act = activation(name)
    edges = function_of_the_distance(act, dtype, size)
    x = torch.linspace(0.03, 0.99, 301, dtype=dtype)
    vec = torch.stack([torch.zeros_like(x), x, torch.zeros_like(x)], dim=1).requires_grad_(True)
    index = torch.stack([torch.arange(301), torch.arange(301)])
    energy = edges(vec, torch.zeros(301, dtype=torch.int64), index, 301)
    (gradient,) = torch.autograd.grad([energy.sum()], [vec])
    exact = (size * (2 * x.double() - 1)).requires_grad_(True)
    expected = act(exact)
    (slope,) = torch.autograd.grad([expected.sum()], [exact])
    eps = torch.finfo(dtype).eps
    # the argument is rounded, too
    assert (energy - expected).abs().max() < 8 * eps * max(size, 1.0)
    assert (gradient[:, 1] / (2 * size) - slope).abs().max() < 32 * eps * max(size, 1.0)


@pytest.mark.parametrize(("n_local", "n_ghost"), [(0, 0), (4, 0), (0, 5)])
def test_no_edges(n_local, n_ghost):
    case = make_case(n_local=n_local, n_ghost=n_ghost, n_edges=0)
    energy, gradient = case.value_and_gradient(case.fused)
    shift = torch.tensor([0.3, -0.2], dtype=torch.float64)[case.species[:n_local]]
    torch.testing.assert_close(energy, shift, rtol=0, atol=1e-15)
    assert gradient.shape == (0, 3)


def test_without_gradient():
    case = make_case()
    with torch.no_grad():
        energy = case.run(case.fused, case.edge_vec)
    assert not energy.requires_grad
    assert torch.equal(energy, case.value_and_gradient(case.fused)[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_results_do_not_depend_on_threads(dtype):
    case = make_case(dtype=dtype, n_local=80, n_edges=3000)
    results = []
    try:
        for n_threads in (1, 2, 2):
            torch.set_num_threads(n_threads)
            results.append(case.value_and_gradient(case.fused))
    finally:
        torch.set_num_threads(1)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert torch.equal(a, b)


def test_energy_and_derivative_vanish_smoothly_at_the_cutoff():
    case = make_case(n_local=1, n_ghost=1, n_edges=1, cutoff_p=3.0)
    case.edge_index = torch.tensor([[0], [1]])
    cutoff = float(CUTOFFS[case.species[0], case.species[1]])
    shift = [0.3, -0.2][int(case.species[0])]
    sizes = []
    for distance in (cutoff - 1e-1, cutoff - 1e-2, cutoff, cutoff + 0.1):
        case.edge_vec = torch.tensor([[0.0, distance, 0.0]], dtype=torch.float64)
        energy, gradient = case.value_and_gradient(case.fused)
        sizes.append((abs(float(energy[0]) - shift), float(gradient.abs().max())))
    # (1 - x)^3, at least
    assert 0 < sizes[1][0] < 1.5e-3 * sizes[0][0]
    assert 0 < sizes[1][1] < 1.5e-2 * sizes[0][1]
    assert sizes[2] == sizes[3]
    assert sizes[2][0] < 1e-15
    assert sizes[2][1] == 0.0


def test_atoms_on_top_of_each_other_give_numbers():
    case = make_case(n_local=2, n_ghost=1, n_edges=5)
    case.edge_vec[2] = 0.0
    for result in case.value_and_gradient(case.fused):
        assert torch.isfinite(result).all()


@pytest.mark.parametrize("capability", ["default", "avx2"])
def test_every_instruction_set_gives_the_same(capability):
    script = (
        "import torch\n"
        "from tests.ops.allegros import CASES, assert_same, make_case\n"
        "for dtype in (torch.float32, torch.float64):\n"
        "    for options in (CASES[2], CASES[5], CASES[9], CASES[12]):\n"
        "        assert_same(make_case(dtype=dtype, n_edges=200, **options), dtype)\n"
    )
    run_with(capability, script)


def test_shapes_without_data():
    case = make_case()
    edges = case.fused.edges.to("meta")
    arguments = [t.to("meta") for t in (case.edge_vec, case.species, case.edge_index)]
    energy = edges(*arguments, case.n_local)
    assert energy.device.type == "meta"
    assert energy.shape == (case.n_local,)


def test_pairs_with_the_same_functions_share_a_table():
    assert make_case().fused.edges.tables.shape[0] == 4
    assert make_case(elements=["C"], pair_cutoffs=None, energy_shift=0.0, energy_scale=1.0,
                     n_local=0, n_ghost=0, n_edges=0).fused.edges.tables.shape[0] == 1  # fmt: skip
