# SPDX-License-Identifier: GPL-2.0-or-later
"""The operator against Equiformer's plain attention: options, derivatives, threads, no edges."""

from __future__ import annotations

import pytest
import torch

from tests.ops.graph_attentions import CASES, CUTOFFS, assert_same, make_case
from tests.ops.instruction_sets import run_with


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("options", CASES, ids=str)
def test_equals_the_plain_attention(options, dtype):
    assert_same(make_case(dtype=dtype, **options), dtype)


def test_many_edges_fill_several_blocks():
    assert_same(make_case(n_local=70, n_ghost=30, n_edges=5000, seed=3), torch.float64)


def test_derivatives_are_those_of_the_value():
    case = make_case(n_local=3, n_ghost=2, n_edges=9, seed=5)
    inputs = [case.x.requires_grad_(True), case.edge_vec.requires_grad_(True)]
    assert torch.autograd.gradcheck(case.run_fused, inputs, atol=1e-7)


@pytest.mark.parametrize(("n_local", "n_ghost"), [(0, 0), (4, 0), (0, 5)])
def test_no_edges(n_local, n_ghost):
    case = make_case(n_local=n_local, n_ghost=n_ghost, n_edges=0)
    value, by_x, by_vec = case.results(case.run_fused, torch.float64)
    expected = case.fused.projection.bias.expand(n_local, -1)
    torch.testing.assert_close(value, expected, rtol=0, atol=0)
    assert torch.count_nonzero(by_x) == 0
    assert by_vec.shape == (0, 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_results_do_not_depend_on_threads(dtype):
    case = make_case(dtype=dtype, n_local=80, n_edges=5000)
    results = []
    try:
        for n_threads in (1, 2, 2):
            torch.set_num_threads(n_threads)
            results.append(case.results(case.run_fused, dtype))
    finally:
        torch.set_num_threads(1)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert torch.equal(a, b)


def test_an_edge_leaves_smoothly_at_the_cutoff():
    case = make_case(n_local=1, n_ghost=1, n_edges=1)
    case.edge_index = torch.tensor([[0], [1]])
    cutoff = float(CUTOFFS[case.species[0], case.species[1]])
    sizes = []
    for distance in (cutoff - 1e-1, cutoff - 1e-2, cutoff + 0.1):
        case.edge_vec = torch.tensor([[0.0, distance, 0.0]], dtype=torch.float64)
        value, _, by_vec = case.results(case.run_fused, torch.float64)
        change = value - case.fused.projection.bias
        sizes.append((float(change.abs().max()), float(by_vec.abs().max())))
    assert 0 < sizes[1][0] < 1e-2 * sizes[0][0]
    assert 0 < sizes[1][1] < 1e-1 * sizes[0][1]
    assert sizes[2] == (0.0, 0.0)


def test_atoms_on_top_of_each_other_give_numbers():
    case = make_case(n_local=2, n_ghost=1, n_edges=5)
    case.edge_vec[2] = 0.0
    for result in case.results(case.run_fused, torch.float64):
        assert torch.isfinite(result).all()


@pytest.mark.parametrize("capability", ["default", "avx2"])
def test_every_instruction_set_gives_the_same(capability):
    script = (
        "import torch\n"
        "from tests.ops.graph_attentions import CASES, assert_same, make_case\n"
        "for dtype in (torch.float32, torch.float64):\n"
        "    for options in (CASES[0], CASES[1], CASES[4]):\n"
        "        assert_same(make_case(dtype=dtype, n_edges=200, **options), dtype)\n"
    )
    run_with(capability, script)


def test_shapes_without_data():
    case = make_case()
    case.fused.to("meta")
    case.species, case.edge_index = case.species.to("meta"), case.edge_index.to("meta")
    value = case.run_fused(case.x.to("meta"), case.edge_vec.to("meta"))
    assert value.device.type == "meta"
    assert value.shape == (6, case.x.shape[1])
